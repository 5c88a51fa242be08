//! Pings among bytes that nobody may decode yet: whoever waits for something before it takes the next message answers
//! them all the same, or its client would take it for dead.

use super::decode::{Header, unmask};
use super::frame::Opcode;

/// Takes pings out of bytes that wait to be decoded. It remembers how far it has looked.
#[derive(Debug, Default)]
pub struct PingFinder {
    /// Where the first frame begins that was not looked at; beyond the end if a frame is not whole.
    next: usize,
}

impl PingFinder {
    /// Takes all whole pings out of `bytes` and gives their contents. `bytes` begins with a frame, and is only added to
    /// between two calls. What cannot be a frame, and all behind it or behind a close frame, is left to the decoder.
    pub fn take(&mut self, bytes: &mut Vec<u8>) -> Vec<Vec<u8>> {
        let mut contents = Vec::new();
        while let Some(rest) = bytes.get(self.next..)
            && let Ok(Some((header, header_len))) = Header::parse(rest)
            && header.opcode != Opcode::Close
        {
            let Some(end) = (self.next + header_len).checked_add(header.content_len) else {
                break;
            };
            if header.opcode != Opcode::Ping {
                self.next = end;
                continue;
            }
            if bytes.len() < end {
                break;
            }
            let mut content: Vec<u8> = bytes.drain(self.next..end).skip(header_len).collect();
            unmask(&mut content, header.mask, 0);
            contents.push(content);
        }
        contents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, content: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![first];
        match content.len() {
            len @ 0..=125 => frame.push(0x80 | len as u8),
            len => {
                frame.push(0x80 | 126);
                frame.extend((len as u16).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(content.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    const TEXT: u8 = 0x81;
    const PING: u8 = 0x89;
    const CLOSE: u8 = 0x88;

    /// Hands the bytes over in pieces of each length, and compares what was found and what is left.
    fn check(bytes: &[u8], found: &[&[u8]], left: &[u8]) {
        for piece in 1..=bytes.len() {
            let (mut finder, mut waiting, mut pings) = (PingFinder::default(), Vec::new(), Vec::new());
            for piece in bytes.chunks(piece) {
                waiting.extend_from_slice(piece);
                pings.append(&mut finder.take(&mut waiting));
            }
            assert_eq!((pings, &waiting[..]), (found.iter().map(|f| f.to_vec()).collect(), left), "{piece}");
        }
    }

    #[test]
    fn pings_are_taken_from_between_messages_wherever_the_network_cuts() {
        let (text, long) = (frame(TEXT, b"hi"), frame(TEXT, &[b'x'; 300]));
        let (empty, full) = (frame(PING, b""), frame(PING, b"are you there?"));
        check(&empty, &[b""], b"");
        check(&text, &[], &text);
        let mixed = [&text[..], &full, &long, &empty, &text].concat();
        check(&mixed, &[b"are you there?", b""], &[&text[..], &long, &text].concat());
        // Half a ping, and a message that is not whole.
        check(&full[..full.len() - 1], &[], &full[..full.len() - 1]);
        check(&long[..100], &[], &long[..100]);
    }

    #[test]
    fn what_is_behind_the_end_is_left_alone() {
        let ping = frame(PING, b"");
        let ended = [frame(CLOSE, b""), ping.clone()].concat();
        check(&ended, &[], &ended);
        let broken = [vec![0xFF, 0xFF], ping].concat();
        check(&broken, &[], &broken);
        let endless = [vec![0x82, 0xFF], vec![0xFF; 8], vec![0; 4]].concat();
        check(&endless, &[], &endless);
    }
}
