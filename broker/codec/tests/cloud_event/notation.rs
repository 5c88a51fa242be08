//! The notation of events and answers in golden pairs. It shares no code with the codec.

use bytes::Bytes;
use codec::event::{ConnectAnswer, ConnectRequest, Event, Source, What};
use codec::ids::{ConnectionId, EventName, GroupName, HubName, UserId};
use codec::message::{Content, DataType, Payload};
use codec::metadata::Metadata;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::cases::from_hex;

/// The event that is noted: always of hub `Chat`, and of connection `c1` where none is named.
pub(crate) fn to_event(noted: &Value) -> Event {
    let text = |name: &str| noted.get(name).map(|value| value.as_str().unwrap());
    let source = Source {
        hub: HubName::new("Chat").unwrap(),
        connection_id: ConnectionId::parse(text("connection").unwrap_or("c1")).unwrap(),
        user_id: text("user").map(|id| UserId::new(id).unwrap()),
        subprotocol: text("subprotocol").map(Into::into),
        connection_state: text("state").map(Into::into),
    };
    let number = |name: &str| noted[name].as_u64().unwrap();
    Event { source, id: number("id"), time: number("time"), what: to_what(noted) }
}

fn to_what(noted: &Value) -> What {
    let text = |name: &str| noted.get(name).map(|value| value.as_str().unwrap());
    let group = |name: &str| text(name).map(|group| GroupName::new(group).unwrap());
    if let Some(request) = noted.get("connect") {
        return What::Connect(Box::new(ConnectRequest {
            claims: part(request, "claims"),
            query: part(request, "query"),
            headers: part(request, "headers"),
            subprotocols: part(request, "subprotocols"),
        }));
    }
    if let Some(event) = text("user event") {
        return What::User { event: EventName::new(event).unwrap(), content: to_content(noted) };
    }
    let disconnected = text("disconnected").map(|reason| What::Disconnected { reason: reason.to_owned() });
    let presence = || group("joined").map(What::Joined).or_else(|| group("left").map(What::Left));
    disconnected.or_else(presence).unwrap_or_else(|| {
        assert!(noted.get("connected").is_some(), "{noted} has no name");
        What::Connected
    })
}

fn to_content(noted: &Value) -> Content {
    let text = |name: &str| noted.get(name).map(|value| value.as_str().unwrap());
    let bytes = |name: &str| text(name).map(|text| Bytes::from(from_hex(text)));
    let payload = text("text")
        .map(Payload::text)
        .or_else(|| text("json").map(|source| Payload::json(source.to_owned().into()).unwrap()))
        .or_else(|| bytes("binary").map(Payload::binary))
        .or_else(|| bytes("protobuf").map(|bytes| Payload::protobuf(bytes).unwrap()));
    let metadata = noted.get("metadata").map(|_| part::<Vec<(String, String)>>(noted, "metadata"));
    let metadata = metadata.map(|entries| Metadata::new(entries).unwrap());
    Content { payload: payload.unwrap(), metadata }
}

fn part<T: DeserializeOwned>(noted: &Value, name: &str) -> T {
    serde_json::from_value(noted[name].clone()).unwrap()
}

/// The notation of an answer to `connect`.
pub(crate) fn of_connect_answer(answer: &ConnectAnswer) -> Value {
    let mut noted = Map::new();
    let mut note =
        |name: &str, value: Option<Value>| noted.extend(value.map(|value| (name.to_owned(), value)));
    note("userId", answer.user_id.as_ref().map(|user| json!(user.as_ref().map(UserId::as_str))));
    note("roles", answer.roles.as_ref().map(|roles| json!(roles)));
    let names = |groups: &Vec<GroupName>| json!(groups.iter().map(GroupName::as_str).collect::<Vec<_>>());
    note("groups", answer.groups.as_ref().map(names));
    note("subprotocol", answer.subprotocol.as_ref().map(|name| json!(name)));
    Value::Object(noted)
}

/// The notation of what the caller of a user event is told.
pub(crate) fn of_reply(reply: Option<&Content>) -> Value {
    let Some(Content { payload, metadata }) = reply else {
        return Value::Null;
    };
    let as_text = || str::from_utf8(payload.bytes()).unwrap().to_owned();
    let as_hex = || payload.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let (kind, bytes): (_, String) = match payload.data_type() {
        DataType::Text => ("text", as_text()),
        DataType::Json => ("json", as_text()),
        DataType::Binary => ("binary", as_hex()),
        DataType::Protobuf => ("protobuf", as_hex()),
    };
    let mut noted = json!({ kind: bytes });
    if let Some(metadata) = metadata {
        noted["metadata"] = json!(metadata.iter().collect::<Vec<_>>());
    }
    noted
}
