//! Properties of events over arbitrary content: whatever an application answers is understood or refused, and what it
//! would send back of an event is what the event said. Golden pairs show the exact bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use bytes::Bytes;
use codec::cloud_event::{body, connection_state, headers, read_connect_answer, read_reply};
use codec::event::{ConnectAnswer, Event, Source, What};
use codec::ids::{ConnectionId, EventName, GroupName, HubName, UserId};
use codec::message::{Content, Payload};
use codec::metadata::Metadata;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Lines as an application may answer them: names that mean something are likely, values may be any bytes.
fn lines() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        Just("content-type".to_owned()),
        Just("ce-connectionstate".to_owned()),
        "x-webpubsub-metadata-[a-c]{0,2}",
        "[a-z-]{1,30}",
    ];
    let value = prop_oneof![
        vec(any::<u8>(), 0..30),
        "(text/plain|application/(json|octet-stream|x-protobuf))(; ?charset=[a-z0-9-]{0,9})?"
            .prop_map(String::into_bytes),
        "[ ,a-c\t]{0,8}".prop_map(String::into_bytes),
    ];
    vec((name, value), 0..8)
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        any::<String>().prop_map(Payload::text),
        any::<String>().prop_map(|text| Payload::json(json!({ "a": [text] }).to_string().into()).unwrap()),
        vec(any::<u8>(), 0..50).prop_map(|bytes| Payload::binary(bytes.into())),
        vec(any::<u8>(), 0..50).prop_map(|value| {
            let length = u8::try_from(value.len()).unwrap();
            Payload::protobuf([&[0x12, length], value.as_slice()].concat().into()).unwrap()
        }),
    ]
}

/// Metadata that HTTP keeps as it is: keys in lower case and in order, values without commas and outer white space.
fn metadata() -> impl Strategy<Value = Option<Metadata>> {
    let map = btree_map("[!#$%&'*+.^_`|~0-9a-z-]{1,20}", "([!-+--~]([ -+--~]{0,20}[!-+--~])?)?", 1..6);
    option::of(map.prop_map(|map| Metadata::new(map).unwrap()))
}

fn event(what: What, user: &str, state: Option<&str>) -> Event {
    let source = Source {
        hub: HubName::new("chat").unwrap(),
        connection_id: ConnectionId::parse("c1").unwrap(),
        user_id: UserId::new(user).ok(),
        subprotocol: None,
        connection_state: state.map(Into::into),
    };
    Event { source, id: 1, time: 0, what }
}

fn user_event(content: Content) -> What {
    What::User { event: EventName::new("message").unwrap(), content }
}

fn answer() -> impl Strategy<Value = ConnectAnswer> {
    let user = option::of(any::<String>().prop_map(|id| UserId::new(&id).ok()));
    let group = any::<String>().prop_filter_map("a group's name", |name| GroupName::new(&name).ok());
    let (roles, groups) = (option::of(vec(any::<String>(), 0..4)), option::of(vec(group, 1..4)));
    (user, roles, groups, option::of(any::<String>())).prop_map(|(user_id, roles, groups, subprotocol)| {
        ConnectAnswer { user_id, roles, groups, subprotocol }
    })
}

fn written(answer: &ConnectAnswer) -> Value {
    let mut properties = Map::new();
    if let Some(user_id) = &answer.user_id {
        properties.insert("userId".into(), json!(user_id.as_ref().map_or("", UserId::as_str)));
    }
    if let Some(roles) = &answer.roles {
        properties.insert("ROLES".into(), json!(roles));
    }
    if let Some(groups) = &answer.groups {
        properties.insert("Groups".into(), groups.iter().map(GroupName::as_str).collect());
    }
    properties.insert("subprotocol".into(), json!(answer.subprotocol));
    Value::Object(properties)
}

proptest! {
    #[test]
    fn any_answer_is_understood_or_refused(lines in lines(), body in vec(any::<u8>(), 0..60)) {
        let headers = lines.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let _ = read_connect_answer(&body);
        let _ = connection_state(headers.clone());
        let is_empty = body.is_empty();
        if let Ok(Some(content)) = read_reply(headers, body.into()) {
            prop_assert!(!is_empty || content.metadata.is_some());
            prop_assert_eq!(content.payload.bytes().is_empty(), is_empty);
        }
    }

    #[test]
    fn an_echo_of_an_event_is_what_the_event_said(payload in payload(), metadata in metadata()) {
        let content = Content { payload, metadata };
        let event = event(user_event(content.clone()), "ann", None);
        let headers = headers(&event).unwrap();
        let lines = headers.iter().map(|(name, value)| (&**name, value.as_slice()));
        let reply = read_reply(lines, body(&event.what)).unwrap();
        match reply {
            Some(reply) if content.payload.bytes().is_empty() => {
                prop_assert_eq!(reply, Content { payload: Payload::text(""), ..content });
            }
            Some(reply) => prop_assert_eq!(reply, content),
            None => prop_assert!(content.payload.bytes().is_empty() && content.metadata.is_none()),
        }
    }

    #[test]
    fn headers_are_such_as_http_allows(user in any::<String>(), state in any::<String>(), value in "[\0-\u{7f}]{0,20}") {
        let metadata = Some(Metadata::new([("K", value.as_str())]).unwrap());
        let content = Content { payload: Payload::binary(Bytes::new()), metadata };
        let is_plain = |text: &str| !text.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f);
        let valid = UserId::new(&user).is_err() || is_plain(&user);
        let valid = valid && state.is_ascii() && is_plain(&state) && is_plain(&value);
        let headers = headers(&event(user_event(content), &user, Some(&state)));
        prop_assert_eq!(headers.is_ok(), valid);
        for (name, value) in headers.unwrap_or_default() {
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", name);
            prop_assert!(name == "ce-userid" || value.is_ascii());
        }
    }

    #[test]
    fn wishes_are_read_as_they_were_written(answer in answer()) {
        let text = written(&answer).to_string();
        prop_assert_eq!(read_connect_answer(text.as_bytes()), Ok(answer));
    }
}
