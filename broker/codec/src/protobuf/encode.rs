//! [`Downstream`] to the bytes of a frame. Published clients end over a member that they do not know and over a message
//! without data, so neither is ever written. Source: `client-protobuf.md` 3 and 4.
//!
//! The generated types own their text and bytes, so that filling them would copy every payload. What is written here is
//! compared with what they read in the tests.

use super::varint;
use crate::ids::{AckId, ConnectionId, UserId};
use crate::message::{AckError, Content, DataType, Downstream, Origin, Payload};
use crate::metadata::Metadata;

/// Bytes of the longest envelope around a short group and payload; more is rarely needed.
const ENVELOPE: usize = 64;

/// Appends the message to `out`: one `DownstreamMessage`, its fields in the order of their numbers.
pub fn encode(message: &Downstream, out: &mut Vec<u8>) {
    if let Downstream::Message { content, .. } = message {
        out.reserve(ENVELOPE + content.payload.bytes().len());
    }
    let mut writer = Writer { out: Some(out), len: 0 };
    match message {
        Downstream::Ack { ack_id, result } => {
            writer.message(1, |ack| write_ack(ack, *ack_id, result.as_ref().err()));
        }
        Downstream::Message { origin, content } => {
            writer.message(2, |message| write_message(message, origin, content));
        }
        Downstream::Connected { connection_id, user_id, reconnection_token } => {
            let connected = |fields: &mut Writer<'_>| {
                write_connected(fields, connection_id, user_id.as_ref());
                if let Some(token) = reconnection_token {
                    fields.string(3, token);
                }
            };
            writer.message(3, |system| system.message(1, connected));
        }
        Downstream::Disconnected { message } => {
            writer.message(3, |system| system.message(2, |fields| fields.string(2, message)));
        }
        Downstream::Pong => writer.message(4, |_| {}),
    }
}

fn write_connected(fields: &mut Writer<'_>, connection_id: &ConnectionId, user_id: Option<&UserId>) {
    fields.string(1, connection_id.as_str());
    if let Some(user_id) = user_id {
        fields.string(2, user_id.as_str());
    }
}

fn write_ack(fields: &mut Writer<'_>, ack_id: AckId, error: Option<&AckError>) {
    fields.number(1, ack_id.0);
    fields.number(2, u64::from(error.is_none()));
    if let Some(error) = error {
        let text = error.to_string();
        fields.message(3, |fields| {
            fields.string(1, error.name());
            fields.string(2, &text);
        });
    }
}

fn write_message(fields: &mut Writer<'_>, origin: &Origin, content: &Content) {
    match origin {
        // There is no field for the publisher's user.
        Origin::Group { group, .. } => {
            fields.string(1, "group");
            fields.string(2, group.as_str());
        }
        Origin::Server => fields.string(1, "server"),
    }
    fields.message(3, |data| write_payload(data, &content.payload));
    if let Some(metadata) = &content.metadata {
        write_metadata(fields, metadata);
    }
}

/// The member says what kind of payload it is, so it is there even when it is empty.
fn write_payload(fields: &mut Writer<'_>, payload: &Payload) {
    let member = match payload.data_type() {
        DataType::Text => 1,
        DataType::Binary => 2,
        // The bytes are a serialized message, which is what stands in a field of messages.
        DataType::Protobuf => 3,
        DataType::Json => 4,
    };
    fields.bytes(member, payload.bytes());
}

fn write_metadata(fields: &mut Writer<'_>, metadata: &Metadata) {
    for (key, value) in metadata.iter() {
        fields.message(5, |entry| {
            entry.bytes(1, key.as_bytes());
            entry.bytes(2, value.as_bytes());
        });
    }
}

/// Writes fields, or only counts their bytes: the length of a message stands before it.
struct Writer<'a> {
    /// Absent while counting.
    out: Option<&'a mut Vec<u8>>,
    len: usize,
}

impl Writer<'_> {
    /// A number; 0 is not sent.
    fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }

    /// Text; the empty one is not sent.
    fn string(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    /// Bytes, also when there are none.
    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.delimited(field, bytes.len());
        self.raw(bytes);
    }

    /// A message whose fields `write` writes. It is called twice, or once where nothing but bytes are counted.
    fn message(&mut self, field: u64, write: impl Fn(&mut Writer<'_>)) {
        let mut counter = Writer { out: None, len: 0 };
        write(&mut counter);
        self.delimited(field, counter.len);
        match self.out {
            Some(_) => write(self),
            None => self.len += counter.len,
        }
    }

    fn delimited(&mut self, field: u64, len: usize) {
        const LENGTH_DELIMITED: u64 = 2;
        self.varint(field << 3 | LENGTH_DELIMITED);
        self.varint(len as u64);
    }

    fn varint(&mut self, value: u64) {
        varint::write(value, |byte| self.raw(&[byte]));
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        if let Some(out) = &mut self.out {
            out.extend_from_slice(bytes);
        }
    }
}
