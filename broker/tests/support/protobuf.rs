//! A client of the protobuf subprotocol, in the types that are generated from the public schema.

use prost::Message as _;
use proto::client::downstream_message::ack_message::ErrorMessage;
use proto::client::downstream_message::system_message::{self, ConnectedMessage, DisconnectedMessage};
use proto::client::downstream_message::{AckMessage, DataMessage, Message as Downstream, SystemMessage};
use proto::client::message_data::Data;
use proto::client::upstream_message::{
    EventMessage, JoinGroupMessage, LeaveGroupMessage, Message as Upstream, SendToGroupMessage,
};
use proto::client::{DownstreamMessage, MessageData, UpstreamMessage};

use super::client::Client;

/// A message that joins a group.
pub fn join(group: &str, ack_id: impl Into<Option<u64>>) -> Upstream {
    Upstream::JoinGroupMessage(JoinGroupMessage { group: group.into(), ack_id: ack_id.into() })
}

/// A message that leaves a group.
pub fn leave(group: &str, ack_id: impl Into<Option<u64>>) -> Upstream {
    Upstream::LeaveGroupMessage(LeaveGroupMessage { group: group.into(), ack_id: ack_id.into() })
}

/// A publication that no answer is wanted to.
pub fn send(group: &str, data: Data) -> SendToGroupMessage {
    SendToGroupMessage { group: group.into(), data: Some(of(data)), ..SendToGroupMessage::default() }
}

/// An event that no answer is wanted to.
pub fn event(name: &str, data: Data) -> EventMessage {
    EventMessage { event: name.into(), data: Some(of(data)), ..EventMessage::default() }
}

/// Text as data.
pub fn text(text: &str) -> Data {
    Data::TextData(text.into())
}

/// A payload of this data.
pub fn of(data: Data) -> MessageData {
    MessageData { data: Some(data) }
}

/// The answer to a request that was carried out.
pub fn success(ack_id: u64) -> Downstream {
    Downstream::AckMessage(AckMessage { ack_id, success: true, error: None })
}

/// The answer to a request that was not.
pub fn failure(ack_id: u64, name: &str, message: &str) -> Downstream {
    let error = ErrorMessage { name: name.into(), message: message.into() };
    Downstream::AckMessage(AckMessage { ack_id, success: false, error: Some(error) })
}

/// What a client is told before the application closes its connection.
pub fn disconnected(reason: &str) -> Downstream {
    let message = system_message::Message::DisconnectedMessage(DisconnectedMessage { reason: reason.into() });
    Downstream::SystemMessage(SystemMessage { message: Some(message) })
}

/// Bytes of a client's message.
pub fn bytes(message: Upstream) -> Vec<u8> {
    UpstreamMessage { message: Some(message) }.encode_to_vec()
}

impl Client {
    /// Sends a protobuf message.
    pub async fn send_protobuf(&mut self, message: Upstream) {
        self.send_binary(&bytes(message)).await;
    }

    /// The next message, which must be protobuf.
    pub async fn next_protobuf(&mut self) -> Downstream {
        let bytes = self.next_binary().await;
        let message = DownstreamMessage::decode(&bytes[..]);
        let message = message.unwrap_or_else(|error| panic!("{error}: {bytes:?}"));
        message.message.unwrap_or_else(|| panic!("a member that the schema does not have: {bytes:?}"))
    }

    /// The next message, which must be the greeting of a protobuf client.
    pub async fn next_connected(&mut self) -> ConnectedMessage {
        match self.next_protobuf().await {
            Downstream::SystemMessage(SystemMessage {
                message: Some(system_message::Message::ConnectedMessage(message)),
            }) => message,
            other => panic!("a greeting was expected, not {other:?}"),
        }
    }

    /// The next message, which must be something that somebody sent in protobuf.
    pub async fn next_data(&mut self) -> DataMessage {
        match self.next_protobuf().await {
            Downstream::DataMessage(message) => message,
            other => panic!("a data message was expected, not {other:?}"),
        }
    }

    /// Sends a protobuf message and compares what comes next.
    pub async fn ask_protobuf(&mut self, message: Upstream, expected: Downstream) {
        let shown = format!("{message:?}");
        self.send_protobuf(message).await;
        assert_eq!(self.next_protobuf().await, expected, "{shown}");
    }
}
