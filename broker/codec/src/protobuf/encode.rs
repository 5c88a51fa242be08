//! [`Downstream`] to the bytes of a frame. Published clients end over a member that they do not know and over a message
//! without data, so neither is ever written. Source: `client-protobuf.md` 3 and 4.
//!
//! The generated types own their text and bytes, so that filling them would copy every payload. What is written here is
//! compared with what they read in the tests.

use super::varint;
use crate::ids::{AckId, ConnectionId, GroupName, InvocationId, UserId};
use crate::message::{
    AckError, Content, DataType, Downstream, GroupStateExtent, GroupStateItem, InvokeError, Invoked, Origin,
    Payload, StreamFailure, StreamPart, StreamProgress,
};
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
        Downstream::Message { origin, content, stream } => {
            writer.message(2, |message| write_message(message, origin, content, stream.as_ref()));
        }
        Downstream::Connected { connection_id, user_id, reconnection_token } => {
            let connected = |fields: &mut Writer<'_>| {
                write_connected(fields, connection_id, user_id.as_ref());
                if let Some(token) = reconnection_token {
                    // A field of its own presence, so that an empty one is there as well.
                    fields.bytes(3, token.as_bytes());
                }
            };
            writer.message(3, |system| system.message(1, connected));
        }
        Downstream::Disconnected { message } => {
            writer.message(3, |system| system.message(2, |fields| fields.string(2, message)));
        }
        Downstream::Pong => writer.message(4, |_| {}),
        Downstream::InvokeResponse { invocation_id, result } => {
            writer.message(5, |response| write_invoke_response(response, invocation_id, result));
        }
        Downstream::StreamAck { stream_id, expected } => writer.message(6, |ack| {
            ack.string(1, stream_id.as_str());
            ack.number(2, expected.0);
        }),
        Downstream::StreamNack { stream_id, expected, error } => writer.message(7, |nack| {
            nack.string(1, stream_id.as_str());
            nack.string(2, error.name());
            nack.string(3, error.message());
            nack.number(4, expected.0);
        }),
        Downstream::StreamClosed { stream_id, error } => writer.message(8, |closed| {
            closed.string(1, stream_id.as_str());
            if let Some(error) = error {
                write_error(closed, 2, error.name(), error.message());
            }
        }),
        Downstream::GroupState { extent, group, items } => {
            let member = match extent {
                GroupStateExtent::Update => 9,
                GroupStateExtent::Snapshot => 10,
            };
            writer.message(member, |states| write_group_state(states, group, items));
        }
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
        write_error(fields, 3, error.name(), &error.to_string());
    }
}

/// An error's name and text.
fn write_error(fields: &mut Writer<'_>, field: u64, name: &str, text: &str) {
    fields.message(field, |error| {
        error.string(1, name);
        error.string(2, text);
    });
}

fn write_message(fields: &mut Writer<'_>, origin: &Origin, content: &Content, stream: Option<&StreamPart>) {
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
    if let Some(part) = stream {
        fields.message(6, |stream| write_stream_part(stream, part));
    }
}

fn write_stream_part(fields: &mut Writer<'_>, part: &StreamPart) {
    fields.string(1, part.stream_id.as_str());
    fields.number(2, part.sequence_id.0);
    fields.number(3, u64::from(part.progress != StreamProgress::Open));
    if let StreamProgress::Broken(failure) = &part.progress {
        fields.message(4, |error| {
            error.string(1, failure.name());
            error.string(2, failure.message());
            if let StreamFailure::UserError(user_error) = failure {
                error.string(3, user_error.code.as_deref().unwrap_or_default());
            }
        });
    }
}

fn write_invoke_response(
    fields: &mut Writer<'_>,
    invocation_id: &InvocationId,
    result: &Result<Invoked, InvokeError>,
) {
    fields.string(1, invocation_id.as_str());
    fields.number(2, u64::from(result.is_ok()));
    match result {
        Ok(Invoked { payload, metadata }) => {
            if let Some(payload) = payload {
                fields.message(3, |data| write_payload(data, payload));
            }
            if let Some(metadata) = metadata {
                write_metadata(fields, metadata);
            }
        }
        Err(error) => write_error(fields, 4, error.name(), &error.to_string()),
    }
}

fn write_group_state(fields: &mut Writer<'_>, group: &GroupName, items: &[GroupStateItem]) {
    fields.string(1, group.as_str());
    for item in items {
        fields.message(2, |fields| write_group_state_item(fields, item));
    }
}

fn write_group_state_item(fields: &mut Writer<'_>, item: &GroupStateItem) {
    fields.string(1, item.connection_id.as_str());
    if let Some(user_id) = &item.user_id {
        fields.string(2, user_id.as_str());
    }
    if let Some(state) = &item.state {
        fields.message(3, |fields| write_map(fields, 1, state.iter()));
    }
    // The schema's signed numbers are written as the unsigned ones with the same bits.
    fields.number(4, item.updated_at.cast_unsigned());
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
    write_map(fields, 5, metadata.iter());
}

fn write_map<'a>(fields: &mut Writer<'_>, field: u64, entries: impl Iterator<Item = (&'a str, &'a str)>) {
    for (key, value) in entries {
        fields.message(field, |entry| {
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
