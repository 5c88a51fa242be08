//! Text of a frame to [`Upstream`]. One function for each message, so that the tables of `client-protocols.md` 6.2, 8, 9 and
//! 11 can be read beside it; how a single property is read is in [`super::fields`] and [`super::objects`].

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::fields::{Fields, INTEGER, Property};
use super::objects::StreamFields;
use super::{InvalidMessage, is_shallow};
use crate::ids::{AckId, EventName, GroupName, InvocationId, SequenceId, StreamId};
use crate::message::{
    Content, DEFAULT_IDLE_TIMEOUT, DataType, InvalidStream, Invoke, MAX_TIME_TO_LIVE, Payload, SendToGroup,
    StreamData, StreamEnd, StreamFragment, StreamSequenceId, StreamStart, TimeToLive, Upstream,
};

/// The standard alphabet, padded. Stray bits before the padding are forgiven, as the service does.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Reads one message of a client, the whole content of a text frame.
///
/// # Errors
/// [`InvalidMessage`] for anything that the protocol does not allow. It ends the connection, even when the message
/// carries an ack id, because an id out of a broken message cannot be trusted.
pub fn decode(text: &[u8]) -> Result<Upstream, InvalidMessage> {
    let text = std::str::from_utf8(text).map_err(|_| InvalidMessage::Utf8)?;
    if !is_shallow(text) {
        return Err(InvalidMessage::Depth);
    }
    let fields: Fields = serde_json::from_str(text)
        .map_err(|error| InvalidMessage::Syntax { line: error.line(), column: error.column() })?;

    let ack_id = fields.number(Property::AckId)?.map(AckId);
    match find(&KINDS, &fields.string(Property::Type)?).ok_or(InvalidMessage::Type)? {
        Kind::JoinGroup => Ok(Upstream::JoinGroup { group: group(&fields)?, ack_id }),
        Kind::LeaveGroup => Ok(Upstream::LeaveGroup { group: group(&fields)?, ack_id }),
        Kind::SendToGroup => send_to_group(&fields, ack_id),
        Kind::Event => event(&fields, ack_id),
        Kind::Ping => Ok(Upstream::Ping),
        Kind::SequenceAck => sequence_ack(&fields),
        Kind::Invoke => invoke(&fields),
        Kind::CancelInvocation => Ok(Upstream::CancelInvocation(invocation_id(&fields)?)),
        Kind::InvokeResponse => Ok(Upstream::InvokeResponse),
        Kind::StreamData => stream_data(&fields),
        Kind::StreamEnd => {
            Ok(Upstream::StreamEnd(StreamEnd { stream_id: stream_id(&fields)?, error: fields.user_error()? }))
        }
        Kind::SetGroupState => {
            Ok(Upstream::SetGroupState { group: group(&fields)?, state: fields.group_state()?, ack_id })
        }
        Kind::SubscribeGroupState => Ok(Upstream::SubscribeGroupState { group: group(&fields)?, ack_id }),
        Kind::UnsubscribeGroupState => Ok(Upstream::UnsubscribeGroupState { group: group(&fields)?, ack_id }),
    }
}

/// Which message it is.
#[derive(Clone, Copy)]
enum Kind {
    JoinGroup,
    LeaveGroup,
    SendToGroup,
    Event,
    Ping,
    SequenceAck,
    Invoke,
    CancelInvocation,
    InvokeResponse,
    StreamData,
    StreamEnd,
    SetGroupState,
    SubscribeGroupState,
    UnsubscribeGroupState,
}

/// Values of `type`, the most frequent first.
const KINDS: [(&str, Kind); 14] = [
    ("sendToGroup", Kind::SendToGroup),
    ("event", Kind::Event),
    ("ping", Kind::Ping),
    ("streamData", Kind::StreamData),
    ("sequenceAck", Kind::SequenceAck),
    ("joinGroup", Kind::JoinGroup),
    ("leaveGroup", Kind::LeaveGroup),
    ("invoke", Kind::Invoke),
    ("cancelInvocation", Kind::CancelInvocation),
    ("invokeResponse", Kind::InvokeResponse),
    ("streamEnd", Kind::StreamEnd),
    ("setGroupState", Kind::SetGroupState),
    ("subscribeGroupState", Kind::SubscribeGroupState),
    ("unsubscribeGroupState", Kind::UnsubscribeGroupState),
];

/// Values of `dataType`.
const DATA_TYPES: [(&str, DataType); 4] = [
    ("json", DataType::Json),
    ("text", DataType::Text),
    ("binary", DataType::Binary),
    ("protobuf", DataType::Protobuf),
];

/// Looks a name up, ignoring case.
fn find<T: Copy>(known: &[(&str, T)], name: &str) -> Option<T> {
    known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, meaning)| *meaning)
}

fn send_to_group(fields: &Fields<'_>, ack_id: Option<AckId>) -> Result<Upstream, InvalidMessage> {
    let (group, no_echo) = (group(fields)?, fields.switch(Property::NoEcho)?);
    let time_to_live = time_to_live(fields)?;
    if let Some(stream) = fields.stream()? {
        // A stream has no use for metadata, but those of a publication may not be wrong either.
        fields.metadata()?;
        let idle_timeout = stream.idle_timeout_ms.map_or(Some(DEFAULT_IDLE_TIMEOUT), idle_timeout);
        return Ok(match idle_timeout {
            Some(idle_timeout) if !stream.stream_id.is_empty() && fields.source(Property::Data).is_none() => {
                let stream_id = StreamId::new(&stream.stream_id);
                Upstream::StreamStart(StreamStart { stream_id, group, no_echo, idle_timeout })
            }
            _ => no_start(&stream),
        });
    }
    let content = content(fields)?;
    Ok(Upstream::SendToGroup(SendToGroup { group, content, no_echo, time_to_live, ack_id }))
}

/// A whole number of milliseconds from 1 to 2^32-1.
fn idle_timeout(number: &str) -> Option<Duration> {
    let milliseconds: u32 = number.parse().ok()?;
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds.into()))
}

/// A stream that is not begun: something is wrong with how it is asked for, or it stands where none can begin.
fn no_start(stream: &StreamFields<'_>) -> Upstream {
    Upstream::InvalidStream(InvalidStream::Start(StreamId::new(&stream.stream_id)))
}

fn event(fields: &Fields<'_>, ack_id: Option<AckId>) -> Result<Upstream, InvalidMessage> {
    let event = EventName::new(&fields.string(Property::Event)?)?;
    if let Some(stream) = fields.stream()? {
        return Ok(no_start(&stream));
    }
    Ok(Upstream::Event { event, content: content(fields)?, ack_id })
}

fn invoke(fields: &Fields<'_>) -> Result<Upstream, InvalidMessage> {
    if !fields.string(Property::Target)?.eq_ignore_ascii_case("event") {
        return Err(Property::Target.must_be("event"));
    }
    let event = EventName::new(&fields.string(Property::Event)?)?;
    let invocation_id = invocation_id(fields)?;
    if let Some(stream) = fields.stream()? {
        return Ok(no_start(&stream));
    }
    let metadata = fields.metadata()?;
    let payload = match fields.source(Property::Data) {
        Some(source) => payload(fields, source)?,
        None => Payload::text(""),
    };
    Ok(Upstream::Invoke(Invoke { invocation_id, event, content: Content { payload, metadata } }))
}

fn invocation_id(fields: &Fields<'_>) -> Result<InvocationId, InvalidMessage> {
    Ok(InvocationId::new(&fields.string(Property::InvocationId)?)?)
}

fn stream_id(fields: &Fields<'_>) -> Result<StreamId, InvalidMessage> {
    Ok(StreamId::new(&fields.string(Property::StreamId)?))
}

fn stream_data(fields: &Fields<'_>) -> Result<Upstream, InvalidMessage> {
    let stream_id = stream_id(fields)?;
    let number = fields.number(Property::StreamSequenceId)?;
    let payload = match (declared_type(fields)?, fields.source(Property::Data)) {
        (Some(_), Some(source)) => Some(payload(fields, source)?),
        (None, None) if number.is_none() => {
            return Ok(Upstream::StreamData(StreamData { stream_id, fragment: None }));
        }
        _ => None,
    };
    Ok(match (number, payload) {
        (Some(number), Some(payload)) if number > 0 => {
            let fragment = Some(StreamFragment { sequence_id: StreamSequenceId(number), payload });
            Upstream::StreamData(StreamData { stream_id, fragment })
        }
        _ => Upstream::InvalidStream(InvalidStream::Data(stream_id)),
    })
}

fn sequence_ack(fields: &Fields<'_>) -> Result<Upstream, InvalidMessage> {
    match fields.number(Property::SequenceId)? {
        Some(id) => Ok(Upstream::SequenceAck(SequenceId(id))),
        None => Err(Property::SequenceId.must_be(INTEGER)),
    }
}

fn group(fields: &Fields<'_>) -> Result<GroupName, InvalidMessage> {
    Ok(GroupName::new(&fields.string(Property::Group)?)?)
}

fn time_to_live(fields: &Fields<'_>) -> Result<TimeToLive, InvalidMessage> {
    let longest = MAX_TIME_TO_LIVE.as_secs();
    match fields.number(Property::TtlSeconds) {
        Ok(None | Some(0)) => Ok(None),
        Ok(Some(seconds)) if seconds <= longest => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(Property::TtlSeconds.must_be("an integer from 0 to 300 or null")),
    }
}

fn content(fields: &Fields<'_>) -> Result<Content, InvalidMessage> {
    let metadata = fields.metadata()?;
    let payload = match fields.source(Property::Data) {
        Some(source) => payload(fields, source)?,
        None if metadata.is_some() => Payload::text(""),
        None => return Err(Property::Data.must_be("present, unless `metadata` is")),
    };
    Ok(Content { payload, metadata })
}

fn payload(fields: &Fields<'_>, source: &str) -> Result<Payload, InvalidMessage> {
    match declared_type(fields)?.unwrap_or(DataType::Json) {
        DataType::Json if source == "null" => Err(Property::Data.must_be("a JSON value other than null")),
        DataType::Json => Ok(Payload::checked_json(Bytes::copy_from_slice(source.as_bytes()))),
        DataType::Text => Ok(Payload::text(fields.string(Property::Data)?)),
        DataType::Binary => Ok(Payload::binary(base64(fields)?)),
        DataType::Protobuf => Ok(Payload::protobuf(base64(fields)?)?),
    }
}

fn declared_type(fields: &Fields<'_>) -> Result<Option<DataType>, InvalidMessage> {
    if fields.source(Property::DataType).is_none() {
        return Ok(None);
    }
    let name = fields.string(Property::DataType)?;
    let known = find(&DATA_TYPES, &name);
    known.map(Some).ok_or(Property::DataType.must_be("one of json, text, binary and protobuf"))
}

fn base64(fields: &Fields<'_>) -> Result<Bytes, InvalidMessage> {
    let text = fields.string(Property::Data)?;
    match BASE64.decode(&*text) {
        Ok(bytes) => Ok(bytes.into()),
        Err(_) => Err(Property::Data.must_be("base64 of the standard alphabet with padding")),
    }
}
