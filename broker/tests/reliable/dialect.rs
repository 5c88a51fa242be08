//! The two reliable subprotocols. Tests speak in the terms of the JSON protocol; a protobuf peer's messages are brought
//! into the schema's fields and back here, so that one test runs over both.

use prost::Message as _;
use proto::client::downstream_message::system_message;
use proto::client::downstream_message::{AckMessage, DataMessage, Message as Downstream, SystemMessage};
use proto::client::message_data::Data;
use proto::client::upstream_message::{
    Message as Upstream, PingMessage, SendToGroupMessage, SequenceAckMessage,
};
use proto::client::{DownstreamMessage, MessageData};
use serde_json::{Value, json};

use crate::support::protobuf::{bytes, event, join, leave, send, text};
use crate::support::{Frame, JSON_RELIABLE, Opcode, PROTOBUF_RELIABLE};

/// What a reliable client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Json,
    Protobuf,
}

/// Makes two tests of each function: one in JSON, one in protobuf.
macro_rules! both {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            #[tokio::test]
            async fn json() {
                super::$test(crate::dialect::Dialect::Json).await;
            }

            #[tokio::test]
            async fn protobuf() {
                super::$test(crate::dialect::Dialect::Protobuf).await;
            }
        })*
    };
}
pub(crate) use both;

impl Dialect {
    pub(crate) fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => JSON_RELIABLE,
            Self::Protobuf => PROTOBUF_RELIABLE,
        }
    }

    pub(crate) fn opcode(self) -> Opcode {
        match self {
            Self::Json => Opcode::TEXT,
            Self::Protobuf => Opcode::BINARY,
        }
    }

    /// The frame of a client's message.
    pub(crate) fn frame(self, message: &Value) -> Frame {
        match self {
            Self::Json => Frame::text(&message.to_string()),
            Self::Protobuf => Frame::binary(bytes(upstream(message))),
        }
    }

    /// What a frame of the broker says.
    pub(crate) fn read(self, frame: &Frame) -> Value {
        assert_eq!(frame.opcode, self.opcode(), "{frame:?}");
        match self {
            Self::Json => serde_json::from_slice(&frame.content).unwrap(),
            Self::Protobuf => {
                let message = DownstreamMessage::decode(&frame.content[..]).unwrap();
                downstream(message.message.expect("a member that the schema has"))
            }
        }
    }

    /// A message that this protocol does not know, and what is said to that.
    pub(crate) fn unknown_message(self) -> (Frame, &'static str) {
        match self {
            Self::Json => (Frame::text("[]"), "The client message is not a valid JSON protocol message."),
            Self::Protobuf => {
                let text = "The client message is not a valid protobuf.webpubsub.azure.v1 protocol message.";
                (Frame::binary([0xff]), text)
            }
        }
    }

    /// A message of the other kind, and what is said to that.
    pub(crate) fn wrong_kind(self) -> (Frame, &'static str) {
        match self {
            Self::Json => (Frame::binary("{}"), "The JSON subprotocol requires text messages."),
            Self::Protobuf => {
                let text = "The protobuf.webpubsub.azure.v1 subprotocol requires binary messages.";
                (Frame::text("{}"), text)
            }
        }
    }
}

fn upstream(message: &Value) -> Upstream {
    let ack_id = message["ackId"].as_u64();
    let group = || message["group"].as_str().unwrap();
    let data = || {
        assert_eq!(message["dataType"], "text", "the tests send nothing else: {message}");
        text(message["data"].as_str().unwrap())
    };
    match message["type"].as_str().unwrap() {
        "joinGroup" => join(group(), ack_id),
        "leaveGroup" => leave(group(), ack_id),
        "sendToGroup" => Upstream::SendToGroupMessage(SendToGroupMessage { ack_id, ..send(group(), data()) }),
        "event" => {
            let mut event = event(message["event"].as_str().unwrap(), data());
            event.ack_id = ack_id;
            Upstream::EventMessage(event)
        }
        "ping" => Upstream::PingMessage(PingMessage {}),
        "sequenceAck" => {
            let sequence_id = message["sequenceId"].as_u64().unwrap();
            Upstream::SequenceAckMessage(SequenceAckMessage { sequence_id })
        }
        other => panic!("no test sends {other}"),
    }
}

fn downstream(message: Downstream) -> Value {
    match message {
        Downstream::AckMessage(AckMessage { ack_id, success, error }) => {
            let mut ack = json!({"type": "ack", "ackId": ack_id, "success": success});
            if let Some(error) = error {
                ack["error"] = json!({"name": error.name, "message": error.message});
            }
            ack
        }
        Downstream::DataMessage(message) => data_message(message),
        Downstream::PongMessage(_) => json!({"type": "pong"}),
        Downstream::SystemMessage(SystemMessage { message }) => match message.expect("a member") {
            system_message::Message::ConnectedMessage(connected) => {
                let user_id = Some(connected.user_id).filter(|user| !user.is_empty());
                json!({
                    "type": "system", "event": "connected", "userId": user_id,
                    "connectionId": connected.connection_id, "reconnectionToken": connected.reconnection_token,
                })
            }
            system_message::Message::DisconnectedMessage(disconnected) => {
                json!({"type": "system", "event": "disconnected", "message": disconnected.reason})
            }
        },
        other => panic!("no test asks for {other:?}"),
    }
}

fn data_message(message: DataMessage) -> Value {
    let DataMessage { from, group, data, sequence_id, metadata, .. } = message;
    let (data_type, data) = match data {
        Some(MessageData { data: Some(Data::TextData(text)) }) => ("text", json!(text)),
        Some(MessageData { data: Some(Data::JsonData(text)) }) => {
            ("json", serde_json::from_str(&text).unwrap())
        }
        other => panic!("no test sends {other:?}"),
    };
    let mut message = json!({"type": "message", "from": from, "dataType": data_type, "data": data});
    if !metadata.is_empty() {
        message["metadata"] = json!(metadata);
    }
    if let Some(group) = group {
        message["group"] = json!(group);
        // A protobuf client does not learn who has published.
        message["fromUserId"] = Value::Null;
    }
    if let Some(sequence_id) = sequence_id {
        message["sequenceId"] = json!(sequence_id);
    }
    message
}
