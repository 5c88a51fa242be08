//! What is too large or too broken for a line of a golden pair.

use super::*;
use crate::message::{Downstream, Origin, Payload, Upstream};

fn check_depth(value: &str, valid: bool) {
    assert_eq!(check_value(value.as_bytes()), valid, "{value:.80}");
}

fn nested(open: &str, close: &str, levels: usize) -> String {
    [open.repeat(levels), "1".to_owned(), close.repeat(levels)].concat()
}

#[test]
fn values_have_at_most_64_levels() {
    check_depth(&nested("[", "]", 64), true);
    check_depth(&nested("[", "]", 65), false);
    check_depth(&nested(r#"{"a":"#, "}", 64), true);
    check_depth(&nested(r#"{"a":"#, "}", 65), false);
    check_depth(&nested(r#"{"[":["#, "]}", 32), true);
    check_depth(&nested(r#"{"[":["#, "]}", 33), false);
    check_depth(&format!("[{}]", ["[]"; 100].join(",")), true);
    check_depth(&format!("\"{}\"", "[{".repeat(100)), true);
    check_depth(&format!("\"\\\"{}\"", "[{".repeat(100)), true);
    check_depth(&format!("[\"\\\\\",{}]", nested("[", "]", 64)), false);
}

#[test]
fn hostile_depth_costs_no_stack() {
    let levels = 1 << 20;
    check_depth(&"[".repeat(levels), false);
    check_depth(&nested("[", "]", levels), false);
    check_depth(&nested(r#"{"a":"#, "}", levels), false);
    assert_eq!(decode(nested(r#"{"x":"#, "}", levels).as_bytes()), Err(InvalidMessage::Depth));
}

#[test]
fn a_message_and_its_data_share_the_levels() {
    let check = |levels: usize, valid: bool| {
        let data = nested("[", "]", levels);
        for property in ["data", "unknown", "stream"] {
            let message = format!(r#"{{"type":"sendToGroup","group":"g","data":1,"{property}":{data}}}"#);
            let expected = if valid { None } else { Some(InvalidMessage::Depth) };
            let depth_error = decode(message.as_bytes()).err().filter(|e| *e == InvalidMessage::Depth);
            assert_eq!(depth_error, expected, "{property} {levels}");
        }
    };
    check(63, true);
    check(64, false);
}

#[test]
fn values_are_one_value_in_utf8() {
    let rows: [(&[u8], bool); 13] = [
        (b"null", true),
        (b" {\"a\" : [1e400, -0.5]}\r\n", true),
        ("\"é\"".as_bytes(), true),
        (b"\"\\ud800\"", true),
        (b"", false),
        (b" ", false),
        (b"1 2", false),
        (b"[1,]", false),
        (b"'a'", false),
        (b"nul", false),
        (b"\"\xff\"", false),
        (b"\"\x01\"", false),
        (b"\xef\xbb\xbf1", false),
    ];
    for (bytes, valid) in rows {
        assert_eq!(check_value(bytes), valid, "{bytes:?}");
    }
}

#[test]
fn a_message_is_utf8() {
    assert_eq!(decode(b"{\"type\":\"ping\",\"x\":\"\xff\"}"), Err(InvalidMessage::Utf8));
    assert_eq!(decode("{\"type\":\"ping\",\"x\":\"\u{ff}\"}".as_bytes()), Ok(Upstream::Ping));
}

#[test]
fn errors_say_where_json_breaks_but_not_what_was_there() {
    let error = decode(b"{\"type\":\"ping\",\n \"secret\": hush}").unwrap_err();
    assert_eq!(error, InvalidMessage::Syntax { line: 2, column: 12 });
    assert_eq!(error.to_string(), "the message is not one JSON object (line 2, column 12)");
}

#[test]
fn names_and_metadata_have_lengths() {
    let check = |property: &str, value: String, expected: Option<InvalidMessage>| {
        let (group, event, metadata) = match property {
            "group" => (value.as_str(), "e", "{}"),
            "event" => ("g", value.as_str(), "{}"),
            _ => ("g", "e", value.as_str()),
        };
        let kind = if property == "event" { "event" } else { "sendToGroup" };
        let message = format!(
            r#"{{"type":"{kind}","group":"{group}","event":"{event}","data":1,"metadata":{metadata}}}"#
        );
        assert_eq!(decode(message.as_bytes()).err(), expected, "{property} {:.40}", value);
    };
    let name = |name| Some(InvalidMessage::Name(name));
    let limit = |limit| Some(InvalidMessage::Metadata(limit));
    let entry = |key: usize, value: usize| format!(r#"{{"{}":"{}"}}"#, "k".repeat(key), "v".repeat(value));
    let entries = |count: usize| {
        let list: Vec<String> = (0..count).map(|n| format!(r#""{n}":"{}""#, "v".repeat(1023))).collect();
        format!("{{{}}}", list.join(","))
    };
    check("group", "😀".repeat(512), None);
    check("group", "😀".repeat(513), name(InvalidName::Group));
    check("event", "e".repeat(128), None);
    check("event", "e".repeat(129), name(InvalidName::Event));
    check("metadata", entry(256, 1024), None);
    check("metadata", entry(257, 0), limit(InvalidMetadata::Key));
    check("metadata", entry(1, 1025), limit(InvalidMetadata::Value));
    check("metadata", entries(8), None);
    check("metadata", entries(9), limit(InvalidMetadata::Total));
}

#[test]
fn a_payload_from_a_client_may_be_passed_on() {
    let data = nested("[", "]", 63);
    let message = format!(r#"{{"type":"sendToGroup","group":"g","data":{data}}}"#);
    let Ok(Upstream::SendToGroup(send)) = decode(message.as_bytes()) else {
        panic!("63 levels of data are allowed");
    };
    assert_eq!(Payload::json(send.content.payload.bytes().clone()), Ok(send.content.payload.clone()));

    let mut frame = Vec::new();
    encode(&Downstream::Message { origin: Origin::Server, content: send.content, stream: None }, &mut frame);
    assert!(check_value(&frame), "an envelope is no deeper than what we read ourselves");
}
