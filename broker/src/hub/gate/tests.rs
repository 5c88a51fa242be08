use std::io::IoSlice;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use codec::ids::{ConnectionId, HubName, NodeId};
use codec::message::{Content, Downstream, Payload};
use codec::subprotocol::Subprotocol;

use super::*;
use crate::hub::{Flushed, Gather, NewMember, Outbox, OutboxLimits, QueueLimits};
use crate::model::command::{Body, Command, Target};

const ROOM: usize = 4;
const LIMITS: QueueLimits = QueueLimits {
    outbox: OutboxLimits { messages: 100, bytes: 10_000 },
    window: WindowLimits { messages: ROOM, bytes: 10_000 },
};
/// How a pong reads among the numbers of messages.
const PONG: u64 = 0;

/// A shard and its only member, which is durable if it is said so.
fn shard(is_durable: bool) -> (Shard, MemberKey) {
    let mut shard = Shard::new(LIMITS);
    let key = shard.attach(&NewMember {
        hub: HubName::new("chat").unwrap(),
        connection_id: ConnectionId::new(1, 0, &NodeId::new("n").unwrap()),
        user_id: None,
        subprotocol: Some(Subprotocol::JsonReliable),
    });
    if is_durable {
        shard.make_durable(key, SequenceId(0));
        // What it has been told when it came.
        let version = shard.version(key);
        shard.written(key, SequenceId(0), version);
        shard.take_unwritten();
    }
    (shard, key)
}

/// Somebody publishes this many messages to the hub.
fn publish(shard: &mut Shard, count: usize) {
    let command = Arc::new(Command {
        hub: HubName::new("chat").unwrap(),
        target: Target::Hub,
        body: Body::from_application(Content {
            payload: Payload::binary(Bytes::from_static(b"x")),
            metadata: None,
        }),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    });
    for _ in 0..count {
        shard.deliver(&Outgoing::new(Arc::clone(&command), Instant::now()));
    }
}

/// What the member's socket takes now, which takes everything: the numbers of messages, and pongs.
fn taken(shard: &mut Shard, key: MemberKey) -> Vec<u64> {
    let Some(outbox) = shard.begin_flush(key, Instant::now()) else { return Vec::new() };
    let (numbers, len) = numbers(outbox);
    outbox.advance(len);
    assert_eq!(shard.end_flush(key, Poll::Ready(())), Flushed::Done);
    numbers
}

/// What an outbox has for a socket: the numbers of messages, and pongs; and its bytes.
fn numbers(outbox: &Outbox) -> (Vec<u64>, usize) {
    let mut room = [0; 4096];
    let mut slices = [IoSlice::new(&[]); 32];
    let mut gather = Gather::new(&mut room, &mut slices);
    outbox.gather(&mut gather);
    let bytes: Vec<u8> = gather.finish().iter().flat_map(|slice| slice.to_vec()).collect();
    let text = String::from_utf8_lossy(&bytes);
    let number = |frame: &str| {
        let digits = frame.strip_prefix("sequenceId\":")?;
        digits.split(|after: char| !after.is_ascii_digit()).next()?.parse().ok()
    };
    let numbers = text.split("{\"").skip(1).map(|frame| number(frame).unwrap_or(PONG));
    (numbers.collect(), bytes.len())
}

fn unwritten_numbers(shard: &mut Shard) -> Vec<u64> {
    shard.take_unwritten().messages.iter().map(|unwritten| unwritten.message.number).collect()
}

#[test]
fn a_message_leaves_when_it_is_written_and_not_before() {
    let (mut shard, key) = shard(true);
    publish(&mut shard, 3);
    assert_eq!(taken(&mut shard, key), [0; 0]);
    assert_eq!(unwritten_numbers(&mut shard), [1, 2, 3]);
    let version = shard.version(key);
    shard.written(key, SequenceId(2), version);
    assert_eq!(taken(&mut shard, key), [1, 2]);
    shard.written(key, SequenceId(3), version);
    assert_eq!(taken(&mut shard, key), [3]);
}

#[test]
fn what_a_member_is_told_of_itself_leaves_in_its_place_when_it_is_written() {
    let (mut shard, key) = shard(true);
    publish(&mut shard, 1);
    shard.changed(key);
    shard.tell(key, &Downstream::Pong);
    publish(&mut shard, 1);
    let version = shard.version(key);
    shard.written(key, SequenceId(2), Version::default());
    assert_eq!(taken(&mut shard, key), [1, 2], "the change is not written");
    assert_eq!(shard.is_written(key, version), Some(false));
    publish(&mut shard, 1);
    shard.written(key, SequenceId(2), version);
    assert_eq!(shard.is_written(key, version), Some(true));
    assert_eq!(taken(&mut shard, key), [PONG], "the third message is not written");
}

#[test]
fn a_full_window_ends_an_ordinary_member_and_lets_a_durable_one_fall_behind() {
    let (mut ordinary, key) = shard(false);
    publish(&mut ordinary, ROOM + 1);
    assert_eq!(ordinary.take_overrun(), [key]);

    let (mut shard, key) = shard(true);
    publish(&mut shard, ROOM);
    assert!(!shard.is_behind(key));
    publish(&mut shard, 1);
    assert!(shard.is_behind(key) && shard.is_half_full(key));
    assert_eq!(shard.take_overrun(), []);
    assert_eq!(unwritten_numbers(&mut shard), [1, 2, 3, 4], "the log has the fifth");
    // Otherwise the fifth would be missing between them.
    shard.acknowledge(key, SequenceId(3));
    publish(&mut shard, 1);
    assert_eq!(unwritten_numbers(&mut shard), [0; 0]);
    assert!(!shard.is_half_full(key));
    let version = shard.version(key);
    shard.written(key, SequenceId(4), version);
    assert_eq!(taken(&mut shard, key), [4], "what it has in its window it gets");
}

#[test]
fn a_member_that_nobody_keeps_any_more_gets_all_that_was_kept_back() {
    let (mut shard, key) = shard(true);
    publish(&mut shard, 2);
    shard.changed(key);
    shard.tell(key, &Downstream::Pong);
    let (outbox, _) = shard.detach(key).unwrap();
    assert_eq!(numbers(&outbox).0, [1, 2, PONG]);
}
