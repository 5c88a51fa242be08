//! The reference: clients and their sockets in plain lists, and the bytes that each message should have, made without our
//! codecs.

use codec::message::{Content, Origin, Payload};
use prost::Message as _;
use proto::client::MessageData;
use proto::client::downstream_message::DataMessage;
use proto::client::message_data::Data;

use super::*;

/// What a peer is sent, as it stands on the wire.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) bytes: Rc<[u8]>,
    /// Its number, if it is kept until it is acknowledged.
    pub(super) number: Option<u64>,
    pub(super) expires_at: Option<Instant>,
}

impl Item {
    pub(super) fn has_expired(&self) -> bool {
        self.expires_at.is_some_and(|at| at <= Instant::now())
    }
}

pub(super) fn len_of<'a>(items: impl IntoIterator<Item = &'a Item>) -> usize {
    items.into_iter().map(|item| item.bytes.len()).sum()
}

/// A client and its connection, as the reference has it.
pub(super) struct Peer {
    pub(super) key: MemberKey,
    pub(super) spoken: Option<Subprotocol>,
    pub(super) is_member: bool,
    /// All numbered messages that it was ever sent, in the order of their numbers.
    pub(super) sent: Vec<Item>,
    /// What it has not acknowledged.
    pub(super) kept: Vec<Item>,
    pub(super) acknowledged: u64,
    /// The largest number that it has seen.
    pub(super) seen: u64,
    pub(super) is_overrun: bool,
    pub(super) line: Option<Line>,
}

/// A socket, as the reference has it.
#[derive(Default)]
pub(super) struct Line {
    /// What is still to come, in its order; what has begun stands first.
    pub(super) due: VecDeque<Item>,
    /// What has come of the first.
    pub(super) begun: Vec<u8>,
    /// The last number that has come.
    pub(super) last: u64,
    /// How many bytes the network takes for now.
    pub(super) room: usize,
    pub(super) is_blocked: bool,
}

impl Line {
    pub(super) fn drop_expired(&mut self) {
        let begun = usize::from(!self.begun.is_empty());
        let mut position = 0;
        self.due.retain(|item| {
            position += 1;
            position <= begun || !item.has_expired()
        });
    }

    /// What the client has is not sent to it again, unless that has begun.
    fn drop_acknowledged(&mut self, up_to: u64) {
        let begun = usize::from(!self.begun.is_empty());
        let mut position = 0;
        self.due.retain(|item| {
            position += 1;
            position <= begun || item.number.is_none_or(|number| number > up_to)
        });
    }

    pub(super) fn waiting(&self) -> usize {
        len_of(&self.due) - self.begun.len()
    }
}

impl Peer {
    pub(super) fn is_reliable(&self) -> bool {
        self.spoken.is_some_and(Subprotocol::is_reliable)
    }

    pub(super) fn limits(&self) -> OutboxLimits {
        match self.is_reliable() {
            false => LIMITS.outbox,
            true => OutboxLimits { messages: 6 + 32, bytes: 3000 + (64 << 10) },
        }
    }

    /// The broker has a message for it.
    pub(super) fn give(&mut self, message: &Message, expires_at: Option<Instant>) {
        let number = self.is_reliable().then_some(self.sent.len() as u64 + 1);
        let item = Item { bytes: message.encoded(self.spoken, number), number, expires_at };
        if number.is_some() {
            let alive = || self.kept.iter().filter(|item| !item.has_expired());
            let fits = alive().count() < LIMITS.window.messages
                && len_of(alive()) + item.bytes.len() <= LIMITS.window.bytes;
            self.is_overrun |= !fits;
            if self.is_overrun {
                return;
            }
            self.sent.push(item.clone());
            self.kept.push(item.clone());
        }
        if let Some(line) = &mut self.line {
            line.due.push_back(item);
        }
    }

    pub(super) fn pong(&mut self) {
        let bytes: &[u8] = match self.spoken {
            None => return,
            Some(Subprotocol::Json | Subprotocol::JsonReliable) => b"\x81\x0f{\"type\":\"pong\"}",
            Some(_) => b"\x82\x02\x22\x00",
        };
        if let Some(line) = &mut self.line {
            line.due.push_back(Item { bytes: bytes.into(), number: None, expires_at: None });
        }
    }

    pub(super) fn acknowledge(&mut self, up_to: u64) {
        if self.is_reliable() {
            // Beyond the last means all that there is, not what is still to be.
            self.acknowledged = self.acknowledged.max(up_to.min(self.sent.len() as u64));
            self.kept.retain(|item| item.number > Some(up_to));
            if let Some(line) = &mut self.line {
                line.drop_acknowledged(up_to);
            }
        }
    }

    pub(super) fn resume(&mut self) {
        self.kept.retain(|item| !item.has_expired());
        let due = self.kept.iter().cloned().collect();
        self.line = Some(Line { due, ..Line::default() });
    }

    /// The network has brought these bytes.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        let line = self.line.as_mut().unwrap();
        line.begun.extend_from_slice(bytes);
        let mut numbers = Vec::new();
        while let Some(first) = line.due.front() {
            let len = first.bytes.len().min(line.begun.len());
            assert_eq!(show(&line.begun[..len]), show(&first.bytes[..len]), "not what comes next");
            if len < first.bytes.len() {
                break;
            }
            line.begun.drain(..len);
            numbers.extend(first.number);
            line.due.pop_front();
        }
        assert!(!line.due.is_empty() || line.begun.is_empty(), "more than there is");
        numbers.into_iter().for_each(|number| self.see(number));
    }

    /// A numbered message has come whole: what its client was promised.
    pub(super) fn see(&mut self, number: u64) {
        let line = self.line.as_mut().unwrap();
        assert!(number > line.last, "{number} after {} on one socket", line.last);
        line.last = number;
        self.expect_nothing_lost(number);
        self.seen = self.seen.max(number);
    }

    /// All that stands between what was seen and this number was not worth sending.
    pub(super) fn expect_nothing_lost(&self, number: u64) {
        for missing in self.seen + 1..number {
            let is_due = missing > self.acknowledged && !self.sent[missing as usize - 1].has_expired();
            assert!(!is_due, "{missing} is lost");
        }
    }
}

pub(super) fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Something that is sent, before anybody has encoded it.
pub(super) struct Message {
    pub(super) from_group: bool,
    pub(super) data: String,
}

impl Message {
    pub(super) fn origin(&self) -> Origin {
        match self.from_group {
            true => Origin::Group { group: group_name(), from_user_id: None },
            false => Origin::Server,
        }
    }

    pub(super) fn content(&self) -> Content {
        Content { payload: Payload::text(self.data.as_str()), metadata: None }
    }

    /// The frame for a peer, made without the codecs.
    pub(super) fn encoded(&self, spoken: Option<Subprotocol>, number: Option<u64>) -> Rc<[u8]> {
        let (opcode, content) = match spoken {
            None => (0x81, self.data.clone().into_bytes()),
            Some(Subprotocol::Json | Subprotocol::JsonReliable) => (0x81, self.json(number).into_bytes()),
            Some(_) => (0x82, self.protobuf(number)),
        };
        let mut bytes = vec![opcode];
        match content.len() {
            len @ 0..126 => bytes.push(len as u8),
            len => {
                bytes.push(126);
                bytes.extend((len as u16).to_be_bytes());
            }
        }
        bytes.extend(content);
        bytes.into()
    }

    pub(super) fn json(&self, number: Option<u64>) -> String {
        let number = number.map(|number| format!(r#""sequenceId":{number},"#)).unwrap_or_default();
        let from = match self.from_group {
            true => r#""group","group":"g","fromUserId":null"#,
            false => r#""server""#,
        };
        format!(r#"{{{number}"type":"message","from":{from},"dataType":"text","data":"{}"}}"#, self.data)
    }

    /// The number stands before the other fields of its message.
    pub(super) fn protobuf(&self, number: Option<u64>) -> Vec<u8> {
        let number = DataMessage { sequence_id: number, ..DataMessage::default() };
        let message = DataMessage {
            from: if self.from_group { "group".into() } else { "server".into() },
            group: self.from_group.then(|| "g".into()),
            data: Some(MessageData { data: Some(Data::TextData(self.data.clone())) }),
            ..DataMessage::default()
        };
        let member = [number.encode_to_vec(), message.encode_to_vec()].concat();
        let mut bytes = vec![0x12];
        prost::encode_length_delimiter(member.len(), &mut bytes).unwrap();
        bytes.extend(member);
        bytes
    }
}
