//! Properties of the messages of invocation, streams and group state over arbitrary content, for both encodings: what
//! clients write arrives as it was written, and independent readers understand what clients are told.
//!
//! The messages are made up in `messages.rs`; `json.rs` and `protobuf.rs` know one encoding each. Golden pairs show the
//! exact bytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use codec::ids::SequenceId;
use codec::message::Downstream;
use codec::subprotocol::Encoding;

mod json;
mod messages;
mod protobuf;

/// What a client reads of a frame that was given this sequence id.
fn sequenced(encoding: Encoding, message: &Downstream, id: u64) -> Vec<u8> {
    let frame = codec::encode(encoding, message).unwrap();
    let sequenced = codec::sequence(encoding, &frame, SequenceId(id)).unwrap();
    let wire = sequenced.to_vec();
    let (header, length) = match wire[1] {
        126 => (4, u64::from(u16::from_be_bytes([wire[2], wire[3]]))),
        127 => (10, u64::from_be_bytes(wire[2..10].try_into().unwrap())),
        short => (2, u64::from(short)),
    };
    assert_eq!(
        wire[0],
        codec::encode(encoding, message).unwrap().bytes()[0],
        "the frame is of the same kind"
    );
    let content = wire[header..].to_vec();
    assert_eq!(content.len() as u64, length, "the frame is as long as it says");
    content
}
