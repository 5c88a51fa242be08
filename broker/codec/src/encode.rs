//! From a message to the frame of each encoding: the one place where the encodings meet.

use crate::ids::SequenceId;
use crate::message::{Downstream, FrameKind};
use crate::subprotocol::Encoding;
use crate::websocket::{Frame, Head, Opcode};
use crate::{json, protobuf, simple};

/// Encodes a message as the bytes that a socket of this encoding needs; `None` when the encoding has no form for it,
/// as simple clients know payloads only.
pub fn encode(encoding: Encoding, message: &Downstream) -> Option<Frame> {
    match encoding {
        Encoding::Json => Some(Frame::build(Opcode::Text, |out| json::encode(message, out))),
        Encoding::Protobuf => Some(Frame::build(Opcode::Binary, |out| protobuf::encode(message, out))),
        Encoding::Simple => {
            let (kind, content) = simple::encode(message)?;
            let opcode = match kind {
                FrameKind::Text => Opcode::Text,
                FrameKind::Binary => Opcode::Binary,
            };
            Some(Frame::new(opcode, content))
        }
    }
}

/// A frame with a sequence id: a beginning of its own, and the rest that it shares with the frame without one.
#[derive(Debug, Clone)]
pub struct Sequenced<'a> {
    /// What stands first on the wire.
    pub head: Head,
    /// What follows it.
    pub tail: &'a [u8],
}

impl Sequenced<'_> {
    /// Bytes on the wire.
    pub fn wire_len(&self) -> usize {
        self.head.bytes().len() + self.tail.len()
    }
}

/// Gives a message that is encoded already its sequence id, without encoding it again; `None` when the encoding has no
/// place for one. `frame` must be that of a message which [is sequenced](Downstream::is_sequenced).
pub fn sequence(encoding: Encoding, frame: &Frame, id: SequenceId) -> Option<Sequenced<'_>> {
    let content = frame.content();
    match encoding {
        Encoding::Json => {
            // All but the first brace.
            let tail = content.get(1..).unwrap_or_default();
            let head = Head::build(Opcode::Text, tail.len(), |out| json::sequence_start(id, out));
            Some(Sequenced { head, tail })
        }
        Encoding::Protobuf => {
            let tail = &content[protobuf::prefix_len(content)..];
            let start = |out: &mut &mut [u8]| protobuf::sequence_start(content, tail.len(), id, out);
            let head = Head::build(Opcode::Binary, tail.len(), start);
            Some(Sequenced { head, tail })
        }
        // Payloads alone have no place for one.
        Encoding::Simple => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Content, Origin, Payload};

    #[test]
    fn a_sequenced_frame_is_a_valid_one_with_the_same_content() {
        let check = |len: usize, id: u64| {
            let content = Content { payload: Payload::text("x".repeat(len)), metadata: None };
            let message = Downstream::Message { origin: Origin::Server, content, stream: None };
            let frame = encode(Encoding::Json, &message).unwrap();
            let Sequenced { head, tail } = sequence(Encoding::Json, &frame, SequenceId(id)).unwrap();
            let plain = frame.content();
            assert_eq!(tail.as_ptr(), plain[1..].as_ptr(), "nothing is copied");
            let expected = format!(r#"{{"sequenceId":{id},{}"#, std::str::from_utf8(&plain[1..]).unwrap());
            let whole = [head.bytes(), tail].concat();
            assert_eq!(whole.len(), sequence(Encoding::Json, &frame, SequenceId(id)).unwrap().wire_len());
            assert_eq!(whole, *Frame::new(Opcode::Text, expected.as_bytes()).bytes());
        };
        for len in [0, 20, 40, 60, 65_400, 65_536] {
            for id in [1, 9, 10, 1_000, u64::MAX] {
                check(len, id);
            }
        }
    }

    #[test]
    fn bare_payloads_have_no_place_for_a_sequence_id() {
        let frame = Frame::new(Opcode::Text, b"hi");
        assert!(sequence(Encoding::Simple, &frame, SequenceId(1)).is_none());
    }
}
