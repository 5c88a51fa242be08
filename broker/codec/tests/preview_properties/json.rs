//! The JSON codec beside `serde_json`'s values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codec::json::{decode, encode};
use codec::message::{
    DataType, Downstream, GroupStateExtent, GroupStateItem, Payload, StreamFailure, StreamPart,
    StreamProgress, Upstream,
};
use codec::metadata::Metadata;
use codec::subprotocol::Encoding;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::messages::{check_rules, sequenced_downstream, unsequenced_downstream, upstream};
use super::sequenced;

/// An object without those properties that are null.
fn object(value: Value) -> Value {
    let Value::Object(properties) = value else { panic!("no object") };
    Value::Object(properties.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

fn map<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    entries.map(|(key, value)| (key.to_owned(), json!(value))).collect::<Map<_, _>>().into()
}

fn data(payload: &Payload) -> (&'static str, Value) {
    let bytes = payload.bytes();
    match payload.data_type() {
        DataType::Text => ("text", json!(std::str::from_utf8(bytes).unwrap())),
        DataType::Json => ("json", serde_json::from_slice(bytes).unwrap()),
        DataType::Binary => ("binary", json!(STANDARD.encode(bytes))),
        DataType::Protobuf => ("protobuf", json!(STANDARD.encode(bytes))),
    }
}

/// Adds to an object what says of a payload and its metadata.
fn with_content(mut object: Value, payload: Option<&Payload>, metadata: Option<&Metadata>) -> Value {
    if let Some((data_type, data)) = payload.map(data) {
        object["dataType"] = json!(data_type);
        object["data"] = data;
    }
    if let Some(metadata) = metadata {
        object["metadata"] = map(metadata.iter());
    }
    object
}

/// What a JSON client may write to say this.
fn written(message: &Upstream) -> Value {
    match message {
        Upstream::Invoke(invoke) => with_content(
            json!({
                "type": "invoke",
                "invocationId": invoke.invocation_id.as_str(),
                "target": "event",
                "event": invoke.event.as_str(),
            }),
            Some(&invoke.content.payload),
            invoke.content.metadata.as_ref(),
        ),
        Upstream::CancelInvocation(id) => json!({ "type": "cancelInvocation", "invocationId": id.as_str() }),
        Upstream::StreamStart(start) => json!({
            "type": "sendToGroup",
            "group": start.group.as_str(),
            "noEcho": start.no_echo,
            "stream": {
                "streamId": start.stream_id.as_str(),
                "idleTimeoutMs": u64::try_from(start.idle_timeout.as_millis()).unwrap(),
            },
        }),
        Upstream::StreamData(data) => {
            let fragment = data.fragment.as_ref();
            let object = object(json!({
                "type": "streamData",
                "streamId": data.stream_id.as_str(),
                "streamSequenceId": fragment.map(|fragment| fragment.sequence_id.0),
            }));
            with_content(object, fragment.map(|fragment| &fragment.payload), None)
        }
        Upstream::StreamEnd(end) => json!({
            "type": "streamEnd",
            "streamId": end.stream_id.as_str(),
            "error": end.error.as_ref().map(|error| json!({
                "message": error.message,
                "userErrorCode": error.code,
            })),
        }),
        Upstream::SetGroupState { group, state, ack_id } => json!({
            "type": "setGroupState",
            "group": group.as_str(),
            "state": state.as_ref().map(|state| map(state.iter())),
            "ackId": ack_id.map(|id| id.0),
        }),
        Upstream::SubscribeGroupState { group, ack_id } => json!({
            "type": "subscribeGroupState", "group": group.as_str(), "ackId": ack_id.map(|id| id.0),
        }),
        Upstream::UnsubscribeGroupState { group, ack_id } => json!({
            "type": "unsubscribeGroupState", "group": group.as_str(), "ackId": ack_id.map(|id| id.0),
        }),
        other => panic!("{other:?} is not made up here"),
    }
}

fn error(name: &str, message: &str) -> Value {
    json!({ "name": name, "message": message })
}

fn stream(part: &StreamPart) -> Value {
    let failure = match &part.progress {
        StreamProgress::Broken(failure) => {
            let code = match failure {
                StreamFailure::UserError(error) => error.code.as_deref(),
                _ => None,
            };
            object(json!({ "name": failure.name(), "message": failure.message(), "userErrorCode": code }))
        }
        _ => Value::Null,
    };
    object(json!({
        "streamId": part.stream_id.as_str(),
        "streamSequenceId": part.sequence_id.0,
        "endOfStream": (part.progress != StreamProgress::Open).then_some(true),
        "error": failure,
    }))
}

fn item(item: &GroupStateItem) -> Value {
    object(json!({
        "connectionId": item.connection_id.as_str(),
        "userId": item.user_id.as_ref().map(|user| user.as_str()),
        "state": item.state.as_ref().map(|state| map(state.iter())),
        "updatedAt": item.updated_at,
    }))
}

/// What a JSON client must be able to read of a message.
fn expected(message: &Downstream) -> Value {
    match message {
        Downstream::Message { origin, content, stream: part } => {
            let mut object = match origin {
                codec::message::Origin::Group { group, from_user_id } => json!({
                    "type": "message",
                    "from": "group",
                    "group": group.as_str(),
                    "fromUserId": from_user_id.as_ref().map(|user| user.as_str()),
                }),
                codec::message::Origin::Server => json!({ "type": "message", "from": "server" }),
            };
            if let Some(part) = part {
                object["stream"] = stream(part);
            }
            with_content(object, Some(&content.payload), content.metadata.as_ref())
        }
        Downstream::GroupState { extent, group, items } => json!({
            "type": match extent {
                GroupStateExtent::Snapshot => "groupStateSnapshot",
                GroupStateExtent::Update => "groupStateUpdate",
            },
            "group": group.as_str(),
            "items": items.iter().map(item).collect::<Vec<_>>(),
        }),
        Downstream::InvokeResponse { invocation_id, result } => {
            let object = object(json!({
                "type": "invokeResponse",
                "invocationId": invocation_id.as_str(),
                "success": result.is_ok(),
                "error": result.as_ref().err().map(|fault| error(fault.name(), &fault.to_string())),
            }));
            let answer = result.as_ref().ok();
            let payload = answer.and_then(|answer| answer.payload.as_ref());
            with_content(object, payload, answer.and_then(|answer| answer.metadata.as_ref()))
        }
        Downstream::StreamAck { stream_id, expected } => json!({
            "type": "streamAck", "streamId": stream_id.as_str(), "expectedSequenceId": expected.0,
        }),
        Downstream::StreamNack { stream_id, expected, error } => json!({
            "type": "streamNack",
            "streamId": stream_id.as_str(),
            "expectedSequenceId": expected.0,
            "name": error.name(),
            "message": error.message(),
        }),
        Downstream::StreamClosed { stream_id, error: fault } => object(json!({
            "type": "streamClosed",
            "streamId": stream_id.as_str(),
            "error": fault.map(|fault| error(fault.name(), fault.message())),
        })),
        other => panic!("{other:?} is not made up here"),
    }
}

proptest! {
    #[test]
    fn what_a_client_writes_arrives(message in upstream()) {
        prop_assert_eq!(decode(written(&message).to_string().as_bytes()), Ok(message));
    }

    #[test]
    fn what_a_client_is_told_can_be_read(
        message in prop_oneof![sequenced_downstream(), unsequenced_downstream()],
    ) {
        let mut frame = Vec::new();
        encode(&message, &mut frame);
        prop_assert_eq!(serde_json::from_slice::<Value>(&frame).unwrap(), expected(&message));
    }

    #[test]
    fn a_sequence_id_is_all_that_is_added(message in sequenced_downstream(), id in 1..=u64::MAX) {
        let mut expected = expected(&message);
        expected["sequenceId"] = json!(id);
        let content = sequenced(Encoding::Json, &message, id);
        prop_assert_eq!(serde_json::from_slice::<Value>(&content).unwrap(), expected);
    }

    #[test]
    fn no_damage_to_a_message_stops_the_decoder(
        message in upstream(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = written(&message).to_string().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(message) = decode(&bytes) {
            check_rules(&message);
        }
        bytes.truncate(place);
        prop_assert!(decode(&bytes).is_err(), "half a message was taken for a whole one");
    }
}
