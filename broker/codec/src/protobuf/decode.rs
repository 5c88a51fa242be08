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
    EventMessage, JoinGroupMessage, LeaveGroupMessage, Message, SendToGroupMessage, StreamStartInfo,
};
use proto::client::{MessageData, UpstreamMessage};

use super::InvalidMessage;
use crate::ids::{AckId, EventName, GroupName, SequenceId};
use crate::message::{Content, MAX_TIME_TO_LIVE, Payload, SendToGroup, TimeToLive, Upstream};
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
        Message::SendToGroupMessage(send) => send_to_group(send).map(Upstream::SendToGroup),
        Message::EventMessage(message) => event(message),
        Message::JoinGroupMessage(JoinGroupMessage { group, ack_id }) => {
            Ok(Upstream::JoinGroup { group: GroupName::new(&group)?, ack_id: ack_id.map(AckId) })
        }
        Message::LeaveGroupMessage(LeaveGroupMessage { group, ack_id }) => {
            Ok(Upstream::LeaveGroup { group: GroupName::new(&group)?, ack_id: ack_id.map(AckId) })
        }
        Message::SequenceAckMessage(ack) => Ok(Upstream::SequenceAck(SequenceId(ack.sequence_id))),
        Message::PingMessage(_) => Ok(Upstream::Ping),
        Message::InvokeEventMessage(_) => Err(InvalidMessage::NotOffered("invoke_event_message")),
        Message::CancelInvocationMessage(_) => Err(InvalidMessage::NotOffered("cancel_invocation_message")),
        Message::StreamDataMessage(_) => Err(InvalidMessage::NotOffered("stream_data_message")),
        Message::StreamEndMessage(_) => Err(InvalidMessage::NotOffered("stream_end_message")),
        Message::SetGroupStateMessage(_) => Err(InvalidMessage::NotOffered("set_group_state_message")),
        Message::SubscribeGroupStateMessage(_) => {
            Err(InvalidMessage::NotOffered("subscribe_group_state_message"))
        }
        Message::UnsubscribeGroupStateMessage(_) => {
            Err(InvalidMessage::NotOffered("unsubscribe_group_state_message"))
        }
    }
}

fn send_to_group(message: SendToGroupMessage) -> Result<SendToGroup, InvalidMessage> {
    let SendToGroupMessage { group, ack_id, data, no_echo, ttl_seconds, metadata, stream } = message;
    no_stream(stream.as_ref())?;
    Ok(SendToGroup {
        group: GroupName::new(&group)?,
        content: content(data, metadata)?,
        no_echo: no_echo.unwrap_or_default(),
        time_to_live: time_to_live(ttl_seconds.unwrap_or_default())?,
        ack_id: ack_id.map(AckId),
    })
}

fn event(message: EventMessage) -> Result<Upstream, InvalidMessage> {
    let EventMessage { event, data, ack_id, metadata, stream } = message;
    no_stream(stream.as_ref())?;
    let event = EventName::new(&event)?;
    Ok(Upstream::Event { event, content: content(data, metadata)?, ack_id: ack_id.map(AckId) })
}

fn no_stream(stream: Option<&StreamStartInfo>) -> Result<(), InvalidMessage> {
    match stream {
        None => Ok(()),
        Some(_) => Err(InvalidMessage::NotOffered("stream")),
    }
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
    // An empty map and none look the same on the wire.
    let metadata = if metadata.is_empty() { None } else { Some(Metadata::new(metadata)?) };
    let payload = match data {
        Some(data) => payload(data)?,
        None if metadata.is_some() => Payload::text(""),
        None => return Err(missing_data("present, unless `metadata` is")),
    };
    Ok(Content { payload, metadata })
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
