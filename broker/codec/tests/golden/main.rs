//! Golden pairs: for every subprotocol, frames of its folder in `testdata` and the messages that they mean.
//!
//! The notation of messages is in `upstream.rs` and `downstream.rs`, the reading of files in `cases.rs`; how a folder looks is described in
//! `testdata/README.md`. A new subprotocol does not compile here until it names its folder.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::BTreeSet;

use bytes::Bytes;
use codec::message::{Downstream, GroupStateExtent, Upstream};
use codec::subprotocol::{Encoding, Subprotocol};
use serde_json::Value;

mod cases;
mod downstream;
mod upstream;

use cases::{Case, Meaning, Side};

/// Names of the messages that each folder must have a pair for.
const UPSTREAM: [&str; 15] = [
    "joinGroup",
    "leaveGroup",
    "sendToGroup",
    "event",
    "ping",
    "sequenceAck",
    "invoke",
    "cancelInvocation",
    "streamStart",
    "streamData",
    "streamEnd",
    "invalidStream",
    "setGroupState",
    "subscribeGroupState",
    "unsubscribeGroupState",
];
const DOWNSTREAM: [&str; 11] = [
    "connected",
    "disconnected",
    "ack",
    "message",
    "pong",
    "invokeResponse",
    "streamAck",
    "streamNack",
    "streamClosed",
    "groupStateSnapshot",
    "groupStateUpdate",
];

#[test]
fn frames_from_clients_mean_what_the_pairs_say() {
    for subprotocol in Subprotocol::ALL {
        let mut seen = BTreeSet::new();
        for case in cases::read(folder(subprotocol), Side::Upstream) {
            match (decode(subprotocol, &bytes(subprotocol, &case.wire)), &case.meaning) {
                (Ok(message), Meaning::Message(expected)) => {
                    assert_eq!(upstream::noted(&message), *expected, "{case}");
                    seen.insert(name(expected).to_owned());
                }
                (Err(error), Meaning::Error(expected)) => {
                    assert!(error.starts_with(expected), "{case}: got the error {error:?}");
                    seen.insert("an error".to_owned());
                }
                (result, _) => panic!("{case}: got {result:?}"),
            }
        }
        let expected = UPSTREAM.into_iter().chain(only_in(subprotocol).iter().copied()).chain(["an error"]);
        assert_eq!(seen, names(expected), "{subprotocol:?}");
    }
}

#[test]
fn messages_to_clients_become_the_frames_of_the_pairs() {
    for subprotocol in Subprotocol::ALL {
        let mut seen = BTreeSet::new();
        for case in cases::read(folder(subprotocol), Side::Downstream) {
            let message = message_of(&case);
            let mut frame = b"kept".to_vec();
            encode(subprotocol, &message, &mut frame);
            let expected = [b"kept", &bytes(subprotocol, &case.wire)[..]].concat();
            assert_eq!(frame, expected, "{case}: {}", String::from_utf8_lossy(&frame));
            seen.insert(name_of(&message).to_owned());
        }
        assert_eq!(seen, names(DOWNSTREAM), "{subprotocol:?}");
    }
}

fn folder(subprotocol: Subprotocol) -> &'static str {
    match subprotocol {
        Subprotocol::Json | Subprotocol::JsonReliable => "json",
        Subprotocol::Protobuf | Subprotocol::ProtobufReliable => "protobuf",
    }
}

/// Names of the messages from clients that other folders have no pair for.
fn only_in(subprotocol: Subprotocol) -> &'static [&'static str] {
    match subprotocol {
        Subprotocol::Json | Subprotocol::JsonReliable => &["invokeResponse"],
        Subprotocol::Protobuf | Subprotocol::ProtobufReliable => &[],
    }
}

/// What stands on the wire where a case shows this.
fn bytes(subprotocol: Subprotocol, wire: &str) -> Vec<u8> {
    match subprotocol {
        Subprotocol::Json | Subprotocol::JsonReliable => wire.as_bytes().to_vec(),
        Subprotocol::Protobuf | Subprotocol::ProtobufReliable => from_hex(&wire.replace(' ', "")).to_vec(),
    }
}

fn decode(subprotocol: Subprotocol, wire: &[u8]) -> Result<Upstream, String> {
    match subprotocol.encoding() {
        Encoding::Json => codec::json::decode(wire).map_err(|error| error.to_string()),
        Encoding::Protobuf => codec::protobuf::decode(wire).map_err(|error| error.to_string()),
        Encoding::Simple => panic!("no subprotocol has bare payloads"),
    }
}

fn encode(subprotocol: Subprotocol, message: &Downstream, out: &mut Vec<u8>) {
    match subprotocol.encoding() {
        Encoding::Json => codec::json::encode(message, out),
        Encoding::Protobuf => codec::protobuf::encode(message, out),
        Encoding::Simple => panic!("no subprotocol has bare payloads"),
    }
}

fn message_of(case: &Case) -> Downstream {
    match &case.meaning {
        Meaning::Message(value) => downstream::meant(value),
        Meaning::Error(_) => panic!("{case}: messages to clients cannot be wrong"),
    }
}

/// Fails to compile when there is a new message, so that it gets its pair.
fn name_of(message: &Downstream) -> &'static str {
    match message {
        Downstream::Connected { .. } => DOWNSTREAM[0],
        Downstream::Disconnected { .. } => DOWNSTREAM[1],
        Downstream::Ack { .. } => DOWNSTREAM[2],
        Downstream::Message { .. } => DOWNSTREAM[3],
        Downstream::Pong => DOWNSTREAM[4],
        Downstream::InvokeResponse { .. } => DOWNSTREAM[5],
        Downstream::StreamAck { .. } => DOWNSTREAM[6],
        Downstream::StreamNack { .. } => DOWNSTREAM[7],
        Downstream::StreamClosed { .. } => DOWNSTREAM[8],
        Downstream::GroupState { extent: GroupStateExtent::Snapshot, .. } => DOWNSTREAM[9],
        Downstream::GroupState { extent: GroupStateExtent::Update, .. } => DOWNSTREAM[10],
    }
}

/// The name of a noted message. Order is lost in the notation's objects, hence the list.
fn name(noted: &Value) -> &'static str {
    let known = UPSTREAM.into_iter().chain(DOWNSTREAM);
    known.into_iter().find(|name| noted.get(name).is_some()).unwrap_or_else(|| panic!("{noted} has no name"))
}

fn from_hex(digits: &str) -> Bytes {
    let bytes = (0..digits.len()).step_by(2);
    bytes.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn names<'a>(list: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    list.into_iter().map(str::to_owned).collect()
}
