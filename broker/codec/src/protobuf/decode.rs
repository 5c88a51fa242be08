//! Bytes of a frame to [`Upstream`]. One function for each message, so that the table of `client-protobuf.md` 2 can be
//! read beside it.
//!
//! Fields are read by the generated types. Their strings and bytes are the one copy that is made of a payload: a frame
//! stands in a buffer that all connections of a worker share.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use proto::client::message_data::Data;
use proto::client::upstream_message::{
    EventMessage, InvokeEventMessage, JoinGroupMessage, LeaveGroupMessage, Message, SendToGroupMessage,
    SetGroupStateMessage, StreamDataMessage, StreamEndMessage, StreamStartInfo, SubscribeGroupStateMessage,
    UnsubscribeGroupStateMessage,
};
use proto::client::{MessageData, UpstreamMessage};

use super::InvalidMessage;
use crate::ids::{AckId, EventName, GroupName, InvocationId, SequenceId, StreamId};
use crate::message::{
    Content, DEFAULT_IDLE_TIMEOUT, GroupState, InvalidStream, Invoke, MAX_TIME_TO_LIVE, Payload, SendToGroup,
    StreamData, StreamEnd, StreamFragment, StreamSequenceId, StreamStart, TimeToLive, Upstream, UserError,
};
use crate::metadata::Metadata;

/// Reads one message of a client, the whole content of a binary frame. Fields that the schema does not have are
/// skipped; of several members the last counts, as in all of protobuf.
///
/// # Errors
/// [`InvalidMessage`] for anything that the protocol does not allow. It ends the connection, even when the message
/// carries an ack id, because an id out of a broken message cannot be trusted.
pub fn decode(bytes: &[u8]) -> Result<Upstream, InvalidMessage> {
    let message = UpstreamMessage::decode(bytes).map_err(|_| InvalidMessage::Form)?;
    match message.message.ok_or(InvalidMessage::Member)? {
        Message::SendToGroupMessage(message) => send_to_group(message),
        Message::EventMessage(message) => event(message),
        Message::JoinGroupMessage(JoinGroupMessage { group, ack_id }) => {
            Ok(Upstream::JoinGroup { group: GroupName::new(&group)?, ack_id: ack_id.map(AckId) })
        }
        Message::LeaveGroupMessage(LeaveGroupMessage { group, ack_id }) => {
            Ok(Upstream::LeaveGroup { group: GroupName::new(&group)?, ack_id: ack_id.map(AckId) })
        }
        Message::SequenceAckMessage(ack) => Ok(Upstream::SequenceAck(SequenceId(ack.sequence_id))),
        Message::PingMessage(_) => Ok(Upstream::Ping),
        Message::InvokeEventMessage(message) => invoke(message),
        Message::CancelInvocationMessage(message) => {
            Ok(Upstream::CancelInvocation(InvocationId::new(&message.invocation_id)?))
        }
        Message::StreamDataMessage(message) => stream_data(message),
        Message::StreamEndMessage(message) => Ok(Upstream::StreamEnd(stream_end(message))),
        Message::SetGroupStateMessage(SetGroupStateMessage { group, ack_id, state }) => {
            let state = state.map(|state| GroupState::new(state.entries));
            Ok(Upstream::SetGroupState { group: GroupName::new(&group)?, state, ack_id: ack_id.map(AckId) })
        }
        Message::SubscribeGroupStateMessage(SubscribeGroupStateMessage { group, ack_id }) => {
            Ok(Upstream::SubscribeGroupState { group: GroupName::new(&group)?, ack_id: ack_id.map(AckId) })
        }
        Message::UnsubscribeGroupStateMessage(UnsubscribeGroupStateMessage { group, ack_id }) => {
            Ok(Upstream::UnsubscribeGroupState { group: GroupName::new(&group)?, ack_id: ack_id.map(AckId) })
        }
    }
}

fn send_to_group(message: SendToGroupMessage) -> Result<Upstream, InvalidMessage> {
    let SendToGroupMessage { group, ack_id, data, no_echo, ttl_seconds, metadata, stream } = message;
    let (group, no_echo) = (GroupName::new(&group)?, no_echo.unwrap_or_default());
    let time_to_live = time_to_live(ttl_seconds.unwrap_or_default())?;
    if let Some(stream) = stream {
        // A stream has no use for metadata, but those of a publication may not be wrong either.
        metadata_of(metadata)?;
        let idle_timeout = match stream.idle_timeout_ms {
            None => DEFAULT_IDLE_TIMEOUT,
            Some(milliseconds) => Duration::from_millis(milliseconds.into()),
        };
        if stream.stream_id.is_empty() || idle_timeout.is_zero() || data.is_some() {
            return Ok(no_start(&stream));
        }
        let stream_id = StreamId::new(&stream.stream_id);
        return Ok(Upstream::StreamStart(StreamStart { stream_id, group, no_echo, idle_timeout }));
    }
    let (content, ack_id) = (content(data, metadata)?, ack_id.map(AckId));
    Ok(Upstream::SendToGroup(SendToGroup { group, content, no_echo, time_to_live, ack_id }))
}

/// A stream that is not begun: something is wrong with how it is asked for, or it stands where none can begin.
fn no_start(stream: &StreamStartInfo) -> Upstream {
    Upstream::InvalidStream(InvalidStream::Start(StreamId::new(&stream.stream_id)))
}

fn event(message: EventMessage) -> Result<Upstream, InvalidMessage> {
    let EventMessage { event, data, ack_id, metadata, stream } = message;
    let event = EventName::new(&event)?;
    if let Some(stream) = stream {
        return Ok(no_start(&stream));
    }
    Ok(Upstream::Event { event, content: content(data, metadata)?, ack_id: ack_id.map(AckId) })
}

fn invoke(message: InvokeEventMessage) -> Result<Upstream, InvalidMessage> {
    let InvokeEventMessage { event, invocation_id, data, metadata, stream } = message;
    let (event, invocation_id) = (EventName::new(&event)?, InvocationId::new(&invocation_id)?);
    if let Some(stream) = stream {
        return Ok(no_start(&stream));
    }
    let payload = data.map_or_else(|| Ok(Payload::text("")), payload)?;
    let content = Content { payload, metadata: metadata_of(metadata)? };
    Ok(Upstream::Invoke(Invoke { invocation_id, event, content }))
}

fn stream_data(message: StreamDataMessage) -> Result<Upstream, InvalidMessage> {
    let StreamDataMessage { stream_id, stream_sequence_id, data } = message;
    let stream_id = StreamId::new(&stream_id);
    let fragment = match (stream_sequence_id, data.map(payload).transpose()?) {
        (None, None) => None,
        (Some(number), Some(payload)) if number > 0 => {
            Some(StreamFragment { sequence_id: StreamSequenceId(number), payload })
        }
        _ => return Ok(Upstream::InvalidStream(InvalidStream::Data(stream_id))),
    };
    Ok(Upstream::StreamData(StreamData { stream_id, fragment }))
}

fn stream_end(message: StreamEndMessage) -> StreamEnd {
    let error = message.error.map(|error| UserError { message: error.message, code: error.user_error_code });
    StreamEnd { stream_id: StreamId::new(&message.stream_id), error }
}

fn time_to_live(seconds: u32) -> Result<TimeToLive, InvalidMessage> {
    let time = Duration::from_secs(seconds.into());
    match seconds {
        0 => Ok(None),
        _ if time <= MAX_TIME_TO_LIVE => Ok(Some(time)),
        _ => Err(InvalidMessage::Field { field: "ttl_seconds", expected: "a number from 0 to 300" }),
    }
}

fn content(data: Option<MessageData>, metadata: BTreeMap<String, String>) -> Result<Content, InvalidMessage> {
    let metadata = metadata_of(metadata)?;
    let payload = match data {
        Some(data) => payload(data)?,
        None if metadata.is_some() => Payload::text(""),
        None => return Err(missing_data("present, unless `metadata` is")),
    };
    Ok(Content { payload, metadata })
}

/// An empty map and none look the same on the wire.
fn metadata_of(entries: BTreeMap<String, String>) -> Result<Option<Metadata>, InvalidMessage> {
    if entries.is_empty() { Ok(None) } else { Ok(Some(Metadata::new(entries)?)) }
}

fn payload(data: MessageData) -> Result<Payload, InvalidMessage> {
    match data.data.ok_or(missing_data("of a kind that this protocol has"))? {
        Data::TextData(text) => Ok(Payload::text(text)),
        Data::BinaryData(bytes) => Ok(Payload::binary(bytes)),
        Data::ProtobufData(any) => Ok(Payload::protobuf(any.encode_to_vec().into())?),
        Data::JsonData(json) => Ok(Payload::json(Bytes::from(json))?),
    }
}

fn missing_data(expected: &'static str) -> InvalidMessage {
    InvalidMessage::Field { field: "data", expected }
}
