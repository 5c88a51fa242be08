//! What every [`Bus`] promises, as a suite that each implementation is put through.

use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use codec::ids::HubName;
use codec::message::{Content, Payload};
use futures_util::FutureExt;

use super::*;
use crate::model::command::{Body, Target};

/// Longest time that an envelope may take to come back.
const DEADLINE: Duration = Duration::from_secs(5);

fn topic() -> Topic {
    Topic { hub: HubName::new("chat").unwrap(), target: Target::Hub }
}

fn envelope(number: u8) -> Envelope {
    let Topic { hub, target } = topic();
    let payload = Payload::binary(Bytes::copy_from_slice(&[number]));
    let content = Content { payload, metadata: None };
    let command = Command {
        hub,
        target,
        body: Body::from_application(content),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    };
    Envelope { origin: NodeId::new("n").unwrap(), applied: Applied::OnReceipt, command: Arc::new(command) }
}

/// A watched topic's envelopes come back to their own node, all of them and in the order of the calls.
fn envelopes_return_in_order(make: impl FnOnce(Receiver) -> Arc<dyn Bus>) {
    let (sender, receiver) = mpsc::channel();
    let bus = make(Box::new(move |envelope| sender.send(envelope).unwrap()));
    assert_eq!(bus.watch(&topic()).now_or_never(), Some(Ok(())));
    for number in 0..100 {
        bus.publish(&topic(), envelope(number)).unwrap();
    }
    for number in 0..100 {
        let envelope = receiver.recv_timeout(DEADLINE).unwrap();
        let Body::Message { content, .. } = &envelope.command.body else {
            panic!("another body");
        };
        assert_eq!(content.payload.bytes()[..], [number]);
    }
}

#[test]
fn local_bus_keeps_the_contract() {
    envelopes_return_in_order(|receive| Arc::new(LocalBus::new(receive)));
}
