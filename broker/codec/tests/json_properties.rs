//! Properties of the JSON codec over arbitrary content: envelopes stay well formed whatever is spliced into them, and
//! what a client writes arrives unchanged. Golden pairs show the exact bytes, this shows that no content breaks them.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use codec::ids::{AckId, GroupName, UserId};
use codec::json::{decode, encode};
use codec::message::{Content, DataType, Downstream, Origin, Payload, SendToGroup, Upstream};
use codec::metadata::Metadata;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Text that is likely to need escapes.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        vec(prop::sample::select(TROUBLE.to_vec()), 0..20).prop_map(|list| list.concat())
    ]
}

const TROUBLE: [&str; 14] = [
    "\"",
    "\\",
    "\\u0041",
    "\n",
    "\0",
    "\u{1f}",
    "\u{7f}",
    "\u{2028}",
    "😀",
    "}",
    "]",
    ",\"data\":",
    "null",
    "/",
];

fn group() -> impl Strategy<Value = GroupName> {
    text().prop_filter_map("a group's name", |name| GroupName::new(&name).ok())
}

fn user() -> impl Strategy<Value = Option<UserId>> {
    text().prop_map(|id| UserId::new(&id).ok())
}

/// Values with odd white space and spelling.
fn json_source() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?";
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just(r#""\ud800\/""#.to_owned()),
        number,
        text().prop_map(|text| Value::String(text).to_string()),
    ];
    leaf.prop_recursive(6, 60, 5, |inner| {
        let space = "[ \t\r\n]{0,2}";
        prop_oneof![
            (space, vec(inner.clone(), 0..5))
                .prop_map(|(space, list)| format!("[{space}{}]", list.join(","))),
            (space, vec((text(), inner), 0..5)).prop_map(|(space, list)| {
                let entries: Vec<String> =
                    list.into_iter().map(|(key, value)| format!("{space}{}:{value}", json!(key))).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        text().prop_map(Payload::text),
        json_source().prop_map(|source| Payload::json(Bytes::from(source)).unwrap()),
        vec(any::<u8>(), 0..100).prop_map(|bytes| Payload::binary(bytes.into())),
        ("[a-z./]{0,20}", vec(any::<u8>(), 0..100))
            .prop_map(|(name, value)| { Payload::protobuf(any_message(&name, &value)).unwrap() }),
    ]
}

fn any_message(name: &str, value: &[u8]) -> Bytes {
    let delimited =
        |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    [delimited(0x0a, name.as_bytes()), delimited(0x12, value)].concat().into()
}

fn metadata() -> impl Strategy<Value = Option<Metadata>> {
    let map = btree_map("[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,20}", "[\u{0}-\u{7f}]{0,30}", 0..6);
    option::of(map.prop_map(|map| Metadata::new(map).unwrap()))
}

fn content() -> impl Strategy<Value = Content> {
    (payload(), metadata()).prop_map(|(payload, metadata)| Content { payload, metadata })
}

fn is_null(payload: &Payload) -> bool {
    payload.data_type() == DataType::Json && payload.bytes().trim_ascii() == b"null"
}

fn encoded(message: &Downstream) -> String {
    let mut frame = Vec::new();
    encode(message, &mut frame);
    String::from_utf8(frame).unwrap()
}

/// The envelope's properties in their order, with the source text of their values.
fn properties(frame: &str) -> Vec<(String, String)> {
    struct Properties(Vec<(String, String)>);
    impl<'de> serde::Deserialize<'de> for Properties {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Properties;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                    let mut list = Vec::new();
                    while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                        list.push((name, value.get().to_owned()));
                    }
                    Ok(Properties(list))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Properties>(frame).unwrap().0
}

/// What a JSON client must find under `dataType` and `data`; the latter as a value, unless it is JSON.
fn check_data(data_type: &str, source: &str, payload: &Payload) {
    let value = || serde_json::from_str::<String>(source).unwrap();
    match payload.data_type() {
        DataType::Json if is_null(payload) => assert_eq!((data_type, value().as_str()), ("text", "null")),
        DataType::Json => assert_eq!((data_type, source.as_bytes()), ("json", payload.bytes().trim_ascii())),
        DataType::Text => assert_eq!((data_type, value().as_bytes()), ("text", &payload.bytes()[..])),
        DataType::Binary => {
            assert_eq!((data_type, value()), ("binary", STANDARD.encode(payload.bytes())));
        }
        DataType::Protobuf => {
            assert_eq!((data_type, value()), ("protobuf", STANDARD.encode(payload.bytes())));
        }
    }
}

fn check_envelope(frame: &str, head: &[(&str, Value)], content: &Content) {
    let properties = properties(frame);
    let names: Vec<&str> = properties.iter().map(|(name, _)| name.as_str()).collect();
    let tail = ["dataType", "data", "metadata"];
    let tail = if content.metadata.is_some() { &tail[..] } else { &tail[..2] };
    let expected: Vec<&str> = head.iter().map(|(name, _)| *name).chain(tail.iter().copied()).collect();
    assert_eq!(names, expected);

    let value = |index: usize| serde_json::from_str::<Value>(&properties[index].1);
    for (index, (name, expected)) in head.iter().enumerate() {
        assert_eq!(value(index).unwrap(), *expected, "{name}");
    }
    check_data(value(head.len()).unwrap().as_str().unwrap(), &properties[head.len() + 1].1, &content.payload);
    if let Some(metadata) = &content.metadata {
        let map = metadata.iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
        assert_eq!(value(head.len() + 2).unwrap(), Value::Object(map));
    }
}

/// A publication as a client may write it.
fn written(send: &SendToGroup) -> String {
    let payload = &send.content.payload;
    let (data_type, data) = match payload.data_type() {
        DataType::Text => ("text", json!(std::str::from_utf8(payload.bytes()).unwrap()).to_string()),
        DataType::Json => ("json", String::from_utf8(payload.bytes().to_vec()).unwrap()),
        DataType::Binary => ("binary", json!(STANDARD.encode(payload.bytes())).to_string()),
        DataType::Protobuf => ("protobuf", json!(STANDARD.encode(payload.bytes())).to_string()),
    };
    let metadata = send.content.metadata.as_ref().map(|metadata| {
        let entries: Vec<String> =
            metadata.iter().map(|(key, value)| format!("{}:{}", json!(key), json!(value))).collect();
        format!("{{{}}}", entries.join(","))
    });
    format!(
        r#"{{"group":{},"data":{data},"ackId":{},"metadata":{},"type":"sendToGroup","noEcho":{},"dataType":"{data_type}","ttlSeconds":{}}}"#,
        json!(send.group.as_str()),
        json!(send.ack_id.map(|id| id.0)),
        metadata.as_deref().unwrap_or("null"),
        send.no_echo,
        send.time_to_live.map_or(0, |time| time.as_secs()),
    )
}

fn send_to_group() -> impl Strategy<Value = SendToGroup> {
    let time_to_live = option::of((1..=300_u64).prop_map(Duration::from_secs));
    let ack_id = option::of(any::<u64>().prop_map(AckId));
    let content = content().prop_filter("a client may not send null", |content| !is_null(&content.payload));
    (group(), content, any::<bool>(), time_to_live, ack_id).prop_map(
        |(group, content, no_echo, time_to_live, ack_id)| SendToGroup {
            group,
            content,
            no_echo,
            time_to_live,
            ack_id,
        },
    )
}

proptest! {
    #[test]
    fn a_group_message_is_well_formed_whatever_it_holds(
        group in group(), from_user_id in user(), content in content(),
    ) {
        let head = [
            ("type", json!("message")),
            ("from", json!("group")),
            ("group", json!(group.as_str())),
            ("fromUserId", json!(from_user_id.as_ref().map(UserId::as_str))),
        ];
        let origin = Origin::Group { group, from_user_id };
        let frame = encoded(&Downstream::Message { origin, content: content.clone(), stream: None });
        check_envelope(&frame, &head, &content);
    }

    #[test]
    fn a_server_message_is_well_formed_whatever_it_holds(content in content()) {
        let frame = encoded(&Downstream::Message { origin: Origin::Server, content: content.clone(), stream: None });
        check_envelope(&frame, &[("type", json!("message")), ("from", json!("server"))], &content);
    }

    #[test]
    fn a_publication_arrives_as_it_was_written(send in send_to_group()) {
        prop_assert_eq!(decode(written(&send).as_bytes()), Ok(Upstream::SendToGroup(send)));
    }

    #[test]
    fn no_bytes_stop_the_decoder(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_damage_to_a_message_stops_the_decoder(
        send in send_to_group(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = written(&send).into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = decode(&bytes);
        bytes.truncate(place);
        prop_assert!(decode(&bytes).is_err(), "half a message was taken for a whole one");
    }
}
