//! The notation of messages in golden pairs, the same for all protocols. It shares no code with the codecs.

use bytes::Bytes;
use codec::ids::{AckId, ConnectionId, GroupName, UserId};
use codec::message::{AckError, Content, DataType, Downstream, Origin, Payload, Upstream};
use codec::metadata::Metadata;
use serde_json::{Map, Value, json};

/// The name of a noted message. Order is lost in the notation's objects, hence the list.
pub(crate) fn name(noted: &Value) -> &'static str {
    let known = super::UPSTREAM.into_iter().chain(super::DOWNSTREAM);
    known.into_iter().find(|name| noted.get(name).is_some()).unwrap_or_else(|| panic!("{noted} has no name"))
}

/// The notation of a client's message.
pub(crate) fn of_upstream(message: &Upstream) -> Value {
    let mut noted = Map::new();
    match message {
        Upstream::JoinGroup { group, ack_id } => {
            noted.insert("joinGroup".to_owned(), json!(group.as_str()));
            note_ack_id(&mut noted, *ack_id);
        }
        Upstream::LeaveGroup { group, ack_id } => {
            noted.insert("leaveGroup".to_owned(), json!(group.as_str()));
            note_ack_id(&mut noted, *ack_id);
        }
        Upstream::SendToGroup(send) => {
            noted.insert("sendToGroup".to_owned(), json!(send.group.as_str()));
            note_content(&mut noted, &send.content);
            if send.no_echo {
                noted.insert("noEcho".to_owned(), json!(true));
            }
            if let Some(time) = send.time_to_live {
                noted.insert("ttlSeconds".to_owned(), json!(time.as_secs()));
            }
            note_ack_id(&mut noted, send.ack_id);
        }
        Upstream::Event { event, content, ack_id } => {
            noted.insert("event".to_owned(), json!(event.as_str()));
            note_content(&mut noted, content);
            note_ack_id(&mut noted, *ack_id);
        }
        Upstream::Ping => drop(noted.insert("ping".to_owned(), Value::Null)),
        Upstream::SequenceAck(id) => drop(noted.insert("sequenceAck".to_owned(), json!(id.0))),
    }
    Value::Object(noted)
}

fn note_ack_id(noted: &mut Map<String, Value>, ack_id: Option<AckId>) {
    if let Some(ack_id) = ack_id {
        noted.insert("ackId".to_owned(), json!(ack_id.0));
    }
}

fn note_content(noted: &mut Map<String, Value>, content: &Content) {
    let bytes = content.payload.bytes();
    let as_text = || json!(std::str::from_utf8(bytes).unwrap());
    let as_hex = || json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    match content.payload.data_type() {
        DataType::Text => noted.insert("text".to_owned(), as_text()),
        DataType::Json => noted.insert("json".to_owned(), as_text()),
        DataType::Binary => noted.insert("binary".to_owned(), as_hex()),
        DataType::Protobuf => noted.insert("protobuf".to_owned(), as_hex()),
    };
    if let Some(metadata) = &content.metadata {
        noted.insert("metadata".to_owned(), json!(metadata.iter().collect::<Vec<_>>()));
    }
}

/// The message to a client that is noted.
pub(crate) fn to_downstream(noted: &Value) -> Downstream {
    let text = |property: &str| noted[property].as_str().map(str::to_owned);
    match name(noted) {
        "connected" => Downstream::Connected {
            connection_id: ConnectionId::parse(&text("connected").unwrap()).unwrap(),
            user_id: text("userId").map(|user| UserId::new(&user).unwrap()),
            reconnection_token: text("reconnectionToken"),
        },
        "disconnected" => Downstream::Disconnected { message: text("disconnected").unwrap() },
        "ack" => Downstream::Ack {
            ack_id: AckId(noted["ack"].as_u64().unwrap()),
            result: ack_error(noted).map_or(Ok(()), Err),
        },
        "message" => Downstream::Message { origin: origin(noted), content: content(noted) },
        "pong" => Downstream::Pong,
        other => panic!("{other} is no message to a client"),
    }
}

fn ack_error(noted: &Value) -> Option<AckError> {
    let group = |name: &Value| GroupName::new(name.as_str().unwrap()).unwrap();
    let (kind, detail) = noted.as_object().unwrap().iter().find(|(key, _)| *key != "ack")?;
    Some(match kind.as_str() {
        "duplicate" => AckError::Duplicate(AckId(detail.as_u64().unwrap())),
        "joinForbidden" => AckError::JoinForbidden(group(detail)),
        "leaveForbidden" => AckError::LeaveForbidden(group(detail)),
        "sendForbidden" => AckError::SendForbidden(group(detail)),
        "internalServerError" => AckError::InternalServerError,
        other => panic!("{other} is no ack error"),
    })
}

fn origin(noted: &Value) -> Origin {
    match noted["message"].as_str().unwrap() {
        "server" => Origin::Server,
        "group" => Origin::Group {
            group: GroupName::new(noted["group"].as_str().unwrap()).unwrap(),
            from_user_id: noted["fromUserId"].as_str().map(|user| UserId::new(user).unwrap()),
        },
        other => panic!("{other} is no origin"),
    }
}

fn content(noted: &Value) -> Content {
    let text = |property: &str| noted[property].as_str().map(str::to_owned);
    let hex = |property: &str| text(property).map(|digits| from_hex(&digits));
    let payload = None
        .or_else(|| text("text").map(Payload::text))
        .or_else(|| text("json").map(|json| Payload::json(Bytes::from(json)).unwrap()))
        .or_else(|| hex("binary").map(Payload::binary))
        .or_else(|| hex("protobuf").map(|any| Payload::protobuf(any).unwrap()))
        .unwrap_or_else(|| panic!("{noted} has no payload"));
    let pairs: Option<Vec<(String, String)>> =
        noted.get("metadata").map(|list| serde_json::from_value(list.clone()).unwrap());
    Content { payload, metadata: pairs.map(|pairs| Metadata::new(pairs).unwrap()) }
}

pub(crate) fn from_hex(digits: &str) -> Bytes {
    let bytes = (0..digits.len()).step_by(2);
    bytes.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}
