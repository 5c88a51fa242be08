//! What every [`Bus`] promises, as a suite that each implementation is put through.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use codec::ids::{HubName, NodeId};
use codec::message::{Content as MessageContent, Payload};
use futures_util::FutureExt;

use super::*;
use crate::model::command::{Body, Command, Target};

/// Longest time that an envelope may take to come back.
const DEADLINE: Duration = Duration::from_secs(5);

fn topic() -> Topic {
    Topic { hub: HubName::new("chat").unwrap(), target: Target::Hub }
}

fn envelope(number: u8) -> Envelope {
    let Topic { hub, target } = topic();
    let payload = Payload::binary(Bytes::copy_from_slice(&[number]));
    let command = Command {
        hub,
        target,
        body: Body::from_application(MessageContent { payload, metadata: None }),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    };
    let content = Content::Command { applied: Applied::OnReceipt, command: Arc::new(command) };
    Envelope { origin: NodeId::new("n").unwrap(), content }
}

fn number(envelope: &Envelope) -> u8 {
    match &envelope.content {
        Content::Command { command, .. } => match &command.body {
            Body::Message { content, .. } => content.payload.bytes()[0],
            Body::GroupState(_) => panic!("another body"),
        },
        other => panic!("another content: {other:?}"),
    }
}

/// A watched channel's envelopes come back to their own node, all of them and in the order of the calls, and their
/// receipts say that it was handed to one.
fn envelopes_return_in_order(make: impl FnOnce(Receiver) -> Arc<dyn Bus>) {
    let (sender, receiver) = mpsc::channel();
    let bus = make(Box::new(move |arrival| sender.send(arrival).unwrap()));
    let channel = Channel::Topic(topic());
    assert_eq!(bus.watch(&channel).now_or_never(), Some(Ok(())));
    for number in 0..100 {
        let (receipt, mut received) = oneshot::channel();
        bus.publish(&channel, envelope(number), Some(receipt)).unwrap();
        assert_eq!((&mut received).now_or_never(), Some(Ok(Ok(1))));
    }
    for expected in 0..100 {
        match receiver.recv_timeout(DEADLINE).unwrap() {
            Arrival::Envelope(envelope) => assert_eq!(number(&envelope), expected),
            Arrival::Lost(topic) => panic!("lost: {topic:?}"),
        }
    }
}

#[test]
fn local_bus_keeps_the_contract() {
    envelopes_return_in_order(|receive| Arc::new(LocalBus::new(receive)));
}
