//! What a member says and hears in the subprotocol that it has agreed on. Pure, no sockets.
//!
//! Members call it. The words of JSON are those of `handshake`; those of protobuf are the published schema's.

use codec::ids::{GroupName, SequenceId};
use codec::subprotocol::{Encoding, Subprotocol};
use codec::websocket::Opcode;
use prost::Message as _;
use proto::client::downstream_message::{Message as Heard, system_message};
use proto::client::message_data::Data;
use proto::client::upstream_message::{
    JoinGroupMessage, Message as Said, SendToGroupMessage, SequenceAckMessage,
};
use proto::client::{DownstreamMessage, MessageData, UpstreamMessage};

use super::ClientError;
use super::frame::{Header, masked};
use super::handshake::{self, unexpected};

/// What a sequence id stands behind in JSON.
const SEQUENCE_ID: &[u8] = br#""sequenceId":"#;

/// One subprotocol's way to speak.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speech {
    subprotocol: Subprotocol,
}

/// The sequence id of a delivery in protobuf; all else is skipped without being copied.
#[derive(Clone, PartialEq, prost::Message)]
struct Delivery {
    #[prost(message, optional, tag = "2")]
    data: Option<Numbered>,
}

/// See [`Delivery`].
#[derive(Clone, PartialEq, prost::Message)]
struct Numbered {
    #[prost(uint64, optional, tag = "4")]
    sequence_id: Option<u64>,
}

impl Speech {
    pub(super) fn of(subprotocol: Subprotocol) -> Self {
        Self { subprotocol }
    }

    /// The subprotocol that is spoken.
    pub(super) const fn subprotocol(self) -> Subprotocol {
        self.subprotocol
    }

    /// First byte of a frame with a whole message.
    pub(super) const fn first_byte(self) -> u8 {
        Header::whole(self.opcode())
    }

    const fn opcode(self) -> Opcode {
        match self.subprotocol.encoding() {
            Encoding::Protobuf => Opcode::Binary,
            Encoding::Json | Encoding::Simple => Opcode::Text,
        }
    }

    /// Asks to be a member.
    pub(super) fn join(self, group: &GroupName) -> Vec<u8> {
        match self.subprotocol.encoding() {
            Encoding::Protobuf => {
                let join = JoinGroupMessage { group: group.to_string(), ack_id: Some(1) };
                self.frame(&protobuf(Said::JoinGroupMessage(join)))
            }
            Encoding::Json | Encoding::Simple => self.frame(handshake::join_text(group).as_bytes()),
        }
    }

    /// Joins a group without asking for an answer.
    pub(super) fn join_quietly(self, group: &GroupName) -> Vec<u8> {
        match self.subprotocol.encoding() {
            Encoding::Protobuf => {
                let join = JoinGroupMessage { group: group.to_string(), ack_id: None };
                self.frame(&protobuf(Said::JoinGroupMessage(join)))
            }
            Encoding::Json | Encoding::Simple => self.frame(handshake::join_quietly_text(group).as_bytes()),
        }
    }

    /// Publishes something to a group.
    pub(super) fn publish(self, group: &GroupName) -> Vec<u8> {
        match self.subprotocol.encoding() {
            Encoding::Protobuf => {
                let data = MessageData { data: Some(Data::TextData(String::new())) };
                let group = group.to_string();
                let message = SendToGroupMessage { group, data: Some(data), ..Default::default() };
                self.frame(&protobuf(Said::SendToGroupMessage(message)))
            }
            Encoding::Json | Encoding::Simple => self.frame(handshake::send_text(group, 0).as_bytes()),
        }
    }

    /// Says that all messages up to this one have come.
    pub(super) fn acknowledge(self, SequenceId(id): SequenceId) -> Vec<u8> {
        match self.subprotocol.encoding() {
            Encoding::Protobuf => {
                let ack = SequenceAckMessage { sequence_id: id };
                self.frame(&protobuf(Said::SequenceAckMessage(ack)))
            }
            Encoding::Json | Encoding::Simple => {
                self.frame(format!(r#"{{"type":"sequenceAck","sequenceId":{id}}}"#).as_bytes())
            }
        }
    }

    fn frame(self, content: &[u8]) -> Vec<u8> {
        masked(self.opcode(), content).0
    }

    /// Whether this is the first message of a connection.
    ///
    /// # Errors
    /// [`ClientError::Unexpected`] when it is anything else.
    pub(super) fn check_connected(self, content: &[u8]) -> Result<(), ClientError> {
        if self.subprotocol.encoding() != Encoding::Protobuf {
            return handshake::check_connected(content);
        }
        match heard(content) {
            Some(Heard::SystemMessage(message))
                if matches!(message.message, Some(system_message::Message::ConnectedMessage(_))) =>
            {
                Ok(())
            }
            _ => Err(unexpected("the message `connected`", content)),
        }
    }

    /// Whether this says that the connection is a member now.
    ///
    /// # Errors
    /// [`ClientError::Unexpected`] when it is anything else.
    pub(super) fn check_joined(self, content: &[u8]) -> Result<(), ClientError> {
        if self.subprotocol.encoding() != Encoding::Protobuf {
            return handshake::check_joined(content);
        }
        match heard(content) {
            Some(Heard::AckMessage(ack)) if ack.ack_id == 1 && ack.success => Ok(()),
            _ => Err(unexpected("a successful ack", content)),
        }
    }

    /// The sequence id of a delivery, if it has one.
    pub(super) fn sequence_id(self, content: &[u8]) -> Option<u64> {
        if self.subprotocol.encoding() == Encoding::Protobuf {
            return Delivery::decode(content).ok()?.data?.sequence_id;
        }
        // It may stand anywhere, but the broker has it in front.
        let at = if content.get(1..)?.starts_with(SEQUENCE_ID) {
            1
        } else {
            content.windows(SEQUENCE_ID.len()).position(|window| window == SEQUENCE_ID)?
        };
        let behind = &content[at + SEQUENCE_ID.len()..];
        let len = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(&behind[..len]).ok()?.parse().ok()
    }
}

fn protobuf(message: Said) -> Vec<u8> {
    UpstreamMessage { message: Some(message) }.encode_to_vec()
}

fn heard(content: &[u8]) -> Option<Heard> {
    DownstreamMessage::decode(content).ok()?.message
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::ids::AckId;
    use codec::message::{AckError, Content, Downstream, Origin, Payload, Upstream};
    use codec::websocket::{Decoder, Item};

    fn heard_by_the_broker(subprotocol: Subprotocol, mut frame: Vec<u8>) -> Upstream {
        match (subprotocol.encoding(), Decoder::default().next(&mut frame.as_mut_slice(), usize::MAX)) {
            (Encoding::Json, Ok(Some(Item::Text(text)))) => codec::json::decode(text.as_bytes()).unwrap(),
            (Encoding::Protobuf, Ok(Some(Item::Binary(bytes)))) => codec::protobuf::decode(&bytes).unwrap(),
            (_, other) => panic!("{other:?}"),
        }
    }

    fn content_of(subprotocol: Subprotocol, message: &Downstream) -> Vec<u8> {
        codec::encode(subprotocol.encoding(), message).unwrap().content().to_vec()
    }

    #[test]
    fn the_broker_understands_every_language() {
        let group = handshake::group_name(42).unwrap();
        for subprotocol in Subprotocol::ALL {
            let speech = Speech::of(subprotocol);
            let expected = Upstream::JoinGroup { group: group.clone(), ack_id: Some(AckId(1)) };
            assert_eq!(heard_by_the_broker(subprotocol, speech.join(&group)), expected);
            let quiet = Upstream::JoinGroup { group: group.clone(), ack_id: None };
            assert_eq!(heard_by_the_broker(subprotocol, speech.join_quietly(&group)), quiet);
            let published = heard_by_the_broker(subprotocol, speech.publish(&group));
            assert!(matches!(published, Upstream::SendToGroup(_)), "{published:?}");
            let ack = heard_by_the_broker(subprotocol, speech.acknowledge(SequenceId(301)));
            assert_eq!(ack, Upstream::SequenceAck(SequenceId(301)));
        }
    }

    #[test]
    fn answers_are_told_apart_in_every_language() {
        for subprotocol in Subprotocol::ALL {
            let speech = Speech::of(subprotocol);
            let ack = |ack_id, result| content_of(subprotocol, &Downstream::Ack { ack_id, result });
            let joined = ack(AckId(1), Ok(()));
            assert!(speech.check_joined(&joined).is_ok());
            assert!(speech.check_connected(&joined).is_err());
            assert!(speech.check_joined(&ack(AckId(2), Ok(()))).is_err());
            assert!(speech.check_joined(&ack(AckId(1), Err(AckError::Duplicate(AckId(1))))).is_err());
        }
    }

    #[test]
    fn a_sequence_id_is_found_where_there_is_one() {
        let content = Content { payload: Payload::text("number:00000000x"), metadata: None };
        let message = Downstream::Message { origin: Origin::Server, content, stream: None };
        for subprotocol in Subprotocol::ALL {
            let (speech, plain) = (Speech::of(subprotocol), content_of(subprotocol, &message));
            assert_eq!(speech.sequence_id(&plain), None);
            let frame = codec::encode(subprotocol.encoding(), &message).unwrap();
            for id in [1, 300, u64::MAX] {
                let sequenced = codec::sequence(subprotocol.encoding(), &frame, SequenceId(id)).unwrap();
                let whole = sequenced.to_vec();
                let header = Header::parse(&whole).unwrap();
                assert_eq!(speech.sequence_id(&whole[header.len..]), Some(id));
            }
        }
        let json = Speech::of(Subprotocol::JsonReliable);
        assert_eq!(json.sequence_id(br#"{"type":"message","sequenceId":17}"#), Some(17));
        assert_eq!(json.sequence_id(br#"{"sequenceId":x}"#), None);
    }
}
