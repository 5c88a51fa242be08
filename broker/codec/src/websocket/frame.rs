//! Frames from the server: never masked, never fragmented.

use bytes::Bytes;

/// Longest reason of a close frame, in bytes.
pub const MAX_CLOSE_REASON: usize = 123;
/// Longest header of a frame without a mask.
const MAX_HEADER: usize = 10;
/// Marks the last frame of a message.
const FINAL: u8 = 0x80;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// Further part of a message.
    Continuation,
    /// Message of text.
    Text,
    /// Message of bytes.
    Binary,
    /// Last frame of this direction.
    Close,
    /// Wants a pong with the same content.
    Ping,
    /// Answer to a ping, or a sign of life.
    Pong,
}

impl Opcode {
    /// The four bits of the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Reads the four bits of the wire; the reserved values are none.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether frames of this kind may stand between the parts of a message.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A whole frame, header and content, ready for a socket. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// Builds a frame whose content is written by `write`, without copying it afterwards.
    pub fn build(opcode: Opcode, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        // The content is written behind room for the longest header; what the header leaves of it is cut off.
        let mut buffer = vec![0; MAX_HEADER];
        write(&mut buffer);
        let content_len = buffer.len() - MAX_HEADER;
        let start = MAX_HEADER - header_len(content_len);
        write_header(opcode, content_len, &mut buffer[start..MAX_HEADER]);
        Self(Bytes::from(buffer).slice(start..))
    }

    /// A frame with this content.
    pub fn new(opcode: Opcode, content: &[u8]) -> Self {
        Self::build(opcode, |buffer| buffer.extend_from_slice(content))
    }

    /// A close frame. Without a code its content is empty; a longer reason is cut at a character.
    pub fn close(code: Option<u16>, reason: &str) -> Self {
        let Some(code) = code else {
            return Self::new(Opcode::Close, &[]);
        };
        let mut end = reason.len().min(MAX_CLOSE_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self::build(Opcode::Close, |buffer| {
            buffer.extend_from_slice(&code.to_be_bytes());
            buffer.extend_from_slice(&reason.as_bytes()[..end]);
        })
    }

    /// The bytes for the socket.
    #[inline]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// What stands behind the header.
    #[inline]
    pub fn content(&self) -> &[u8] {
        let header_len = match self.0.get(1) {
            Some(126) => 4,
            Some(127) => MAX_HEADER,
            _ => 2,
        };
        self.0.get(header_len..).unwrap_or_default()
    }
}

/// Bytes of the header of a final frame without a mask.
#[inline]
pub(crate) const fn header_len(content_len: usize) -> usize {
    match content_len {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => MAX_HEADER,
    }
}

/// Writes this header into `room`, which must have as many bytes.
#[inline]
pub(crate) fn write_header(opcode: Opcode, content_len: usize, room: &mut [u8]) {
    let (first, length) = (FINAL | opcode.bits(), content_len.to_be_bytes());
    let [.., high, low] = length;
    match room {
        [a, b] => [*a, *b] = [first, low],
        [a, b, c, d] => [*a, *b, *c, *d] = [first, 126, high, low],
        [a, b, rest @ ..] => {
            [*a, *b] = [first, 127];
            rest.copy_from_slice(&(content_len as u64).to_be_bytes());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_takes_the_shortest_form() {
        let check = |len: usize, expected: &[u8]| {
            let frame = Frame::new(Opcode::Binary, &vec![7; len]);
            let (header, content) = frame.bytes().split_at(expected.len());
            assert_eq!(header, expected, "{len}");
            assert_eq!(content, vec![7; len]);
            assert_eq!(frame.content(), content);
        };
        check(0, &[0x82, 0]);
        check(125, &[0x82, 125]);
        check(126, &[0x82, 126, 0, 126]);
        check(65_535, &[0x82, 126, 0xFF, 0xFF]);
        check(65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_close_frame_never_exceeds_a_control_frame() {
        assert_eq!(Frame::close(None, "x").bytes()[..], [0x88, 0]);
        assert_eq!(Frame::close(Some(1000), "").bytes()[..], [0x88, 2, 3, 0xE8]);
        let long = "é".repeat(100);
        let frame = Frame::close(Some(1008), &long);
        assert_eq!(frame.bytes().len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&frame.bytes()[4..]).is_ok());
    }

    #[test]
    fn opcodes_survive_the_wire() {
        let known = (0..16).filter_map(Opcode::from_bits).map(Opcode::bits);
        assert_eq!(known.collect::<Vec<_>>(), [0, 1, 2, 8, 9, 10]);
    }
}
