//! What is too large or too broken for a line of a golden pair.

use bytes::Bytes;

use super::*;
use crate::message::{Content, Downstream, Origin, Payload, Upstream};

/// A field of bytes, text or a message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut len = content.len();
    while len >= 0x80 {
        bytes.push(len as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
    bytes.extend_from_slice(content);
    bytes
}

fn send(fields: &[Vec<u8>]) -> Vec<u8> {
    field(1, &[field(1, b"g"), fields.concat()].concat())
}

fn text() -> Vec<u8> {
    field(3, &field(1, b"x"))
}

fn entry(key: usize, value: usize) -> Vec<u8> {
    field(6, &[field(1, &b"k".repeat(key)), field(2, &b"v".repeat(value))].concat())
}

#[test]
fn names_and_metadata_have_lengths() {
    let check = |bytes: Vec<u8>, expected: Option<InvalidMessage>, case: &str| {
        assert_eq!(decode(&bytes).err(), expected, "{case}");
    };
    let join = |group: String| field(6, &field(1, group.as_bytes()));
    let event = |name: String| field(5, &[field(1, name.as_bytes()), field(2, &field(1, b"x"))].concat());
    let with = |entries: Vec<Vec<u8>>| send(&[vec![text()], entries].concat());
    let numbered = |count: u8| {
        let one = |n: u8| field(6, &[field(1, &[b'0' + n]), field(2, &b"v".repeat(1023))].concat());
        with((0..count).map(one).collect())
    };
    let limit = |limit| Some(InvalidMessage::Metadata(limit));
    check(join("😀".repeat(512)), None, "the longest group");
    check(join("😀".repeat(513)), Some(InvalidMessage::Name(InvalidName::Group)), "a longer group");
    check(event("e".repeat(128)), None, "the longest event");
    check(event("e".repeat(129)), Some(InvalidMessage::Name(InvalidName::Event)), "a longer event");
    check(with(vec![entry(256, 1024)]), None, "the longest entry");
    check(with(vec![entry(257, 0)]), limit(InvalidMetadata::Key), "a longer key");
    check(with(vec![entry(1, 1025)]), limit(InvalidMetadata::Value), "a longer value");
    check(numbered(8), None, "the most metadata");
    check(numbered(9), limit(InvalidMetadata::Total), "more metadata");
}

#[test]
fn json_has_at_most_64_levels() {
    let check = |levels: usize, expected: Option<InvalidMessage>| {
        let json = [b"[".repeat(levels), b"]".repeat(levels)].concat();
        assert_eq!(decode(&send(&[field(3, &field(4, &json))])).err(), expected, "{levels}");
    };
    check(64, None);
    check(65, Some(InvalidMessage::Payload(InvalidPayload::Json)));
    check(100_000, Some(InvalidMessage::Payload(InvalidPayload::Json)));
}

#[test]
fn hostile_depth_costs_no_stack() {
    const BEGIN: u8 = 0x1b;
    const END: u8 = 0x1c;
    let levels = 1 << 20;
    let groups = [vec![BEGIN; levels], vec![END; levels]].concat();
    assert_eq!(decode(&groups), Err(InvalidMessage::Form));
    assert_eq!(decode(&vec![BEGIN; levels]), Err(InvalidMessage::Form));
    assert_eq!(decode(&send(&[groups])), Err(InvalidMessage::Form));
}

#[test]
fn a_claimed_length_is_not_believed() {
    // A group of 2^31 - 1 bytes, and as much of data, of which nothing follows.
    let huge = [0xff, 0xff, 0xff, 0xff, 0x07];
    for path in [&[0x32][..], &[0x32, 0x06, 0x0a], &[0x0a, 0x0b, 0x0a, 0x01, b'g', 0x1a, 0x06, 0x12]] {
        assert_eq!(decode(&[path, &huge].concat()), Err(InvalidMessage::Form), "{path:?}");
    }
}

#[test]
fn many_entries_and_many_members_cost_no_more_than_their_bytes() {
    let ping = field(9, b"");
    assert_eq!(decode(&ping.repeat(1 << 19)), Ok(Upstream::Ping));
    let empty_entry = field(6, b"");
    let bytes = send(&[text(), empty_entry.repeat(1 << 19)]);
    assert_eq!(decode(&bytes), Err(InvalidMessage::Metadata(InvalidMetadata::Key)));
    let entries: Vec<Vec<u8>> = (0..50_000).map(|n| field(6, &field(1, format!("{n}").as_bytes()))).collect();
    let bytes = send(&[vec![text()], entries].concat());
    assert_eq!(decode(&bytes), Err(InvalidMessage::Metadata(InvalidMetadata::Total)));
}

#[test]
fn every_part_of_a_message_is_less_than_the_message() {
    let whole = send(&[text(), entry(3, 3)]);
    assert!(decode(&whole).is_ok());
    for end in 1..whole.len() {
        assert_eq!(decode(&whole[..end]), Err(InvalidMessage::Form), "{end} bytes");
    }
    assert_eq!(decode(&[]), Err(InvalidMessage::Member));
}

#[test]
fn an_any_keeps_its_type_and_value_on_the_way() {
    // What the any holds beyond the schema is not kept: the payload is the any as the schema has it.
    let any = [field(2, &[0xff, 0]), field(1, b"t/x"), field(9, b"unknown")].concat();
    let Ok(Upstream::SendToGroup(send)) = decode(&send(&[field(3, &field(3, &any))])) else {
        panic!("an any is data");
    };
    let canonical = [field(1, b"t/x"), field(2, &[0xff, 0])].concat();
    assert_eq!(send.content.payload, Payload::protobuf(Bytes::from(canonical)).unwrap());
}

#[test]
fn an_any_of_another_protocol_is_passed_on_as_it_is() {
    let any = [field(9, b"unknown"), field(1, b"t")].concat();
    let payload = Payload::protobuf(Bytes::from(any.clone())).unwrap();
    let mut frame = Vec::new();
    let content = Content { payload, metadata: None };
    encode(&Downstream::Message { origin: Origin::Server, content, stream: None }, &mut frame);
    assert_eq!(frame, field(2, &[field(1, b"server"), field(3, &field(3, &any))].concat()));
}

#[test]
fn errors_do_not_say_what_the_client_wrote() {
    let secret = field(6, &field(1, b"\xffsecret"));
    let error = decode(&secret).unwrap_err().to_string();
    assert_eq!(error, "the message does not have the form of an UpstreamMessage");
}
