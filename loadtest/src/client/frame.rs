//! Frames as a client sees them: unmasked ones come, masked ones go. Pure; `codec` has the server's side.

use codec::websocket::Opcode;

/// Every frame has this mask: a client's mask must not be guessed by those who choose what it sends, and nobody does
/// here, while frames that are masked ahead cost nothing when they leave.
pub(crate) const MASK: [u8; 4] = [0x5A, 0xC3, 0x96, 0x0F];

/// Longest header of an unmasked frame.
pub(crate) const MAX_HEADER: usize = 10;

/// Header of a frame from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// First byte: flags and opcode.
    pub(crate) first: u8,
    /// Bytes of the header.
    pub(crate) len: usize,
    /// Bytes of content.
    pub(crate) content_len: usize,
}

impl Header {
    /// Reads a header from the front of `bytes`; `None` while it is not whole. A masked frame is read as an overlong
    /// one, since a server must not mask.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [first, len @ 0..=125, ..] => {
                Some(Self { first: *first, len: 2, content_len: usize::from(*len) })
            }
            [first, 126, a, b, ..] => {
                let content_len = usize::from(u16::from_be_bytes([*a, *b]));
                Some(Self { first: *first, len: 4, content_len })
            }
            [first, 127, rest @ ..] => {
                let content_len = u64::from_be_bytes(*rest.first_chunk()?);
                let content_len = usize::try_from(content_len).unwrap_or(usize::MAX);
                Some(Self { first: *first, len: MAX_HEADER, content_len })
            }
            [first, 128..=255, ..] => Some(Self { first: *first, len: 2, content_len: usize::MAX }),
            _ => None,
        }
    }

    /// First byte of a whole message of this kind.
    pub(crate) const fn whole(opcode: Opcode) -> u8 {
        0x80 | opcode.bits()
    }
}

/// A masked frame, and where its content starts.
pub(crate) fn masked(opcode: Opcode, content: &[u8]) -> (Vec<u8>, usize) {
    let mut frame = vec![Header::whole(opcode)];
    match content.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    let start = frame.len();
    frame.extend(content.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    (frame, start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::websocket::{Decoder, Frame, Item};

    #[test]
    fn the_servers_decoder_reads_what_we_mask() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let text = "x".repeat(len);
            let (mut frame, start) = masked(Opcode::Text, text.as_bytes());
            assert_eq!(frame.len() - start, len);
            let got = Decoder::default().next(&mut frame.as_mut_slice(), usize::MAX).unwrap();
            assert_eq!(got, Some(Item::Text(text.as_str().into())), "{len}");
        }
    }

    #[test]
    fn we_read_what_the_server_frames() {
        for (content_len, len) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let frame = Frame::new(Opcode::Text, &vec![b'x'; content_len]);
            let header = Header { first: 0x81, len, content_len };
            assert_eq!(Header::parse(frame.bytes()), Some(header));
            assert_eq!(Header::parse(&frame.bytes()[..len - 1]), None, "{content_len}");
        }
        assert_eq!(Header::parse(&[0x81, 0x80]).map(|header| header.content_len), Some(usize::MAX));
    }
}
