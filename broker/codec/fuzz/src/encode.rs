//! Any message to a client, made up from the fuzzer's bytes. JSON and protobuf clients must read the same of it, and of
//! its frame with a sequence id the same and that id.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use codec::MAX_HEAD;
use codec::ids::{AckId, ConnectionId, GroupName, InvocationId, SequenceId, StreamId, UserId};
use codec::message::{
    AckError, Content, Downstream, GroupState, GroupStateExtent, GroupStateItem, InvokeError, Invoked,
    Origin, Payload, StreamClosedError, StreamFailure, StreamNackError, StreamPart, StreamProgress,
    StreamSequenceId, UserError,
};
use codec::metadata::Metadata;
use codec::subprotocol::Encoding;
use codec::websocket::Frame;
use prost::Message as _;
use proto::client::DownstreamMessage;
use proto::client::downstream_message::{Message, system_message};
use serde_json::Value;

/// Panics when a rule is broken.
pub fn run(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let (Ok(id), Ok(message)) = (bytes.arbitrary(), downstream(&mut bytes)) else {
        return;
    };
    check_simple(&message);
    let [json, protobuf] = [Encoding::Json, Encoding::Protobuf]
        .map(|encoding| codec::encode(encoding, &message).expect("both know envelopes"));
    let (envelope, plain) = (value(json.content()), read(protobuf.content()));
    compare(&envelope, &plain);
    if message.is_sequenced() {
        assert_eq!(read(&sequenced(Encoding::Protobuf, &protobuf, id)), with_id(plain, id));
        let mut expected = envelope;
        expected["sequenceId"] = id.into();
        assert_eq!(value(&sequenced(Encoding::Json, &json, id)), expected);
    }
}

fn value(content: &[u8]) -> Value {
    serde_json::from_slice(content).expect("an envelope is JSON")
}

fn read(content: &[u8]) -> Message {
    DownstreamMessage::decode(content)
        .expect("a message is protobuf")
        .message
        .expect("a member that is known")
}

/// The content with this id. Panics when what is said of the frame is not so, for outboxes rely on it.
fn sequenced(encoding: Encoding, frame: &Frame, id: u64) -> Vec<u8> {
    let sequenced = codec::sequence(encoding, frame, SequenceId(id)).expect("both have sequence ids");
    let wire = sequenced.to_vec();
    assert_eq!(wire.len(), sequenced.wire_len());
    assert!(sequenced.head_len() <= MAX_HEAD);
    let mut head = vec![0; sequenced.head_len()];
    sequenced.write_head(&mut head);
    assert_eq!([&head, sequenced.tail()].concat(), wire);
    let shared = frame.bytes().as_ptr_range().end;
    assert_eq!(sequenced.tail().as_ptr_range().end, shared, "what follows the head is the frame's own");
    let whole = sequenced.to_frame();
    assert_eq!(*whole.bytes(), wire);
    whole.content().to_vec()
}

/// A client without a subprotocol gets a payload as it is, and nothing else.
fn check_simple(message: &Downstream) {
    let frame = codec::encode(Encoding::Simple, message);
    let payload = match message {
        Downstream::Message { content, stream, .. } => {
            let is_open = stream.as_ref().is_none_or(|part| part.progress == StreamProgress::Open);
            Some(content.payload.bytes()).filter(|_| is_open)
        }
        _ => None,
    };
    assert_eq!(frame.as_ref().map(Frame::content), payload.map(|bytes| &bytes[..]));
}

fn with_id(message: Message, id: u64) -> Message {
    let sequence_id = Some(id);
    match message {
        Message::DataMessage(data) => {
            Message::DataMessage(proto::client::downstream_message::DataMessage { sequence_id, ..data })
        }
        Message::GroupStateUpdateMessage(mut update) => {
            update.sequence_id = sequence_id;
            Message::GroupStateUpdateMessage(update)
        }
        Message::GroupStateSnapshotMessage(mut snapshot) => {
            snapshot.sequence_id = sequence_id;
            Message::GroupStateSnapshotMessage(snapshot)
        }
        other => panic!("{other:?} has no sequence id"),
    }
}

/// Panics when the two say different things. Payloads are compared by the targets of the decoders.
fn compare(json: &Value, protobuf: &Message) {
    let absent = |value: &Value| value.is_null();
    let error = |name: &str, message: &str| {
        assert_eq!(json["error"]["name"], name);
        assert_eq!(json["error"]["message"], message);
    };
    match protobuf {
        Message::AckMessage(ack) => {
            assert_eq!((&json["ackId"], &json["success"]), (&ack.ack_id.into(), &ack.success.into()));
            match &ack.error {
                Some(fault) => error(&fault.name, &fault.message),
                None => assert!(json.get("error").is_none()),
            }
        }
        Message::DataMessage(data) => {
            assert_eq!(json["from"], data.from);
            assert_eq!(json["group"].as_str(), data.group.as_deref());
            assert!(!absent(&json["data"]) && data.data.is_some());
            compare_metadata(json, &data.metadata);
            assert_eq!(json.get("stream").is_some(), data.stream.is_some());
            if let Some(part) = &data.stream {
                let stream = &json["stream"];
                assert_eq!(stream["streamId"], part.stream_id);
                assert_eq!(stream["streamSequenceId"], part.stream_sequence_id);
                assert_eq!(stream["endOfStream"].as_bool(), part.end_of_stream);
                assert_eq!(stream.get("error").is_some(), part.error.is_some());
                if let Some(fault) = &part.error {
                    assert_eq!(stream["error"]["name"], fault.name);
                    assert_eq!(stream["error"]["message"], fault.message);
                    let code = stream["error"].get("userErrorCode").map_or("", |code| code.as_str().unwrap());
                    assert_eq!(code, fault.user_error_code);
                }
            }
        }
        Message::InvokeResponseMessage(response) => {
            assert_eq!(json["invocationId"], response.invocation_id);
            assert_eq!(json["success"], response.success);
            assert_eq!(json.get("data").is_some(), response.data.is_some());
            compare_metadata(json, &response.metadata);
            match &response.error {
                Some(fault) => error(&fault.name, &fault.message),
                None => assert!(json.get("error").is_none()),
            }
        }
        Message::StreamAckMessage(ack) => {
            assert_eq!(json["streamId"], ack.stream_id);
            assert_eq!(json["expectedSequenceId"], ack.expected_sequence_id);
        }
        Message::StreamNackMessage(nack) => {
            assert_eq!(json["streamId"], nack.stream_id);
            assert_eq!(json["expectedSequenceId"], nack.expected_sequence_id);
            assert_eq!((&json["name"], &json["message"]), (&nack.name[..].into(), &nack.message[..].into()));
        }
        Message::StreamClosedMessage(closed) => {
            assert_eq!(json["streamId"], closed.stream_id);
            match &closed.error {
                Some(fault) => error(&fault.name, &fault.message),
                None => assert!(json.get("error").is_none()),
            }
        }
        Message::GroupStateUpdateMessage(states) => compare_states(json, &states.group, &states.items),
        Message::GroupStateSnapshotMessage(states) => compare_states(json, &states.group, &states.items),
        Message::SystemMessage(system) => match system.message.as_ref().expect("a member that is known") {
            system_message::Message::ConnectedMessage(connected) => {
                assert_eq!(
                    (&json["event"], &json["connectionId"]),
                    (&"connected".into(), &connected.connection_id[..].into())
                );
                assert_eq!(json["userId"].as_str().unwrap_or_default(), connected.user_id);
                let token =
                    json.get("reconnectionToken").map(|token| token.as_str().expect("a token is text"));
                assert_eq!(token, connected.reconnection_token.as_deref());
            }
            system_message::Message::DisconnectedMessage(disconnected) => {
                assert_eq!(
                    (&json["event"], &json["message"]),
                    (&"disconnected".into(), &disconnected.reason[..].into())
                );
            }
        },
        Message::PongMessage(_) => assert_eq!(*json, serde_json::json!({"type": "pong"})),
    }
}

/// Metadata without entries cannot be told from none in protobuf.
fn compare_metadata(json: &Value, metadata: &BTreeMap<String, String>) {
    let noted = json.get("metadata").cloned().unwrap_or_else(|| serde_json::json!({}));
    assert_eq!(noted, serde_json::json!(metadata));
}

fn compare_states(json: &Value, group: &str, items: &[proto::client::GroupStateItem]) {
    assert_eq!(json["group"], group);
    let envelopes = json["items"].as_array().expect("items are a list");
    assert_eq!(envelopes.len(), items.len());
    for (envelope, item) in envelopes.iter().zip(items) {
        assert_eq!(envelope["connectionId"], item.connection_id);
        assert_eq!(envelope.get("userId").and_then(Value::as_str), item.user_id.as_deref());
        assert_eq!(envelope["updatedAt"], item.updated_at);
        let state = item.state.as_ref().map(|state| serde_json::json!(state.entries));
        assert_eq!(envelope.get("state"), state.as_ref());
    }
}

/// One of `count` kinds, or of those that have been added since: what the bytes of kept inputs mean stays the same.
fn kind(bytes: &mut Unstructured<'_>, count: u8, added: u8) -> Result<u8> {
    let byte: u8 = bytes.arbitrary()?;
    let first_added = u8::MAX - added + 1;
    Ok(if byte < first_added { byte % count } else { count + (byte - first_added) })
}

fn downstream(bytes: &mut Unstructured<'_>) -> Result<Downstream> {
    Ok(match kind(bytes, 9, 3)? {
        0 => Downstream::Ack { ack_id: AckId(bytes.arbitrary()?), result: ack(bytes)? },
        1 => Downstream::Message {
            origin: Origin::Server,
            content: Content { payload: payload(bytes)?, metadata: metadata(bytes)? },
            stream: stream_part(bytes)?,
        },
        2 => Downstream::Message {
            origin: Origin::Group { group: group(bytes)?, from_user_id: user(bytes)? },
            content: Content { payload: payload(bytes)?, metadata: metadata(bytes)? },
            stream: stream_part(bytes)?,
        },
        3 => Downstream::InvokeResponse {
            invocation_id: InvocationId::new(bytes.arbitrary()?).or(InvocationId::new("1")).unwrap(),
            result: match bytes.int_in_range(0..=2)? {
                0 => Ok(Invoked {
                    payload: if bytes.arbitrary()? { Some(payload(bytes)?) } else { None },
                    metadata: metadata(bytes)?,
                }),
                1 => Err(InvokeError::BadRequest("no \"more\"")),
                _ => Err(InvokeError::InternalServerError),
            },
        },
        4 => Downstream::StreamAck { stream_id: stream_id(bytes)?, expected: number(bytes)? },
        5 => Downstream::StreamNack {
            stream_id: stream_id(bytes)?,
            expected: number(bytes)?,
            error: StreamNackError::InvalidSequenceId,
        },
        6 => Downstream::StreamClosed {
            stream_id: stream_id(bytes)?,
            error: *bytes.choose(&[
                None,
                Some(StreamClosedError::StreamNotFound),
                Some(StreamClosedError::Forbidden),
                Some(StreamClosedError::BadRequest("no \"more\"")),
                Some(StreamClosedError::InternalServerError),
                Some(StreamClosedError::IdleTimeout),
            ])?,
        },
        9 => Downstream::Connected {
            connection_id: ConnectionId::parse("c1").unwrap(),
            user_id: user(bytes)?,
            reconnection_token: bytes.arbitrary()?,
        },
        10 => Downstream::Disconnected { message: bytes.arbitrary()? },
        11 => Downstream::Pong,
        extent => Downstream::GroupState {
            extent: if extent == 7 { GroupStateExtent::Update } else { GroupStateExtent::Snapshot },
            group: group(bytes)?,
            items: (0..bytes.int_in_range(0..=3)?).map(|_| item(bytes)).collect::<Result<_>>()?,
        },
    })
}

fn ack(bytes: &mut Unstructured<'_>) -> Result<std::result::Result<(), AckError>> {
    Ok(match kind(bytes, 6, 5)? {
        0 => Ok(()),
        1 => Err(AckError::Duplicate(AckId(bytes.arbitrary()?))),
        2 => Err(AckError::SendForbidden(group(bytes)?)),
        3 => Err(AckError::GetStateForbidden(group(bytes)?)),
        4 => Err(AckError::StateTooLarge),
        6 => Err(AckError::JoinForbidden(group(bytes)?)),
        7 => Err(AckError::LeaveForbidden(group(bytes)?)),
        8 => Err(AckError::SetStateForbidden),
        9 => Err(AckError::SetStateNotMember),
        10 => Err(AckError::GetStateNotMember(group(bytes)?)),
        _ => Err(AckError::InternalServerError),
    })
}

fn payload(bytes: &mut Unstructured<'_>) -> Result<Payload> {
    let kind = bytes.int_in_range(0..=3)?;
    let text: &str = bytes.arbitrary()?;
    let content = text.as_bytes().to_vec().into();
    Ok(match kind {
        0 => Payload::text(text),
        // What the fuzzer has is rarely JSON or an any, and numbers of any size are for the target of the decoder.
        1 => Payload::json(serde_json::json!([text]).to_string().into()).unwrap(),
        2 => Payload::binary(content),
        _ => Payload::protobuf(content).unwrap_or_else(|_| Payload::protobuf(Default::default()).unwrap()),
    })
}

fn metadata(bytes: &mut Unstructured<'_>) -> Result<Option<Metadata>> {
    let entries: Vec<(&str, &str)> = bytes.arbitrary()?;
    Ok(Metadata::new(entries).ok())
}

fn group(bytes: &mut Unstructured<'_>) -> Result<GroupName> {
    Ok(GroupName::new(bytes.arbitrary()?).or(GroupName::new("g")).unwrap())
}

fn user(bytes: &mut Unstructured<'_>) -> Result<Option<UserId>> {
    Ok(UserId::new(bytes.arbitrary()?).ok())
}

fn stream_id(bytes: &mut Unstructured<'_>) -> Result<StreamId> {
    Ok(StreamId::new(bytes.arbitrary()?))
}

fn number(bytes: &mut Unstructured<'_>) -> Result<StreamSequenceId> {
    Ok(StreamSequenceId(bytes.arbitrary()?))
}

fn stream_part(bytes: &mut Unstructured<'_>) -> Result<Option<StreamPart>> {
    let progress = match bytes.int_in_range(0..=7)? {
        0 => return Ok(None),
        1 => StreamProgress::Open,
        2 => StreamProgress::Complete,
        3 => StreamProgress::Broken(StreamFailure::IdleTimeout),
        4 => StreamProgress::Broken(StreamFailure::InternalServerError),
        5 => StreamProgress::Broken(StreamFailure::Forbidden),
        6 => StreamProgress::Broken(StreamFailure::Cancelled),
        _ => {
            let error = UserError { message: bytes.arbitrary()?, code: bytes.arbitrary()? };
            StreamProgress::Broken(StreamFailure::UserError(error))
        }
    };
    Ok(Some(StreamPart { stream_id: stream_id(bytes)?, sequence_id: number(bytes)?, progress }))
}

fn item(bytes: &mut Unstructured<'_>) -> Result<GroupStateItem> {
    let state: Option<Vec<(String, String)>> = bytes.arbitrary()?;
    Ok(GroupStateItem {
        connection_id: ConnectionId::parse("c1").unwrap(),
        user_id: user(bytes)?,
        state: state.map(GroupState::new),
        updated_at: bytes.arbitrary()?,
    })
}
