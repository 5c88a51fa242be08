//! The protobuf subprotocols, in the types that are generated from the public schema.

use prost::Message as _;
use proto::client::downstream_message::{AckMessage, DataMessage, Message as Downstream, system_message};
use proto::client::message_data::Data;
use proto::client::upstream_message::{
    Message as Upstream, PingMessage, SendToGroupMessage, SequenceAckMessage,
};
use proto::client::{DownstreamMessage, MessageData};

use super::Said;
use crate::socket::{Heard, Outcome, Tag};
use crate::support::protobuf::{bytes, join, send, text as text_data};

pub(super) fn write(said: Said) -> Vec<u8> {
    bytes(match said {
        Said::Join { group, ack } => join(&group, ack),
        Said::Send { group, ack, text } => Upstream::SendToGroupMessage(SendToGroupMessage {
            ack_id: Some(ack),
            ..send(&group, text_data(&text))
        }),
        Said::SequenceAck(sequence_id) => Upstream::SequenceAckMessage(SequenceAckMessage { sequence_id }),
        Said::Ping => Upstream::PingMessage(PingMessage {}),
    })
}

pub(super) fn read(bytes: &[u8]) -> Heard {
    let message = DownstreamMessage::decode(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}"));
    match message.message.unwrap_or_else(|| panic!("a member that the schema does not have: {bytes:?}")) {
        Downstream::SystemMessage(message) => match message.message {
            Some(system_message::Message::ConnectedMessage(connected)) => {
                Heard::Connected { connection: connected.connection_id, token: connected.reconnection_token }
            }
            _ => Heard::Other,
        },
        Downstream::AckMessage(AckMessage { ack_id, success, error }) => {
            let fault = error.as_ref().map(|error| error.name.as_str());
            Heard::Ack { id: ack_id, outcome: Outcome::of(success, fault) }
        }
        Downstream::DataMessage(DataMessage { data, sequence_id, .. }) => match data {
            Some(MessageData { data: Some(Data::TextData(text)) }) => {
                Heard::Message { tag: Tag::expect(&text), sequence: sequence_id }
            }
            other => panic!("nobody publishes {other:?}"),
        },
        _ => Heard::Other,
    }
}
