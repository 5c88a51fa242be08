use std::io::IoSlice;
use std::time::Duration;

use codec::websocket::{Frame, Opcode};

use super::*;

mod reliable;

fn parcel(content: &str, expires_at: Option<Instant>) -> Rc<Parcel> {
    Rc::new(Parcel::new(&Frame::new(Opcode::Text, content.as_bytes()), expires_at))
}

fn waiting(outbox: &Outbox) -> Vec<u8> {
    let mut room = [0; 64];
    let mut slices = [IoSlice::new(&[]); 8];
    let mut gather = Gather::new(&mut room, &mut slices);
    outbox.gather(&mut gather);
    gather.finish().iter().flat_map(|slice| slice.to_vec()).collect()
}

#[test]
fn frames_leave_in_order_wherever_the_socket_stops() {
    let mut outbox = Outbox::default();
    for content in ["ab", "c", "def"] {
        outbox.push(parcel(content, None), Buffer::new);
    }
    let all = waiting(&outbox);
    assert_eq!(all, b"\x81\x02ab\x81\x01c\x81\x03def");
    for taken in 1..=all.len() {
        outbox.advance(1);
        assert_eq!(waiting(&outbox), all[taken..]);
    }
    assert!(outbox.is_empty() && outbox.take_buffer().is_some());
    assert!(outbox.take_buffer().is_none(), "an idle outbox owns no memory");
}

#[test]
fn what_there_is_no_room_for_leaves_the_next_time() {
    let mut outbox = Outbox::default();
    let contents = ["a".repeat(30), "b".repeat(2_000), "c".repeat(40)];
    for content in &contents {
        outbox.push(parcel(content, None), Buffer::new);
    }
    let mut all = Vec::new();
    while !outbox.is_empty() {
        let next = waiting(&outbox);
        outbox.advance(next.len());
        all.push(next.len());
    }
    assert_eq!(all, [32 + 2_004, 42]);
}

#[test]
fn limits_count_messages_and_bytes() {
    let mut outbox = Outbox::default();
    outbox.push(parcel("12345678", None), Buffer::new);
    outbox.push(parcel("12345678", None), Buffer::new);
    let exceeds = |messages, bytes| outbox.exceeds(OutboxLimits { messages, bytes });
    assert!(!exceeds(2, 20));
    assert!(exceeds(1, 20));
    assert!(exceeds(2, 19));
}

#[test]
fn expired_frames_are_dropped_unless_they_have_begun() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    let mut outbox = Outbox::default();
    for (content, expires_at) in [("a", Some(now)), ("b", Some(now)), ("c", Some(later)), ("d", None)] {
        outbox.push(parcel(content, expires_at), Buffer::new);
    }
    outbox.advance(1);
    outbox.drop_expired(now);
    assert_eq!(waiting(&outbox), b"\x01a\x81\x01c\x81\x01d");
    outbox.advance(8);
    assert!(outbox.is_empty() && outbox.bytes == 0);
}
