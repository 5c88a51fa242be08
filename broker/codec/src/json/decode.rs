//! Text of a frame to [`Upstream`]. One function for each message, so that the table of `client-protocols.md` 6.2 can
//! be read beside it; how a single property is read is in [`super::fields`].

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::fields::{Fields, INTEGER, Property};
use super::{InvalidMessage, is_shallow};
use crate::ids::{AckId, EventName, GroupName, SequenceId};
use crate::message::{Content, DataType, MAX_TIME_TO_LIVE, Payload, SendToGroup, TimeToLive, Upstream};

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
        Kind::SendToGroup => send_to_group(&fields, ack_id).map(Upstream::SendToGroup),
        Kind::Event => event(&fields, ack_id),
        Kind::Ping => Ok(Upstream::Ping),
        Kind::SequenceAck => sequence_ack(&fields),
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
}

/// Values of `type`, the most frequent first.
const KINDS: [(&str, Kind); 6] = [
    ("sendToGroup", Kind::SendToGroup),
    ("event", Kind::Event),
    ("ping", Kind::Ping),
    ("joinGroup", Kind::JoinGroup),
    ("leaveGroup", Kind::LeaveGroup),
    ("sequenceAck", Kind::SequenceAck),
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

fn send_to_group(fields: &Fields<'_>, ack_id: Option<AckId>) -> Result<SendToGroup, InvalidMessage> {
    if fields.given(Property::Stream).is_some() {
        return Err(Property::Stream.must_be("absent"));
    }
    Ok(SendToGroup {
        group: group(fields)?,
        content: content(fields)?,
        no_echo: fields.switch(Property::NoEcho)?,
        time_to_live: time_to_live(fields)?,
        ack_id,
    })
}

fn event(fields: &Fields<'_>, ack_id: Option<AckId>) -> Result<Upstream, InvalidMessage> {
    let event = EventName::new(&fields.string(Property::Event)?)?;
    Ok(Upstream::Event { event, content: content(fields)?, ack_id })
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
    match data_type(fields)? {
        DataType::Json if source == "null" => Err(Property::Data.must_be("a JSON value other than null")),
        DataType::Json => Ok(Payload::checked_json(Bytes::copy_from_slice(source.as_bytes()))),
        DataType::Text => Ok(Payload::text(fields.string(Property::Data)?)),
        DataType::Binary => Ok(Payload::binary(base64(fields)?)),
        DataType::Protobuf => Ok(Payload::protobuf(base64(fields)?)?),
    }
}

fn data_type(fields: &Fields<'_>) -> Result<DataType, InvalidMessage> {
    if fields.source(Property::DataType).is_none() {
        return Ok(DataType::Json);
    }
    let name = fields.string(Property::DataType)?;
    find(&DATA_TYPES, &name).ok_or(Property::DataType.must_be("one of json, text, binary and protobuf"))
}

fn base64(fields: &Fields<'_>) -> Result<Bytes, InvalidMessage> {
    let text = fields.string(Property::Data)?;
    match BASE64.decode(&*text) {
        Ok(bytes) => Ok(bytes.into()),
        Err(_) => Err(Property::Data.must_be("base64 of the standard alphabet with padding")),
    }
}
