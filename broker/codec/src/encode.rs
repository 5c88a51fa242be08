//! From a message to the frame of each encoding: the one place where the encodings meet.

use std::ops::RangeInclusive;

use crate::ids::SequenceId;
use crate::message::{Downstream, FrameKind};
use crate::subprotocol::Encoding;
use crate::websocket::{self, Frame, Opcode};
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

/// Bytes of the longest head of a sequenced frame: the frame's header and the start of its content.
pub const MAX_HEAD: usize = 48;

/// How a frame reads with a sequence id: a beginning of its own, and the rest that it shares with the frame without one.
#[derive(Debug, Clone, Copy)]
pub struct Sequenced<'a> {
    encoding: Encoding,
    id: SequenceId,
    /// What is shared.
    tail: &'a [u8],
    /// Bytes of the content that stand before it.
    start_len: usize,
    /// First byte of the content without an id.
    first: u8,
}

/// Gives a message that is encoded already its sequence id, without encoding it again; `None` when the encoding has no
/// place for one. `frame` must be that of a message which [is sequenced](Downstream::is_sequenced).
#[inline]
pub fn sequence(encoding: Encoding, frame: &Frame, id: SequenceId) -> Option<Sequenced<'_>> {
    let content = frame.content();
    let first = *content.first()?;
    let (tail, start_len) = match encoding {
        // All but the first brace.
        Encoding::Json => (&content[1..], json::sequence_start_len(id)),
        Encoding::Protobuf => {
            let tail = &content[protobuf::prefix_len(content)..];
            (tail, protobuf::sequence_start_len(tail.len(), id))
        }
        // Payloads alone have no place for one.
        Encoding::Simple => return None,
    };
    Some(Sequenced { encoding, id, tail, start_len, first })
}

impl<'a> Sequenced<'a> {
    /// Bytes of the head, [`MAX_HEAD`] at most.
    #[inline]
    pub fn head_len(&self) -> usize {
        websocket::header_len(self.content_len()) + self.start_len
    }

    /// What follows the head.
    #[inline]
    pub fn tail(&self) -> &'a [u8] {
        self.tail
    }

    /// Bytes on the wire.
    #[inline]
    pub fn wire_len(&self) -> usize {
        self.head_len() + self.tail.len()
    }

    /// With any of these ids in its place the frame is as long, and differs in nothing but what [`renumber`] writes.
    pub fn as_long(&self) -> RangeInclusive<u64> {
        match self.encoding {
            Encoding::Protobuf => protobuf::as_long(self.id),
            Encoding::Json | Encoding::Simple => json::as_long(self.id),
        }
    }

    fn content_len(&self) -> usize {
        self.start_len + self.tail.len()
    }

    /// All of it, for those who have a single receiver.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.head_len()];
        self.write_head(&mut bytes);
        bytes.extend_from_slice(self.tail);
        bytes
    }

    /// All of it as a frame of its own.
    pub fn to_frame(&self) -> Frame {
        let content = &self.to_vec()[websocket::header_len(self.content_len())..];
        Frame::new(self.opcode(), content)
    }

    fn opcode(&self) -> Opcode {
        if self.encoding == Encoding::Protobuf { Opcode::Binary } else { Opcode::Text }
    }

    /// Writes the head into `room`, which must have as many bytes as the head.
    #[inline]
    pub fn write_head(&self, room: &mut [u8]) {
        let (header, start) = room.split_at_mut(websocket::header_len(self.content_len()));
        websocket::write_header(self.opcode(), self.content_len(), header);
        match self.encoding {
            Encoding::Protobuf => {
                protobuf::write_sequence_start(self.first, self.tail.len(), self.id, start);
            }
            Encoding::Json | Encoding::Simple => json::write_sequence_start(self.id, start),
        }
    }
}

/// Gives another sequence id to a message whose `head` was written before, for one that is
/// [as long](Sequenced::as_long). This runs for every delivery to members with different ids.
#[inline]
pub fn renumber(encoding: Encoding, id: SequenceId, head: &mut [u8]) {
    match encoding {
        Encoding::Protobuf => protobuf::renumber(id, head),
        Encoding::Json | Encoding::Simple => json::renumber(id, head),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Content, Origin, Payload};

    #[test]
    fn ids_that_are_as_long_are_written_over_each_other() {
        let check = |encoding: Encoding, id: u64, others: RangeInclusive<u64>| {
            let content = Content { payload: Payload::text("x".repeat(100)), metadata: None };
            let message = Downstream::Message { origin: Origin::Server, content, stream: None };
            let frame = encode(encoding, &message).unwrap();
            let of = |id: u64| sequence(encoding, &frame, SequenceId(id)).unwrap();
            assert_eq!(of(id).as_long(), others, "{encoding:?}, {id}");
            for other in [*others.start(), id.max(1) / 2 + others.start() / 2, *others.end()] {
                let head_len = of(id).head_len();
                let mut whole = of(id).to_vec();
                renumber(encoding, SequenceId(other), &mut whole[..head_len]);
                assert_eq!(whole, of(other).to_vec(), "{encoding:?}, {id} and {other}");
            }
        };
        check(Encoding::Json, 7, 1..=9);
        check(Encoding::Json, 10, 10..=99);
        check(Encoding::Json, 5_000, 1_000..=9_999);
        check(Encoding::Json, u64::MAX, 10_000_000_000_000_000_000..=u64::MAX);
        check(Encoding::Protobuf, 100, 1..=127);
        check(Encoding::Protobuf, 128, 128..=16_383);
        check(Encoding::Protobuf, 1 << 62, 1 << 56..=(1 << 63) - 1);
        check(Encoding::Protobuf, u64::MAX, 1 << 63..=u64::MAX);
    }

    #[test]
    fn a_sequenced_frame_is_a_valid_one_with_the_same_content() {
        let check = |len: usize, id: u64| {
            let content = Content { payload: Payload::text("x".repeat(len)), metadata: None };
            let message = Downstream::Message { origin: Origin::Server, content, stream: None };
            let frame = encode(Encoding::Json, &message).unwrap();
            let sequenced = sequence(Encoding::Json, &frame, SequenceId(id)).unwrap();
            let plain = frame.content();
            assert_eq!(sequenced.tail().as_ptr(), plain[1..].as_ptr(), "nothing is copied");
            let expected = format!(r#"{{"sequenceId":{id},{}"#, std::str::from_utf8(&plain[1..]).unwrap());
            assert!(sequenced.head_len() <= MAX_HEAD);
            let whole = sequenced.to_vec();
            assert_eq!(whole, *Frame::new(Opcode::Text, expected.as_bytes()).bytes());
            assert_eq!(whole.len(), sequenced.wire_len());
            assert_eq!(*sequenced.to_frame().bytes(), whole);
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
