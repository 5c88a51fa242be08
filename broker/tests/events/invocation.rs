//! Invocations: what the application is asked, and how its answer reaches the client. Source: `client-protocols.md` 8.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use proto::client::downstream_message::InvokeResponseMessage;
use proto::client::downstream_message::Message as Downstream;
use proto::client::downstream_message::invoke_response_message::ErrorMessage;
use proto::client::message_data::Data;
use proto::client::upstream_message::{InvokeEventMessage, Message};
use serde_json::{Value, json};

use crate::support::protobuf::{of, text};
use crate::support::{Answer, ClientSpec, Handler, HandlerSpec, PROTOBUF, Server};
use crate::{broker_with, event, failed_invocation, invoke, user_events_to};

/// The serialized `Any` with the type URL "t/x" and the value 08 01.
const ANY: [u8; 9] = [0x0A, 3, b't', b'/', b'x', 0x12, 2, 8, 1];

fn any() -> prost_types::Any {
    prost_types::Any { type_url: "t/x".into(), value: vec![8, 1] }
}

/// The answer of an invocation that succeeded, with what else is in it.
fn success(id: &str, rest: &Value) -> Value {
    let mut response = json!({"type": "invokeResponse", "invocationId": id, "success": true});
    response.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    response
}

/// The same in protobuf.
fn protobuf_success(id: &str, data: Option<Data>, metadata: &[(&str, &str)]) -> Downstream {
    Downstream::InvokeResponseMessage(InvokeResponseMessage {
        invocation_id: id.into(),
        success: true,
        data: data.map(of),
        error: None,
        metadata: strings(metadata),
    })
}

fn strings(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// An invocation of the event `e`, as it is sent in protobuf.
fn protobuf_invoke(id: &str, data: Option<Data>, metadata: &[(&str, &str)]) -> Message {
    Message::InvokeEventMessage(InvokeEventMessage {
        event: "e".into(),
        invocation_id: id.into(),
        data: data.map(of),
        metadata: strings(metadata),
        ..InvokeEventMessage::default()
    })
}

#[tokio::test]
async fn the_application_sees_an_event_like_any_other() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.connect("chat", ClientSpec::json().user("ann")).await;
    client.send_json(event("Order.new", 1)).await;
    client.next_json().await;
    client.send_json(invoke("1", "Order.new")).await;
    assert_eq!(client.next_json().await, success("1", &json!({})));
    let all = handler.expect_all(&["connect", "connected", "Order.new", "Order.new"]).await;
    let [.., raised, invoked] = &all[..] else { panic!("{all:?}") };
    assert_eq!((invoked.id(), &invoked.target, &invoked.body), (3, &raised.target, &raised.body));
    let own = ["ce-id", "ce-time", "x-ms-client-request-id"];
    for (name, value) in raised.headers.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        assert_eq!(invoked.bytes(name), Some(&value[..]), "{name}");
    }
    assert_eq!(invoked.headers.len(), raised.headers.len());
}

#[tokio::test]
async fn each_kind_of_data_goes_there_and_comes_back() {
    let handler = Handler::start().await;
    handler.by("e", |arrived| match arrived.header("content-type") {
        Some(content_type) => Answer::body(content_type, arrived.body.clone()),
        None => Answer::status(400),
    });
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let cases = [
        ("text", json!("hé"), "text/plain; charset=utf-8", "hé".as_bytes().to_vec()),
        ("json", json!({"a": [1, null]}), "application/json", br#"{"a":[1,null]}"#.to_vec()),
        ("json", json!("s"), "application/json", br#""s""#.to_vec()),
        ("binary", json!("AP8="), "application/octet-stream", vec![0, 255]),
        ("protobuf", json!(STANDARD.encode(ANY)), "application/x-protobuf", ANY.to_vec()),
    ];
    for (data_type, data, content_type, body) in &cases {
        let message = json!({
            "type": "invoke", "invocationId": "x", "target": "event", "event": "e",
            "dataType": data_type, "data": data,
        });
        client.send_json(message).await;
        let rest = json!({"dataType": data_type, "data": data});
        assert_eq!(client.next_json().await, success("x", &rest));
        let arrived = handler.expect("e").await;
        assert_eq!(arrived.header("content-type"), Some(*content_type));
        assert_eq!(arrived.body, body, "{data_type}");
    }
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    let forms = [
        text("hé"),
        Data::JsonData("[1 ]".into()),
        Data::BinaryData(vec![0, 255].into()),
        Data::ProtobufData(any()),
    ];
    for data in forms {
        let message = protobuf_invoke("x", Some(data.clone()), &[]);
        client.ask_protobuf(message, protobuf_success("x", Some(data), &[])).await;
        assert_eq!(handler.expect("e").await.header("ce-subprotocol"), Some(PROTOBUF));
    }
    assert_eq!(any().encode_to_vec(), ANY);
}

#[tokio::test]
async fn no_data_is_an_empty_text_for_the_application_and_none_for_the_client() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let bare = json!({"type": "Invoke", "invocationId": "é\" 1", "target": "EVENT", "event": "e"});
    let mut protobuf = server.connect("chat", ClientSpec::protobuf()).await;
    for answer in [
        Answer::status(204),
        Answer::status(200),
        Answer::body("text/plain", ""),
        Answer::body("application/json", ""),
        Answer::body("text/html", ""),
    ] {
        handler.once("e", answer.clone());
        client.send_json(bare.clone()).await;
        assert_eq!(client.next_json().await, success("é\" 1", &json!({})));
        let arrived = handler.expect("e").await;
        assert_eq!((arrived.text(), arrived.header("content-type")), ("", Some("text/plain; charset=utf-8")));
        handler.once("e", answer);
        protobuf.ask_protobuf(protobuf_invoke("1", None, &[]), protobuf_success("1", None, &[])).await;
        assert_eq!(handler.expect("e").await.text(), "");
    }
}

#[tokio::test]
async fn metadata_goes_there_and_comes_back_with_data_and_without() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let mut protobuf = server.connect("chat", ClientSpec::protobuf()).await;
    let back = |answer: Answer| answer.header("x-webpubsub-metadata-Back", "b");
    for (answer, data) in [
        (back(Answer::text("x")), Some("x")),
        (back(Answer::status(204)), None),
        (back(Answer::body("application/json", "")), None),
    ] {
        handler.once("e", answer.clone());
        let mut message = invoke("1", "e");
        message["metadata"] = json!({"Trace": "a"});
        client.send_json(message).await;
        let mut rest = json!({"metadata": {"back": "b"}});
        if let Some(data) = data {
            rest["dataType"] = "text".into();
            rest["data"] = data.into();
        }
        assert_eq!(client.next_json().await, success("1", &rest));
        assert_eq!(handler.expect("e").await.header("x-webpubsub-metadata-trace"), Some("a"));

        handler.once("e", answer);
        let message = protobuf_invoke("1", Some(text("x")), &[("Trace", "a")]);
        protobuf.ask_protobuf(message, protobuf_success("1", data.map(text), &[("back", "b")])).await;
        assert_eq!(handler.expect("e").await.header("x-webpubsub-metadata-trace"), Some("a"));
    }
}

#[tokio::test]
async fn whatever_fails_is_told_without_details_and_the_client_stays() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let mut protobuf = server.connect("chat", ClientSpec::protobuf()).await;
    let failed = Downstream::InvokeResponseMessage(InvokeResponseMessage {
        invocation_id: "1".into(),
        success: false,
        error: Some(ErrorMessage {
            name: "InternalServerError".into(),
            message: "Internal server error".into(),
        }),
        ..InvokeResponseMessage::default()
    });
    for answer in [
        Answer::text("secret").with_status(400),
        Answer::text("secret").with_status(302),
        Answer::body("text/html", "secret"),
        Answer::body("application/json", "{"),
        Answer::text("secret").header("x-webpubsub-metadata-k", "é"),
        Answer::text("secret").header("ce-connectionState", "x".repeat(16 * 1024 + 1)),
    ] {
        handler.once("e", answer.clone());
        client.send_json(invoke("1", "e")).await;
        assert_eq!(client.next_json().await, failed_invocation("1"));
        handler.once("e", answer);
        protobuf.ask_protobuf(protobuf_invoke("1", None, &[]), failed.clone()).await;
    }
    handler.once("e", Answer::text("fine"));
    client.send_json(invoke("1", "e")).await;
    assert_eq!(client.next_json().await["data"], "fine");
}

#[tokio::test]
async fn an_event_that_nobody_takes_fails_at_once_and_its_id_is_free_again() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        setup.handler("chat", &handler, |spec| spec.user("known"));
    })
    .await;
    for hub in ["chat", "without"] {
        let mut client = server.connect(hub, ClientSpec::json()).await;
        for _ in 0..2 {
            client.send_json(invoke("1", "unknown")).await;
            assert_eq!(client.next_json().await, failed_invocation("1"));
        }
    }
    assert_eq!(handler.events().len(), 0);
}

#[tokio::test]
async fn what_the_answer_attaches_to_the_connection_goes_with_later_events() {
    let handler = Handler::start().await;
    handler.once(
        "e",
        Answer::status(204).header("ce-connectionState", "s1").header("Set-Cookie", "c=1; Path=/"),
    );
    handler.once(
        "e",
        Answer::status(400).header("ce-connectionState", "s2").header("Set-Cookie", "c=2; Path=/"),
    );
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let expected = [(None, None), (Some("s1"), Some("c=1")), (Some("s1"), Some("c=1"))];
    for (id, (state, cookie)) in ["1", "2", "3"].into_iter().zip(expected) {
        client.send_json(invoke(id, "e")).await;
        client.next_json().await;
        let arrived = handler.expect("e").await;
        assert_eq!((arrived.header("ce-connectionstate"), arrived.header("cookie")), (state, cookie), "{id}");
    }
}
