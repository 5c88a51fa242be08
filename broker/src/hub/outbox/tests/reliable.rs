//! The outbox of a reliable connection, wherever its socket stops.

use codec::ids::{ConnectionId, GroupName, NodeId};
use codec::subprotocol::Encoding;

use super::*;

const LIMITS: WindowLimits = WindowLimits { messages: 6, bytes: 1000 };

/// What waits: messages with their numbers, and frames without.
type Item = (Option<u64>, Vec<u8>);

fn message(content: &str, expires_at: Option<Instant>) -> Rc<Parcel> {
    Rc::new(Parcel::of(Encoding::Json, &Frame::new(Opcode::Text, content.as_bytes()), expires_at))
}

/// How the message `{}` reads with this number.
fn numbered(number: u64) -> Item {
    let content = format!("{{\"sequenceId\":{number},}}");
    (Some(number), [&[0x81, content.len() as u8], content.as_bytes()].concat())
}

fn unnumbered(content: &str) -> Item {
    (None, [&[0x81, content.len() as u8], content.as_bytes()].concat())
}

fn send(outbox: &mut Outbox, expires_at: Option<Instant>) {
    assert_eq!(outbox.send(&message("{}", expires_at), None, LIMITS, Buffer::new), Ok(()));
}

fn send_state(outbox: &mut Outbox) -> Result<(), Overrun> {
    let owner = Some(ConnectionId::new(1, 0, &NodeId::new("n").unwrap()));
    let slot = StateSlot { group: GroupName::new("g").unwrap(), owner };
    outbox.send(&message("{}", None), Some(&slot), LIMITS, Buffer::new)
}

fn push(outbox: &mut Outbox, content: &str) {
    outbox.push(parcel(content, None), Buffer::new);
}

fn numbers(outbox: &Outbox) -> Vec<u64> {
    outbox.window().unwrap().unacknowledged().map(|(_, id)| id.0).collect()
}

/// Lets the socket take what waits, so many bytes at a time.
fn drain(outbox: &mut Outbox, step: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    while !outbox.is_empty() {
        let next = waiting(outbox);
        let len = next.len().min(step);
        assert!(len > 0 && outbox.len_bytes() >= len);
        taken.extend_from_slice(&next[..len]);
        outbox.advance(len);
    }
    assert_eq!(outbox.len_bytes(), 0);
    taken
}

fn bytes(items: &[Item]) -> Vec<u8> {
    items.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
}

/// Frames with and without a number in turn. The second message has expired, the third tells a state.
fn mixed() -> (Outbox, Vec<Item>) {
    let mut outbox = Outbox::reliable();
    push(&mut outbox, "first");
    send(&mut outbox, None);
    push(&mut outbox, "a");
    push(&mut outbox, "b");
    send(&mut outbox, Some(Instant::now()));
    send_state(&mut outbox).unwrap();
    push(&mut outbox, "c");
    send(&mut outbox, None);
    push(&mut outbox, "last");
    let items = vec![
        unnumbered("first"),
        numbered(1),
        unnumbered("a"),
        unnumbered("b"),
        numbered(2),
        numbered(3),
        unnumbered("c"),
        numbered(4),
        unnumbered("last"),
    ];
    (outbox, items)
}

/// Changes the outbox wherever its socket may have stopped. What is left of `gone` is not written, unless it has begun,
/// and is not kept; what is new comes last.
fn check(change: impl Fn(&mut Outbox), gone: &[u64], new: &[u64]) {
    let (_, items) = mixed();
    let all = bytes(&items);
    for taken in 0..=all.len() {
        let (mut outbox, _) = mixed();
        for _ in 0..taken {
            outbox.advance(1);
        }
        change(&mut outbox);
        let (mut start, mut expected) = (0, Vec::new());
        for (number, bytes) in &items {
            let is_gone = number.is_some_and(|number| gone.contains(&number));
            if start < taken || !is_gone {
                expected.extend_from_slice(bytes.get(taken.saturating_sub(start)..).unwrap_or_default());
            }
            start += bytes.len();
        }
        new.iter().for_each(|&number| expected.extend(numbered(number).1));
        assert_eq!(outbox.len_bytes(), expected.len(), "after {taken} bytes");
        let rest = drain(&mut outbox, usize::MAX);
        assert_eq!(
            rest.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "after {taken} bytes"
        );
        let kept: Vec<u64> = (1..=4).filter(|number| !gone.contains(number)).chain(new.to_vec()).collect();
        assert_eq!(numbers(&outbox), kept, "after {taken} bytes");
    }
}

#[test]
fn frames_with_and_without_a_number_leave_as_they_were_queued_wherever_the_socket_stops() {
    let (_, items) = mixed();
    let expected = bytes(&items);
    for step in 1..=expected.len() {
        let (mut outbox, _) = mixed();
        assert_eq!(drain(&mut outbox, step), expected, "{step} bytes at a time");
        assert_eq!(numbers(&outbox), [1, 2, 3, 4], "nothing is acknowledged");
        outbox.acknowledge(SequenceId(4));
        assert!(outbox.take_buffer().is_some() && outbox.take_buffer().is_none());
    }
    check(|_| {}, &[], &[]);
}

#[test]
fn what_is_acknowledged_unwritten_is_not_written() {
    check(|outbox| outbox.acknowledge(SequenceId(0)), &[], &[]);
    check(|outbox| outbox.acknowledge(SequenceId(1)), &[1], &[]);
    check(|outbox| outbox.acknowledge(SequenceId(3)), &[1, 2, 3], &[]);
    check(|outbox| outbox.acknowledge(SequenceId(u64::MAX)), &[1, 2, 3, 4], &[]);
    let acknowledge_and_send = |outbox: &mut Outbox| {
        outbox.acknowledge(SequenceId(4));
        send(outbox, None);
    };
    check(acknowledge_and_send, &[1, 2, 3, 4], &[5]);
}

#[test]
fn what_is_replaced_unwritten_is_not_written() {
    check(|outbox| send_state(outbox).unwrap(), &[3], &[5]);
    let twice = |outbox: &mut Outbox| (0..2).for_each(|_| send_state(outbox).unwrap());
    check(twice, &[3, 5], &[6]);
    let replace_and_acknowledge = |outbox: &mut Outbox| {
        send_state(outbox).unwrap();
        outbox.acknowledge(SequenceId(3));
        send(outbox, None);
    };
    check(replace_and_acknowledge, &[1, 2, 3], &[5, 6]);
}

#[test]
fn what_has_expired_or_given_way_unwritten_is_not_written() {
    check(|outbox| outbox.forget_expired(Instant::now()), &[2], &[]);
    let fill = |outbox: &mut Outbox| (0..4).for_each(|_| send(outbox, None));
    check(fill, &[2, 3], &[5, 6, 7, 8]);
}

#[test]
fn expired_messages_are_not_written_but_those_that_are_written_are_kept_until_there_is_no_room() {
    let (mut outbox, items) = mixed();
    outbox.advance(bytes(&items[..5]).len());
    outbox.drop_expired(Instant::now());
    assert_eq!(numbers(&outbox), [1, 2, 3, 4]);
    let (mut outbox, _) = mixed();
    outbox.drop_expired(Instant::now());
    assert_eq!(numbers(&outbox), [1, 3, 4]);
    assert_eq!(drain(&mut outbox, 7), [bytes(&items[..4]), bytes(&items[5..])].concat());
}

#[test]
fn a_lost_socket_takes_along_what_waits_and_the_next_one_is_given_all_that_is_not_acknowledged() {
    let (_, items) = mixed();
    let all = bytes(&items);
    for taken in 0..=all.len() {
        for acknowledged in 0..=4 {
            let (mut outbox, _) = mixed();
            outbox.advance(taken);
            let mut lost = outbox.lose_socket();
            push(&mut lost, "bye");
            assert_eq!(drain(&mut lost, 5), [&all[taken..], &unnumbered("bye").1].concat());

            outbox.acknowledge(SequenceId(acknowledged));
            send(&mut outbox, None);
            outbox.push_first(parcel("hello", None));
            push(&mut outbox, "pong");
            let again: Vec<Item> = (acknowledged + 1..=5).map(numbered).collect();
            let expected = [unnumbered("hello").1, bytes(&again), unnumbered("pong").1].concat();
            assert_eq!(outbox.len_bytes(), expected.len());
            assert_eq!(drain(&mut outbox, 11), expected, "after {taken} bytes and {acknowledged}");
        }
    }
}

#[test]
fn limits_count_what_waits_with_a_number_and_without() {
    let (mut outbox, items) = mixed();
    let exceeds = |outbox: &Outbox, messages, bytes| outbox.exceeds(OutboxLimits { messages, bytes });
    for left in (0..items.len()).rev() {
        outbox.advance(items[items.len() - 1 - left].1.len());
        let len = bytes(&items[items.len() - left..]).len();
        assert!(!exceeds(&outbox, left, len), "{left} left");
        assert!(left == 0 || exceeds(&outbox, left - 1, len) && exceeds(&outbox, left, len - 1));
    }
}

#[test]
fn members_with_other_numbers_share_a_message_that_is_short_or_long_wherever_their_sockets_stop() {
    for len in [0, 50, 1_000, 1_100, 3_000] {
        let content = format!("{{{}}}", "x".repeat(len));
        let shared = message(&content, None);
        let limits = WindowLimits { messages: 20, bytes: 10_000 };
        let mut outboxes = [Outbox::reliable(), Outbox::reliable()];
        (0..9).for_each(|_| outboxes[1].send(&message("{}", None), None, limits, Buffer::new).unwrap());
        drain(&mut outboxes[1], usize::MAX);
        let mut written = [Vec::new(), Vec::new()];
        outboxes.iter_mut().for_each(|outbox| outbox.send(&shared, None, limits, Buffer::new).unwrap());
        while outboxes.iter().any(|outbox| !outbox.is_empty()) {
            for (outbox, written) in outboxes.iter_mut().zip(&mut written) {
                let (mut room, mut slices) = ([0; 4096], [IoSlice::new(&[]); 8]);
                let mut gather = Gather::new(&mut room, &mut slices);
                outbox.gather(&mut gather);
                let next: Vec<u8> = gather.finish().iter().flat_map(|slice| slice.to_vec()).collect();
                assert!(next.len() == outbox.len_bytes(), "there is room for all of it");
                let count = next.len().min(7);
                written.extend_from_slice(&next[..count]);
                outbox.advance(count);
            }
        }
        for (written, number) in written.iter().zip([1, 10]) {
            let expected = format!("{{\"sequenceId\":{number},{}", &content[1..]);
            let expected = Frame::new(Opcode::Text, expected.as_bytes());
            assert!(written == expected.bytes(), "{len} bytes, number {number}");
        }
    }
}
