//! Properties of the protobuf codec over arbitrary content, beside the types that are generated from the schema: what
//! they write is understood, and they understand what is written. Golden pairs show the exact bytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use codec::ids::{AckId, ConnectionId, GroupName, UserId};
use codec::message::{AckError, Content, DataType, Downstream, Origin, Payload, SendToGroup, Upstream};
use codec::metadata::Metadata;
use codec::protobuf::{decode, encode};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use proto::client::downstream_message::ack_message::ErrorMessage;
use proto::client::downstream_message::system_message::{self, ConnectedMessage, DisconnectedMessage};
use proto::client::downstream_message::{AckMessage, DataMessage, Message, PongMessage, SystemMessage};
use proto::client::message_data::Data;
use proto::client::upstream_message::{self, SendToGroupMessage};
use proto::client::{DownstreamMessage, MessageData, UpstreamMessage};

fn group() -> impl Strategy<Value = GroupName> {
    any::<String>().prop_filter_map("a group's name", |name| GroupName::new(&name).ok())
}

fn user() -> impl Strategy<Value = Option<UserId>> {
    any::<String>().prop_map(|id| UserId::new(&id).ok())
}

fn metadata() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,20}", "[\u{0}-\u{7f}]{0,30}", 0..6)
}

/// Content of each kind, short and longer than what a length of one byte says.
fn data() -> impl Strategy<Value = Data> {
    let bytes = || prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 100..300)];
    let json = prop_oneof![Just("null".to_owned()), "[ \t]{0,2}-?[1-9][0-9]{0,200}", "\"[a-z]{0,200}\""];
    prop_oneof![
        any::<String>().prop_map(Data::TextData),
        "[a-z]{100,300}".prop_map(Data::TextData),
        bytes().prop_map(|bytes| Data::BinaryData(bytes.into())),
        (any::<String>(), bytes())
            .prop_map(|(type_url, value)| Data::ProtobufData(prost_types::Any { type_url, value })),
        json.prop_map(Data::JsonData),
    ]
}

/// What the codec makes of data of the generated types.
fn payload(data: &Data) -> Payload {
    match data {
        Data::TextData(text) => Payload::text(text.clone()),
        Data::BinaryData(bytes) => Payload::binary(bytes.clone()),
        Data::ProtobufData(any) => Payload::protobuf(any.encode_to_vec().into()).unwrap(),
        Data::JsonData(json) => Payload::json(json.clone().into()).unwrap(),
    }
}

fn content(data: &Data, metadata: &BTreeMap<String, String>) -> Content {
    let metadata = (!metadata.is_empty()).then(|| Metadata::new(metadata.clone()).unwrap());
    Content { payload: payload(data), metadata }
}

fn read(message: &Downstream) -> Message {
    let mut frame = Vec::new();
    encode(message, &mut frame);
    DownstreamMessage::decode(&frame[..]).unwrap().message.unwrap()
}

fn send_to_group() -> impl Strategy<Value = SendToGroupMessage> {
    let ttl_seconds = option::of(0..=300_u32);
    (group(), option::of(any::<u64>()), data(), option::of(any::<bool>()), ttl_seconds, metadata()).prop_map(
        |(group, ack_id, data, no_echo, ttl_seconds, metadata)| SendToGroupMessage {
            group: group.as_str().to_owned(),
            ack_id,
            data: Some(MessageData { data: Some(data) }),
            no_echo,
            ttl_seconds,
            metadata,
            stream: None,
        },
    )
}

fn written(send: SendToGroupMessage) -> Vec<u8> {
    let message = Some(upstream_message::Message::SendToGroupMessage(send));
    UpstreamMessage { message }.encode_to_vec()
}

proptest! {
    #[test]
    fn a_message_is_read_as_it_was_sent(
        group in option::of(group()), from_user_id in user(), data in data(), metadata in metadata(),
    ) {
        let name = group.as_ref().map(|group| group.as_str().to_owned());
        let origin = group.map_or(Origin::Server, |group| Origin::Group { group, from_user_id });
        let from = if name.is_some() { "group" } else { "server" };
        let message = Downstream::Message { origin, content: content(&data, &metadata), stream: None };
        prop_assert_eq!(read(&message), Message::DataMessage(DataMessage {
            from: from.to_owned(),
            group: name,
            data: Some(MessageData { data: Some(data) }),
            sequence_id: None,
            metadata,
            stream: None,
        }));
    }

    #[test]
    fn an_ack_is_read_as_it_was_sent(ack_id: u64, group in option::of(group())) {
        let error = group.map(AckError::SendForbidden);
        let text = error.as_ref().map(ToString::to_string);
        let result = error.map_or(Ok(()), Err);
        let message = Downstream::Ack { ack_id: AckId(ack_id), result };
        prop_assert_eq!(read(&message), Message::AckMessage(AckMessage {
            ack_id,
            success: text.is_none(),
            error: text.map(|message| ErrorMessage { name: "Forbidden".to_owned(), message }),
        }));
    }

    #[test]
    fn a_system_message_is_read_as_it_was_sent(id in "[A-Za-z0-9_-]{1,200}", user_id in user(), reason: String) {
        let connected = Downstream::Connected {
            connection_id: ConnectionId::parse(&id).unwrap(),
            user_id: user_id.clone(),
            // Any text does that is not empty.
            reconnection_token: user_id.as_ref().map(|_| format!("t{reason}")),
        };
        let system = |message| Message::SystemMessage(SystemMessage { message: Some(message) });
        let reconnection_token = user_id.as_ref().map(|_| format!("t{reason}"));
        let user_id = user_id.map_or(String::new(), |user| user.as_str().to_owned());
        let expected = ConnectedMessage { connection_id: id, user_id, reconnection_token };
        prop_assert_eq!(read(&connected), system(system_message::Message::ConnectedMessage(expected)));
        let disconnected = Downstream::Disconnected { message: reason.clone() };
        let expected = DisconnectedMessage { reason };
        prop_assert_eq!(read(&disconnected), system(system_message::Message::DisconnectedMessage(expected)));
        prop_assert_eq!(read(&Downstream::Pong), Message::PongMessage(PongMessage {}));
    }

    #[test]
    fn a_publication_arrives_as_it_was_written(send in send_to_group()) {
        let expected = SendToGroup {
            group: GroupName::new(&send.group).unwrap(),
            content: content(send.data.as_ref().unwrap().data.as_ref().unwrap(), &send.metadata),
            no_echo: send.no_echo == Some(true),
            time_to_live: send.ttl_seconds.filter(|&n| n > 0).map(|n| Duration::from_secs(n.into())),
            ack_id: send.ack_id.map(AckId),
        };
        prop_assert_eq!(decode(&written(send)), Ok(Upstream::SendToGroup(expected)));
    }

    #[test]
    fn no_bytes_stop_the_decoder(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_damage_to_a_message_stops_the_decoder(
        send in send_to_group(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = written(send);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(Upstream::SendToGroup(send)) = decode(&bytes) {
            let payload = send.content.payload;
            let valid = match payload.data_type() {
                DataType::Text => Payload::text_from_utf8(payload.bytes().clone()).is_ok(),
                DataType::Json => Payload::json(payload.bytes().clone()).is_ok(),
                DataType::Binary => true,
                DataType::Protobuf => Payload::protobuf(payload.bytes().clone()).is_ok(),
            };
            prop_assert!(valid, "what is passed on is what its kind demands");
        }
        bytes.truncate(place);
        prop_assert!(decode(&bytes).is_err(), "half a message was taken for a whole one");
    }
}
