//! [`Downstream`] to the text of a frame. Published clients end their connection, or drop the message, over an `error`
//! or `data` that is null, so neither is ever written. Source: `client-protocols.md` 6.3.

use std::io::Write as _;
use std::ops::RangeInclusive;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use crate::ids::{AckId, ConnectionId, GroupName, InvocationId, SequenceId, StreamId, UserId};
use crate::message::{
    AckError, Content, DataType, Downstream, GroupStateExtent, GroupStateItem, InvokeError, Invoked, Origin,
    Payload, StreamFailure, StreamPart, StreamProgress, StreamSequenceId,
};
use crate::metadata::Metadata;

/// Bytes of the longest envelope around a short group, user and payload; more is rarely needed.
const ENVELOPE: usize = 160;

/// Appends the message to `out`: one JSON object without white space, except where a JSON payload has it.
pub fn encode(message: &Downstream, out: &mut Vec<u8>) {
    let mut writer = Writer(out);
    match message {
        Downstream::Connected { connection_id, user_id, reconnection_token } => {
            writer.connected(connection_id, user_id.as_ref(), reconnection_token.as_deref());
        }
        Downstream::Disconnected { message } => {
            writer.raw(r#"{"type":"system","event":"disconnected","message":"#);
            writer.string(message);
            writer.raw("}");
        }
        Downstream::Ack { ack_id, result } => writer.ack(*ack_id, result.as_ref().err()),
        Downstream::Message { origin, content, stream } => writer.message(origin, content, stream.as_ref()),
        Downstream::Pong => writer.raw(r#"{"type":"pong"}"#),
        Downstream::InvokeResponse { invocation_id, result } => {
            writer.invoke_response(invocation_id, result);
        }
        Downstream::StreamAck { stream_id, expected } => {
            writer.stream(r#"{"type":"streamAck","streamId":"#, stream_id);
            writer.expected(*expected);
            writer.raw("}");
        }
        Downstream::StreamNack { stream_id, expected, error } => {
            writer.stream(r#"{"type":"streamNack","streamId":"#, stream_id);
            writer.expected(*expected);
            writer.raw(",");
            writer.name_and_message(error.name(), error.message());
            writer.raw("}");
        }
        Downstream::StreamClosed { stream_id, error } => {
            writer.stream(r#"{"type":"streamClosed","streamId":"#, stream_id);
            if let Some(error) = error {
                writer.error(error.name(), error.message());
            }
            writer.raw("}");
        }
        Downstream::GroupState { extent, group, items } => writer.group_state(*extent, group, items),
    }
}

/// What stands before a sequence id.
const SEQUENCE_START: &[u8] = br#"{"sequenceId":"#;

/// Bytes that a message with this sequence id begins with, instead of the `{` of the same message without one. The
/// place of a property in its object is free, so that all that follows is the same for every receiver.
#[inline]
pub(crate) fn sequence_start_len(SequenceId(id): SequenceId) -> usize {
    let digits = id.checked_ilog10().unwrap_or_default() as usize + 1;
    SEQUENCE_START.len() + digits + 1
}

/// Writes them into `room`, which must have as many bytes.
pub(crate) fn write_sequence_start(id: SequenceId, room: &mut [u8]) {
    room[..SEQUENCE_START.len()].copy_from_slice(SEQUENCE_START);
    if let Some(last) = room.last_mut() {
        *last = b',';
    }
    renumber(id, room);
}

/// The ids that have as many digits as this one.
pub(crate) fn as_long(SequenceId(id): SequenceId) -> RangeInclusive<u64> {
    let first = 10_u64.pow(id.checked_ilog10().unwrap_or_default());
    first..=first.checked_mul(10).map_or(u64::MAX, |next| next - 1)
}

/// Writes an id into the end of such a beginning, where one with as many digits stands. Nothing is formatted.
#[inline]
pub(crate) fn renumber(SequenceId(mut id): SequenceId, start: &mut [u8]) {
    for digit in start.iter_mut().rev().skip(1) {
        *digit = b'0' + (id % 10) as u8;
        id /= 10;
        if id == 0 {
            return;
        }
    }
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn connected(&mut self, connection_id: &ConnectionId, user_id: Option<&UserId>, token: Option<&str>) {
        self.raw(r#"{"type":"system","event":"connected","userId":"#);
        self.user(user_id);
        self.raw(r#","connectionId":"#);
        self.string(connection_id.as_str());
        if let Some(token) = token {
            self.raw(r#","reconnectionToken":"#);
            self.string(token);
        }
        self.raw("}");
    }

    fn ack(&mut self, ack_id: AckId, error: Option<&AckError>) {
        self.raw(r#"{"type":"ack","ackId":"#);
        // A vector takes whatever is written to it.
        let _ = write!(self.0, "{}", ack_id.0);
        let Some(error) = error else {
            return self.raw(r#","success":true}"#);
        };
        self.raw(r#","success":false"#);
        self.error(error.name(), &error.to_string());
        self.raw("}");
    }

    fn error(&mut self, name: &str, message: &str) {
        self.raw(r#","error":{"#);
        self.name_and_message(name, message);
        self.raw("}");
    }

    fn name_and_message(&mut self, name: &str, message: &str) {
        self.raw(r#""name":"#);
        self.string(name);
        self.raw(r#","message":"#);
        self.string(message);
    }

    fn invoke_response(&mut self, id: &InvocationId, result: &Result<Invoked, InvokeError>) {
        self.raw(r#"{"type":"invokeResponse","invocationId":"#);
        self.string(id.as_str());
        match result {
            Ok(Invoked { payload, metadata }) => {
                self.raw(r#","success":true"#);
                if let Some(payload) = payload {
                    self.payload(payload);
                }
                if let Some(metadata) = metadata {
                    self.metadata(metadata);
                }
            }
            Err(error) => {
                self.raw(r#","success":false"#);
                self.error(error.name(), &error.to_string());
            }
        }
        self.raw("}");
    }

    fn stream(&mut self, start: &str, stream_id: &StreamId) {
        self.raw(start);
        self.string(stream_id.as_str());
    }

    fn expected(&mut self, StreamSequenceId(expected): StreamSequenceId) {
        let _ = write!(self.0, r#","expectedSequenceId":{expected}"#);
    }

    fn stream_part(&mut self, part: &StreamPart) {
        self.stream(r#","stream":{"streamId":"#, &part.stream_id);
        let _ = write!(self.0, r#","streamSequenceId":{}"#, part.sequence_id.0);
        if part.progress != StreamProgress::Open {
            self.raw(r#","endOfStream":true"#);
        }
        if let StreamProgress::Broken(failure) = &part.progress {
            self.raw(r#","error":{"#);
            self.name_and_message(failure.name(), failure.message());
            if let StreamFailure::UserError(user_error) = failure
                && let Some(code) = &user_error.code
            {
                self.raw(r#","userErrorCode":"#);
                self.string(code);
            }
            self.raw("}");
        }
        self.raw("}");
    }

    fn group_state(&mut self, extent: GroupStateExtent, group: &GroupName, items: &[GroupStateItem]) {
        self.raw(match extent {
            GroupStateExtent::Snapshot => r#"{"type":"groupStateSnapshot","group":"#,
            GroupStateExtent::Update => r#"{"type":"groupStateUpdate","group":"#,
        });
        self.string(group.as_str());
        self.raw(r#","items":["#);
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.raw(",");
            }
            self.group_state_item(item);
        }
        self.raw("]}");
    }

    fn group_state_item(&mut self, item: &GroupStateItem) {
        self.raw(r#"{"connectionId":"#);
        self.string(item.connection_id.as_str());
        if let Some(user_id) = &item.user_id {
            self.raw(r#","userId":"#);
            self.string(user_id.as_str());
        }
        if let Some(state) = &item.state {
            self.raw(r#","state":"#);
            self.map(state.iter());
        }
        let _ = write!(self.0, r#","updatedAt":{}}}"#, item.updated_at);
    }

    fn message(&mut self, origin: &Origin, content: &Content, stream: Option<&StreamPart>) {
        self.0.reserve(ENVELOPE + content.payload.bytes().len());
        match origin {
            Origin::Group { group, from_user_id } => {
                self.raw(r#"{"type":"message","from":"group","group":"#);
                self.string(group.as_str());
                self.raw(r#","fromUserId":"#);
                self.user(from_user_id.as_ref());
            }
            Origin::Server => self.raw(r#"{"type":"message","from":"server""#),
        }
        self.payload(&content.payload);
        if let Some(metadata) = &content.metadata {
            self.metadata(metadata);
        }
        if let Some(part) = stream {
            self.stream_part(part);
        }
        self.raw("}");
    }

    fn payload(&mut self, payload: &Payload) {
        let bytes = payload.bytes();
        match payload.data_type() {
            DataType::Text => {
                self.raw(r#","dataType":"text","data":"#);
                self.text(bytes);
            }
            // REST takes a bare `null`, but no client survives it as data. As text it still says what was sent.
            DataType::Json if bytes.trim_ascii() == b"null" => {
                self.raw(r#","dataType":"text","data":"null""#);
            }
            DataType::Json => {
                self.raw(r#","dataType":"json","data":"#);
                self.0.extend_from_slice(bytes);
            }
            DataType::Binary => {
                self.raw(r#","dataType":"binary","data":"#);
                self.base64(bytes);
            }
            DataType::Protobuf => {
                self.raw(r#","dataType":"protobuf","data":"#);
                self.base64(bytes);
            }
        }
    }

    fn metadata(&mut self, metadata: &Metadata) {
        self.raw(r#","metadata":"#);
        self.map(metadata.iter());
    }

    fn map<'a>(&mut self, entries: impl Iterator<Item = (&'a str, &'a str)>) {
        self.raw("{");
        for (position, (key, value)) in entries.enumerate() {
            if position > 0 {
                self.raw(",");
            }
            self.string(key);
            self.raw(":");
            self.string(value);
        }
        self.raw("}");
    }

    fn user(&mut self, user_id: Option<&UserId>) {
        match user_id {
            Some(user_id) => self.string(user_id.as_str()),
            None => self.raw("null"),
        }
    }

    /// Text of a payload, which its constructor has found valid.
    fn text(&mut self, bytes: &[u8]) {
        self.string(&String::from_utf8_lossy(bytes));
    }

    fn string(&mut self, text: &str) {
        let _ = serde_json::to_writer(&mut *self.0, text);
    }

    fn base64(&mut self, bytes: &[u8]) {
        let _ = write!(self.0, "\"{}\"", Base64Display::new(bytes, &STANDARD));
    }

    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }
}
