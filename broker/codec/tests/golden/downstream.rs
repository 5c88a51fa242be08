//! The notation of what clients are told, the same for all protocols. It shares no code with the codecs.

use bytes::Bytes;
use codec::ids::{AckId, ConnectionId, GroupName, InvocationId, StreamId, UserId};
use codec::message::{
    AckError, Content, Downstream, GroupState, GroupStateExtent, GroupStateItem, InvokeError, Invoked,
    Origin, Payload, StreamClosedError, StreamFailure, StreamNackError, StreamPart, StreamProgress,
    StreamSequenceId, UserError,
};
use codec::metadata::Metadata;
use serde_json::Value;

use super::{from_hex, name};

/// The message to a client that is noted.
pub(crate) fn meant(noted: &Value) -> Downstream {
    match name(noted) {
        "connected" => Downstream::Connected {
            connection_id: ConnectionId::parse(&text(noted, "connected").unwrap()).unwrap(),
            user_id: user(noted, "userId"),
            reconnection_token: text(noted, "reconnectionToken"),
        },
        "disconnected" => Downstream::Disconnected { message: text(noted, "disconnected").unwrap() },
        "ack" => Downstream::Ack {
            ack_id: AckId(noted["ack"].as_u64().unwrap()),
            result: ack_error(noted).map_or(Ok(()), Err),
        },
        "message" => Downstream::Message {
            origin: origin(noted),
            content: Content { payload: payload(noted).unwrap(), metadata: metadata(noted) },
            stream: noted.get("stream").map(stream_part),
        },
        "pong" => Downstream::Pong,
        "invokeResponse" => Downstream::InvokeResponse {
            invocation_id: InvocationId::new(&text(noted, "invokeResponse").unwrap()).unwrap(),
            result: match invoke_error(noted) {
                None => Ok(Invoked { payload: payload(noted), metadata: metadata(noted) }),
                Some(error) => Err(error),
            },
        },
        "streamAck" => {
            Downstream::StreamAck { stream_id: stream_id(noted, "streamAck"), expected: number(noted) }
        }
        "streamNack" => Downstream::StreamNack {
            stream_id: stream_id(noted, "streamNack"),
            expected: number(noted),
            error: StreamNackError::InvalidSequenceId,
        },
        "streamClosed" => Downstream::StreamClosed {
            stream_id: stream_id(noted, "streamClosed"),
            error: stream_closed_error(noted),
        },
        "groupStateSnapshot" => group_state(GroupStateExtent::Snapshot, &noted["groupStateSnapshot"], noted),
        "groupStateUpdate" => group_state(GroupStateExtent::Update, &noted["groupStateUpdate"], noted),
        other => panic!("{other} is no message to a client"),
    }
}

fn text(noted: &Value, part: &str) -> Option<String> {
    noted.get(part).map(|value| value.as_str().unwrap().to_owned())
}

/// Text that is part of the program elsewhere.
fn fixed_text(value: &Value) -> &'static str {
    value.as_str().unwrap().to_owned().leak()
}

fn user(noted: &Value, part: &str) -> Option<UserId> {
    text(noted, part).map(|user| UserId::new(&user).unwrap())
}

fn group(value: &Value) -> GroupName {
    GroupName::new(value.as_str().unwrap()).unwrap()
}

fn ack_error(noted: &Value) -> Option<AckError> {
    let (kind, detail) = noted.as_object().unwrap().iter().find(|(key, _)| *key != "ack")?;
    Some(match kind.as_str() {
        "duplicate" => AckError::Duplicate(AckId(detail.as_u64().unwrap())),
        "joinForbidden" => AckError::JoinForbidden(group(detail)),
        "leaveForbidden" => AckError::LeaveForbidden(group(detail)),
        "sendForbidden" => AckError::SendForbidden(group(detail)),
        "setStateForbidden" => AckError::SetStateForbidden,
        "stateTooLarge" => AckError::StateTooLarge,
        "setStateNotMember" => AckError::SetStateNotMember,
        "getStateForbidden" => AckError::GetStateForbidden(group(detail)),
        "getStateNotMember" => AckError::GetStateNotMember(group(detail)),
        "internalServerError" => AckError::InternalServerError,
        other => panic!("{other} is no ack error"),
    })
}

fn origin(noted: &Value) -> Origin {
    match noted["message"].as_str().unwrap() {
        "server" => Origin::Server,
        "group" => Origin::Group { group: group(&noted["group"]), from_user_id: user(noted, "fromUserId") },
        other => panic!("{other} is no origin"),
    }
}

fn payload(noted: &Value) -> Option<Payload> {
    let hex = |part: &str| text(noted, part).map(|digits| from_hex(&digits));
    None.or_else(|| text(noted, "text").map(Payload::text))
        .or_else(|| text(noted, "json").map(|json| Payload::json(Bytes::from(json)).unwrap()))
        .or_else(|| hex("binary").map(Payload::binary))
        .or_else(|| hex("protobuf").map(|any| Payload::protobuf(any).unwrap()))
}

fn metadata(noted: &Value) -> Option<Metadata> {
    let pairs: Vec<(String, String)> = serde_json::from_value(noted.get("metadata")?.clone()).unwrap();
    Some(Metadata::new(pairs).unwrap())
}

fn invoke_error(noted: &Value) -> Option<InvokeError> {
    Some(match noted.get("error")?.as_object().unwrap().iter().next().unwrap() {
        (kind, message) if kind == "badRequest" => InvokeError::BadRequest(fixed_text(message)),
        (kind, _) if kind == "internalServerError" => InvokeError::InternalServerError,
        (other, _) => panic!("{other} is no error of an invocation"),
    })
}

fn stream_id(noted: &Value, part: &str) -> StreamId {
    StreamId::new(&text(noted, part).unwrap())
}

fn number(noted: &Value) -> StreamSequenceId {
    StreamSequenceId(noted["number"].as_u64().unwrap())
}

fn stream_part(noted: &Value) -> StreamPart {
    let progress = match noted.get("end") {
        None => StreamProgress::Open,
        Some(Value::Null) => StreamProgress::Complete,
        Some(failure) => StreamProgress::Broken(stream_failure(failure)),
    };
    StreamPart { stream_id: stream_id(noted, "id"), sequence_id: number(noted), progress }
}

fn stream_failure(noted: &Value) -> StreamFailure {
    let (kind, detail) = noted.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "idleTimeout" => StreamFailure::IdleTimeout,
        "internalServerError" => StreamFailure::InternalServerError,
        "forbidden" => StreamFailure::Forbidden,
        "cancelled" => StreamFailure::Cancelled,
        "userError" => StreamFailure::UserError(UserError {
            message: text(detail, "message"),
            code: text(detail, "code"),
        }),
        other => panic!("{other} is no failure of a stream"),
    }
}

fn stream_closed_error(noted: &Value) -> Option<StreamClosedError> {
    let (kind, detail) = noted.get("error")?.as_object().unwrap().iter().next().unwrap();
    Some(match kind.as_str() {
        "streamNotFound" => StreamClosedError::StreamNotFound,
        "forbidden" => StreamClosedError::Forbidden,
        "badRequest" => StreamClosedError::BadRequest(fixed_text(detail)),
        "internalServerError" => StreamClosedError::InternalServerError,
        "idleTimeout" => StreamClosedError::IdleTimeout,
        other => panic!("{other} does not close a stream"),
    })
}

fn group_state(extent: GroupStateExtent, name: &Value, noted: &Value) -> Downstream {
    let items = noted["items"].as_array().unwrap().iter().map(group_state_item).collect();
    Downstream::GroupState { extent, group: group(name), items }
}

fn group_state_item(noted: &Value) -> GroupStateItem {
    let state = noted.get("state").map(|pairs| {
        let pairs: Vec<(String, String)> = serde_json::from_value(pairs.clone()).unwrap();
        GroupState::new(pairs)
    });
    GroupStateItem {
        connection_id: ConnectionId::parse(&text(noted, "connectionId").unwrap()).unwrap(),
        user_id: user(noted, "userId"),
        state,
        updated_at: noted["updatedAt"].as_i64().unwrap(),
    }
}
