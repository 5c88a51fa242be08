//! The protobuf codec beside the types that are generated from the schema.

use std::collections::BTreeMap;

use codec::message::{
    DataType, Downstream, GroupState, GroupStateExtent, GroupStateItem, Origin, Payload, StreamFailure,
    StreamPart, StreamProgress, Upstream,
};
use codec::metadata::Metadata;
use codec::protobuf::{decode, encode};
use codec::subprotocol::Encoding;
use proptest::prelude::*;
use prost::Message as _;
use proto::client::downstream_message::{
    self as down, DataMessage, GroupStateSnapshotMessage, GroupStateUpdateMessage, InvokeResponseMessage,
    StreamAckMessage, StreamClosedMessage, StreamNackMessage, invoke_response_message, stream_closed_message,
};
use proto::client::message_data::Data;
use proto::client::upstream_message::{
    self as up, CancelInvocationMessage, InvokeEventMessage, SendToGroupMessage, SetGroupStateMessage,
    StreamDataMessage, StreamEndMessage, StreamStartInfo, SubscribeGroupStateMessage,
    UnsubscribeGroupStateMessage, stream_end_message,
};
use proto::client::{
    DownstreamMessage, MessageData, StreamInfo, UpstreamMessage, group_state_item, stream_info,
};

use super::messages::{check_rules, sequenced_downstream, unsequenced_downstream, upstream};
use super::sequenced;

fn text(text: &str) -> String {
    text.to_owned()
}

fn map<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    entries.map(|(key, value)| (text(key), text(value))).collect()
}

fn metadata(metadata: Option<&Metadata>) -> BTreeMap<String, String> {
    metadata.map(|metadata| map(metadata.iter())).unwrap_or_default()
}

fn data(payload: &Payload) -> MessageData {
    let bytes = payload.bytes().clone();
    let string = || std::str::from_utf8(&bytes).unwrap().to_owned();
    let data = match payload.data_type() {
        DataType::Text => Data::TextData(string()),
        DataType::Json => Data::JsonData(string()),
        DataType::Binary => Data::BinaryData(bytes),
        DataType::Protobuf => Data::ProtobufData(prost_types::Any::decode(bytes).unwrap()),
    };
    MessageData { data: Some(data) }
}

fn state(state: &GroupState) -> group_state_item::GroupState {
    group_state_item::GroupState { entries: map(state.iter()) }
}

/// What a protobuf client may write to say this.
fn written(message: &Upstream) -> Vec<u8> {
    let message = match message {
        Upstream::Invoke(invoke) => up::Message::InvokeEventMessage(InvokeEventMessage {
            event: text(invoke.event.as_str()),
            invocation_id: text(invoke.invocation_id.as_str()),
            data: Some(data(&invoke.content.payload)),
            metadata: metadata(invoke.content.metadata.as_ref()),
            stream: None,
        }),
        Upstream::CancelInvocation(id) => {
            up::Message::CancelInvocationMessage(CancelInvocationMessage { invocation_id: text(id.as_str()) })
        }
        Upstream::StreamStart(start) => up::Message::SendToGroupMessage(SendToGroupMessage {
            group: text(start.group.as_str()),
            no_echo: Some(start.no_echo),
            stream: Some(StreamStartInfo {
                stream_id: text(start.stream_id.as_str()),
                idle_timeout_ms: Some(u32::try_from(start.idle_timeout.as_millis()).unwrap()),
            }),
            ..SendToGroupMessage::default()
        }),
        Upstream::StreamData(stream) => up::Message::StreamDataMessage(StreamDataMessage {
            stream_id: text(stream.stream_id.as_str()),
            stream_sequence_id: stream.fragment.as_ref().map(|fragment| fragment.sequence_id.0),
            data: stream.fragment.as_ref().map(|fragment| data(&fragment.payload)),
        }),
        Upstream::StreamEnd(end) => up::Message::StreamEndMessage(StreamEndMessage {
            stream_id: text(end.stream_id.as_str()),
            error: end.error.clone().map(|error| stream_end_message::StreamEndError {
                message: error.message,
                user_error_code: error.code,
            }),
        }),
        Upstream::SetGroupState { group, state: shown, ack_id } => {
            up::Message::SetGroupStateMessage(SetGroupStateMessage {
                group: text(group.as_str()),
                ack_id: ack_id.map(|id| id.0),
                state: shown.as_ref().map(state),
            })
        }
        Upstream::SubscribeGroupState { group, ack_id } => {
            let (group, ack_id) = (text(group.as_str()), ack_id.map(|id| id.0));
            up::Message::SubscribeGroupStateMessage(SubscribeGroupStateMessage { group, ack_id })
        }
        Upstream::UnsubscribeGroupState { group, ack_id } => {
            let (group, ack_id) = (text(group.as_str()), ack_id.map(|id| id.0));
            up::Message::UnsubscribeGroupStateMessage(UnsubscribeGroupStateMessage { group, ack_id })
        }
        other => panic!("{other:?} is not made up here"),
    };
    UpstreamMessage { message: Some(message) }.encode_to_vec()
}

fn stream(part: &StreamPart) -> StreamInfo {
    let error = match &part.progress {
        StreamProgress::Broken(failure) => Some(stream_info::StreamError {
            name: text(failure.name()),
            message: text(failure.message()),
            user_error_code: match failure {
                StreamFailure::UserError(error) => error.code.clone().unwrap_or_default(),
                _ => String::new(),
            },
        }),
        _ => None,
    };
    StreamInfo {
        stream_id: text(part.stream_id.as_str()),
        stream_sequence_id: part.sequence_id.0,
        end_of_stream: (part.progress != StreamProgress::Open).then_some(true),
        error,
    }
}

fn item(item: &GroupStateItem) -> proto::client::GroupStateItem {
    proto::client::GroupStateItem {
        connection_id: text(item.connection_id.as_str()),
        user_id: item.user_id.as_ref().map(|user| text(user.as_str())),
        state: item.state.as_ref().map(state),
        updated_at: item.updated_at,
    }
}

/// What a protobuf client must be able to read of a message.
fn expected(message: &Downstream, sequence_id: Option<u64>) -> down::Message {
    match message {
        Downstream::Message { origin, content, stream: part } => {
            let group = match origin {
                Origin::Group { group, .. } => Some(text(group.as_str())),
                Origin::Server => None,
            };
            down::Message::DataMessage(DataMessage {
                from: text(if group.is_some() { "group" } else { "server" }),
                group,
                data: Some(data(&content.payload)),
                sequence_id,
                metadata: metadata(content.metadata.as_ref()),
                stream: part.as_ref().map(stream),
            })
        }
        Downstream::GroupState { extent, group, items } => {
            let (group, items) = (text(group.as_str()), items.iter().map(item).collect());
            match extent {
                GroupStateExtent::Update => {
                    let update = GroupStateUpdateMessage { group, items, sequence_id };
                    down::Message::GroupStateUpdateMessage(update)
                }
                GroupStateExtent::Snapshot => {
                    let snapshot = GroupStateSnapshotMessage { group, items, sequence_id };
                    down::Message::GroupStateSnapshotMessage(snapshot)
                }
            }
        }
        Downstream::InvokeResponse { invocation_id, result } => {
            let answer = result.as_ref().ok();
            down::Message::InvokeResponseMessage(InvokeResponseMessage {
                invocation_id: text(invocation_id.as_str()),
                success: result.is_ok(),
                data: answer.and_then(|answer| answer.payload.as_ref()).map(data),
                error: result.as_ref().err().map(|error| invoke_response_message::ErrorMessage {
                    name: text(error.name()),
                    message: error.to_string(),
                }),
                metadata: metadata(answer.and_then(|answer| answer.metadata.as_ref())),
            })
        }
        Downstream::StreamAck { stream_id, expected } => down::Message::StreamAckMessage(StreamAckMessage {
            stream_id: text(stream_id.as_str()),
            expected_sequence_id: expected.0,
        }),
        Downstream::StreamNack { stream_id, expected, error } => {
            down::Message::StreamNackMessage(StreamNackMessage {
                stream_id: text(stream_id.as_str()),
                name: text(error.name()),
                message: text(error.message()),
                expected_sequence_id: expected.0,
            })
        }
        Downstream::StreamClosed { stream_id, error } => {
            down::Message::StreamClosedMessage(StreamClosedMessage {
                stream_id: text(stream_id.as_str()),
                error: error.map(|error| stream_closed_message::StreamClosedError {
                    name: text(error.name()),
                    message: text(error.message()),
                }),
            })
        }
        other => panic!("{other:?} is not made up here"),
    }
}

fn read(frame: &[u8]) -> down::Message {
    DownstreamMessage::decode(frame).unwrap().message.unwrap()
}

proptest! {
    #[test]
    fn what_a_client_writes_arrives(message in upstream()) {
        prop_assert_eq!(decode(&written(&message)), Ok(message));
    }

    #[test]
    fn what_a_client_is_told_can_be_read(
        message in prop_oneof![sequenced_downstream(), unsequenced_downstream()],
    ) {
        let mut frame = Vec::new();
        encode(&message, &mut frame);
        prop_assert_eq!(read(&frame), expected(&message, None));
    }

    #[test]
    fn a_sequence_id_is_all_that_is_added(message in sequenced_downstream(), id: u64) {
        let content = sequenced(Encoding::Protobuf, &message, id);
        prop_assert_eq!(read(&content), expected(&message, Some(id)));
    }

    #[test]
    fn no_damage_to_a_message_stops_the_decoder(
        message in upstream(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = written(&message);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(message) = decode(&bytes) {
            check_rules(&message);
        }
        bytes.truncate(place);
        prop_assert!(decode(&bytes).is_err(), "half a message was taken for a whole one");
    }
}
