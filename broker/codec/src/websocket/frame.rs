//! Frames from the server: never masked, never fragmented.

use std::fmt;

use bytes::Bytes;

/// Longest reason of a close frame, in bytes.
pub const MAX_CLOSE_REASON: usize = 123;
/// Longest header of a frame without a mask.
const MAX_HEADER: usize = 10;
/// Most bytes of a frame's content that a [`Head`] holds.
const MAX_START: usize = 38;
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
        let (header, header_len) = header(opcode, content_len);
        let start = MAX_HEADER - header_len;
        buffer[start..MAX_HEADER].copy_from_slice(&header[..header_len]);
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
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// What stands behind the header.
    pub fn content(&self) -> &[u8] {
        let header_len = match self.0.get(1) {
            Some(126) => 4,
            Some(127) => MAX_HEADER,
            _ => 2,
        };
        self.0.get(header_len..).unwrap_or_default()
    }
}

/// The beginning of a frame that belongs to one receiver, while the rest of the content is shared by many: the header
/// and a few bytes of the content. An empty one stands before a frame that is shared whole.
#[derive(Clone, Copy)]
pub struct Head {
    bytes: [u8; MAX_HEADER + MAX_START],
    start: u8,
    end: u8,
}

impl Head {
    /// The head of a frame whose content begins with what `write` writes, at most 38 bytes, and goes on with `tail_len`
    /// bytes.
    pub fn build(opcode: Opcode, tail_len: usize, write: impl FnOnce(&mut &mut [u8])) -> Self {
        let mut bytes = [0; MAX_HEADER + MAX_START];
        let mut room = &mut bytes[MAX_HEADER..];
        write(&mut room);
        let start_len = MAX_START - room.len();
        let (header, header_len) = header(opcode, start_len + tail_len);
        let start = MAX_HEADER - header_len;
        bytes[start..MAX_HEADER].copy_from_slice(&header[..header_len]);
        Self { bytes, start: start as u8, end: (MAX_HEADER + start_len) as u8 }
    }

    /// The head of a frame that is shared whole.
    pub const fn empty() -> Self {
        Self { bytes: [0; MAX_HEADER + MAX_START], start: 0, end: 0 }
    }

    /// The bytes for the socket.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..usize::from(self.end)]
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Head").field(&self.bytes()).finish()
    }
}

/// Header of a final frame without a mask, and how many of its bytes count.
fn header(opcode: Opcode, content_len: usize) -> ([u8; MAX_HEADER], usize) {
    let mut header = [0; MAX_HEADER];
    header[0] = FINAL | opcode.bits();
    match content_len {
        0..=125 => {
            header[1] = content_len as u8;
            (header, 2)
        }
        126..=0xFFFF => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(content_len as u16).to_be_bytes());
            (header, 4)
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(content_len as u64).to_be_bytes());
            (header, 10)
        }
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
