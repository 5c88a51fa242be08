//! Frames made by hand, valid or not.

/// Opcodes of RFC 6455.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opcode(pub u8);

impl Opcode {
    /// Further part of a message.
    pub const CONTINUATION: Self = Self(0);
    /// Message of text.
    pub const TEXT: Self = Self(1);
    /// Message of bytes.
    pub const BINARY: Self = Self(2);
    /// Last frame.
    pub const CLOSE: Self = Self(8);
    /// Wants a pong.
    pub const PING: Self = Self(9);
    /// Answer to a ping.
    pub const PONG: Self = Self(10);
}

/// One frame as it stands on the wire; every part of it can be made wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Whether it is the last of its message.
    pub is_final: bool,
    /// The three reserved bits, as a number below eight.
    pub reserved: u8,
    /// What it is for.
    pub opcode: Opcode,
    /// The mask; a server's frame has none.
    pub mask: Option<[u8; 4]>,
    /// The content, not masked.
    pub content: Vec<u8>,
}

impl Frame {
    /// A valid final frame of a client.
    pub fn new(opcode: Opcode, content: impl Into<Vec<u8>>) -> Self {
        let mask = Some([0x37, 0xFA, 0x21, 0x3D]);
        Self { is_final: true, reserved: 0, opcode, mask, content: content.into() }
    }

    /// A message of text.
    pub fn text(text: &str) -> Self {
        Self::new(Opcode::TEXT, text)
    }

    /// A message of bytes.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Opcode::BINARY, bytes)
    }

    /// A ping.
    pub fn ping(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Opcode::PING, bytes)
    }

    /// A pong.
    pub fn pong(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Opcode::PONG, bytes)
    }

    /// A close frame with a code.
    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(Opcode::CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat())
    }

    /// A close frame without a code.
    pub fn close_without_code() -> Self {
        Self::new(Opcode::CLOSE, Vec::new())
    }

    /// The code of a close frame; nothing if it has none, or is another frame.
    pub fn close_code(&self) -> Option<u16> {
        let code = self.content.first_chunk().filter(|_| self.opcode == Opcode::CLOSE);
        code.map(|code| u16::from_be_bytes(*code))
    }

    /// The same frame, followed by further parts of its message.
    pub fn not_final(mut self) -> Self {
        self.is_final = false;
        self
    }

    /// The same frame with reserved bits.
    pub fn with_reserved(mut self, bits: u8) -> Self {
        self.reserved = bits;
        self
    }

    /// The same frame without a mask.
    pub fn unmasked(mut self) -> Self {
        self.mask = None;
        self
    }

    /// A message in parts of `part` bytes each, at least one part.
    pub fn fragments(opcode: Opcode, content: &[u8], part: usize) -> Vec<Self> {
        let mut frames: Vec<Self> =
            content.chunks(part).map(|part| Self::new(Opcode::CONTINUATION, part).not_final()).collect();
        if frames.is_empty() {
            frames.push(Self::new(opcode, Vec::new()));
        }
        frames[0].opcode = opcode;
        let last = frames.len() - 1;
        frames[last].is_final = true;
        frames
    }

    /// The header of a frame that claims `length` bytes of content.
    pub fn header(&self, length: u64) -> Vec<u8> {
        let mask_bit = if self.mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![u8::from(self.is_final) << 7 | self.reserved << 4 | self.opcode.0];
        match length {
            0..=125 => bytes.push(mask_bit | length as u8),
            126..=0xFFFF => {
                bytes.push(mask_bit | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend(self.mask.iter().flatten());
        bytes
    }

    /// The bytes for the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header(self.content.len() as u64);
        let mask = self.mask.unwrap_or_default();
        bytes.extend(self.content.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// Reads a frame off the front of `bytes`, with its length there; `None` means that it is not whole.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (length, mut at) = match second & 0x7F {
            126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        let mut mask: Option<[u8; 4]> = None;
        if second & 0x80 != 0 {
            mask = Some(bytes.get(at..at + 4)?.try_into().ok()?);
            at += 4;
        }
        let end = at + length as usize;
        let key = mask.unwrap_or_default();
        let content = bytes.get(at..end)?.iter().zip(key.iter().cycle()).map(|(b, m)| b ^ m).collect();
        let (is_final, reserved) = (first & 0x80 != 0, first >> 4 & 7);
        Some((Self { is_final, reserved, opcode: Opcode(first & 0xF), mask, content }, end))
    }
}
