//! What a caller says and hears: a user event with a number, its reply and its ack. Pure text, no sockets.
//!
//! Callers use it, and the limit proxy reads the same words from the other side.

use std::io::Write as _;

use codec::websocket::Opcode;

use super::frame::masked;
use super::handshake::{self, MARK, NUMBER_DIGITS};
use super::tally::parse_digits;
use crate::arguments::Protocol;

/// Name of the event that callers of the JSON protocol raise. A simple client's is always `message`.
const EVENT: &str = "echo";
/// The group that callers publish to.
const GROUP: &str = "nobody";
/// Stands before the digits of an ack id, and before the text, in what a caller says. Both are ours alone.
const ACK_ID: &str = r#""ackId":"#;
const DATA: &str = r#""data":""#;

/// How callers of one protocol word an event, and what they expect to hear.
pub(super) struct Wording {
    protocol: Protocol,
    /// What follows the number in the text.
    filler: Vec<u8>,
    /// Where the text of the last reply began, looked up anew when another differs.
    mark_at: usize,
    /// Serves each event in turn.
    content: Vec<u8>,
}

/// What came from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The reply to the event with this number: its own text, whole.
    Reply(u32),
    /// The event with this number is done.
    Ack(u32),
    /// The event with this number failed.
    Refusal(u32),
    /// None of these.
    Other,
}

impl Wording {
    /// Events have a text of `payload` bytes, at least 16.
    pub(super) fn new(protocol: Protocol, payload: u32) -> Self {
        let text = handshake::payload_text(payload as usize);
        let filler = text.as_bytes()[MARK.len() + NUMBER_DIGITS..].to_vec();
        Self { protocol, filler, mark_at: 0, content: Vec::new() }
    }

    /// Appends the frame of an event.
    pub(super) fn append_event(&mut self, number: u32, out: &mut Vec<u8>) {
        self.content.clear();
        // Ids of acks start at 1. Writing into memory does not fail.
        let ack_id = u64::from(number) + 1;
        let _ = match self.protocol {
            Protocol::Json => write!(
                self.content,
                r#"{{"type":"event","event":"{EVENT}",{ACK_ID}{ack_id},"dataType":"text",{DATA}"#
            ),
            Protocol::Publish => write!(
                self.content,
                r#"{{"type":"sendToGroup","group":"{GROUP}",{ACK_ID}{ack_id},"dataType":"text",{DATA}"#
            ),
            Protocol::Raw => Ok(()),
        };
        self.content.extend_from_slice(MARK);
        let _ = write!(self.content, "{number:0NUMBER_DIGITS$}");
        self.content.extend_from_slice(&self.filler);
        if self.protocol != Protocol::Raw {
            self.content.extend_from_slice(br#""}"#);
        }
        out.extend_from_slice(&masked(Opcode::Text, &self.content).0);
    }

    /// Tells what a text message is.
    pub(super) fn hear(&mut self, content: &[u8]) -> Heard {
        if let Some(number) = self.reply(content) {
            return Heard::Reply(number);
        }
        let number = |ack_id: u64| u32::try_from(ack_id.checked_sub(1)?).ok();
        match handshake::read_ack(content).map(|(ack_id, success)| (number(ack_id), success)) {
            Some((Some(number), true)) => Heard::Ack(number),
            Some((Some(number), false)) => Heard::Refusal(number),
            _ => Heard::Other,
        }
    }

    fn reply(&mut self, content: &[u8]) -> Option<u32> {
        if !content.get(self.mark_at..)?.starts_with(MARK) {
            self.mark_at = content.windows(MARK.len()).position(|window| window == MARK)?;
        }
        let (digits, rest) = content.get(self.mark_at + MARK.len()..)?.split_first_chunk()?;
        let end = rest.strip_prefix(self.filler.as_slice())?;
        let whole = match self.protocol {
            Protocol::Json | Protocol::Publish => end.starts_with(b"\""),
            Protocol::Raw => end.is_empty() && self.mark_at == 0,
        };
        if whole { parse_digits(*digits) } else { None }
    }
}

/// An event as the limit proxy reads it, without decoding JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// Digits of the ack id; absent from a simple client.
    pub(crate) ack_id: Option<&'a str>,
    /// The text to be echoed.
    pub(crate) data: &'a str,
}

impl<'a> Request<'a> {
    /// Reads what [`Wording::append_event`] writes; `None` of anything else.
    pub(crate) fn read(protocol: Protocol, text: &'a str) -> Option<Self> {
        if protocol == Protocol::Raw {
            return Some(Self { ack_id: None, data: text });
        }
        let (_, behind) = text.split_once(ACK_ID)?;
        let (ack_id, behind) = behind.split_once(',')?;
        let (_, data) = behind.split_once(DATA)?;
        Some(Self { ack_id: Some(ack_id), data: data.strip_suffix(r#""}"#)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::ids::AckId;
    use codec::message::Upstream;
    use codec::websocket::{Decoder, Item};

    fn event(wording: &mut Wording, number: u32) -> String {
        let mut frame = Vec::new();
        wording.append_event(number, &mut frame);
        match Decoder::default().next(&mut frame.as_mut_slice(), usize::MAX).unwrap() {
            Some(Item::Text(text)) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_broker_understands_an_event() {
        let text = event(&mut Wording::new(Protocol::Json, 64), 41);
        let Upstream::Event { event, ack_id, content, .. } = codec::json::decode(text.as_bytes()).unwrap()
        else {
            panic!("no event: {text}");
        };
        assert_eq!((event.as_str(), ack_id), (EVENT, Some(AckId(42))));
        assert_eq!(content.payload.bytes().len(), 64);
        assert!(content.payload.bytes().starts_with(b"number:00000041x"));
    }

    #[test]
    fn the_broker_understands_what_is_published() {
        let text = event(&mut Wording::new(Protocol::Publish, 64), 41);
        let Upstream::SendToGroup(send) = codec::json::decode(text.as_bytes()).unwrap() else {
            panic!("not to a group: {text}");
        };
        assert_eq!((send.group.as_str(), send.ack_id), (GROUP, Some(AckId(42))));
        assert_eq!(send.content.payload.bytes().len(), 64);
    }

    #[test]
    fn the_proxy_reads_ack_id_and_text_of_both_protocols() {
        let text = "number:00000041x";
        let json = event(&mut Wording::new(Protocol::Json, 16), 41);
        assert_eq!(Request::read(Protocol::Json, &json), Some(Request { ack_id: Some("42"), data: text }));
        let raw = event(&mut Wording::new(Protocol::Raw, 16), 41);
        assert_eq!(Request::read(Protocol::Raw, &raw), Some(Request { ack_id: None, data: text }));
        assert_eq!(Request::read(Protocol::Json, "{}"), None);
    }

    #[test]
    fn only_the_whole_text_is_a_reply() {
        let check = |protocol, content: &str, expected| {
            let got = Wording::new(protocol, 16).hear(content.as_bytes());
            assert_eq!(got, expected, "{content}");
        };
        let json = r#"{"type":"message","from":"server","dataType":"text","data":"number:00000041x"}"#;
        check(Protocol::Json, json, Heard::Reply(41));
        check(Protocol::Json, &json.replace("41x", "41"), Heard::Other);
        check(Protocol::Json, &json.replace("41x", "41xx"), Heard::Other);
        check(Protocol::Raw, "number:00000041x", Heard::Reply(41));
        check(Protocol::Raw, "number:00000041xx", Heard::Other);
        check(Protocol::Raw, json, Heard::Other);
        check(Protocol::Json, r#"{"type":"ack","ackId":42,"success":true}"#, Heard::Ack(41));
        check(Protocol::Json, r#"{"type":"ack","ackId":42,"success":false}"#, Heard::Refusal(41));
        check(Protocol::Json, r#"{"type":"ack","ackId":0,"success":true}"#, Heard::Other);
    }
}
