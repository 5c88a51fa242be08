//! Events of protobuf clients: what the application is sent, and its answers in each content type. Source:
//! `client-protobuf.md` 4.

use bytes::Bytes;
use prost::Message as _;
use proto::client::downstream_message::DataMessage;
use proto::client::message_data::Data;
use proto::client::upstream_message::{EventMessage, Message};
use serde_json::json;

use crate::support::protobuf::{event, failure, of, success, text};
use crate::support::{Answer, Client, ClientSpec, Handler, PROTOBUF};
use crate::{connect_to, user_events_to};

fn any() -> prost_types::Any {
    prost_types::Any { type_url: "t/x".into(), value: vec![8, 1] }
}

/// Raises the event `e`.
async fn raise(client: &mut Client, data: Data, ack_id: u64) {
    let event = EventMessage { ack_id: Some(ack_id), ..event("e", data) };
    client.send_protobuf(Message::EventMessage(event)).await;
}

#[tokio::test]
async fn each_kind_of_data_has_its_content_type() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    let cases = [
        (text("hé"), "text/plain; charset=utf-8", "hé".into()),
        (Data::JsonData("[1 ]".into()), "application/json", "[1 ]".into()),
        (Data::BinaryData(vec![0, 255].into()), "application/octet-stream", vec![0, 255]),
        (Data::ProtobufData(any()), "application/x-protobuf", any().encode_to_vec()),
    ];
    for (ack_id, (data, content_type, body)) in (0..).zip(cases) {
        raise(&mut client, data, ack_id).await;
        let arrived = handler.expect("e").await;
        assert_eq!(arrived.header("content-type"), Some(content_type));
        assert_eq!(arrived.header("ce-subprotocol"), Some(PROTOBUF));
        assert_eq!(arrived.body, Bytes::from(body), "{content_type}");
        assert_eq!(client.next_protobuf().await, success(ack_id), "{content_type}");
    }
}

#[tokio::test]
async fn metadata_goes_to_the_application_and_comes_back() {
    let handler = Handler::start().await;
    handler.always("e", Answer::status(204).header("x-webpubsub-metadata-Back", "b"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    let metadata = [("Trace".into(), "a".into())].into();
    let event = EventMessage { event: "e".into(), metadata, ..EventMessage::default() };
    client.send_protobuf(Message::EventMessage(event)).await;
    let arrived = handler.expect("e").await;
    assert_eq!(arrived.header("x-webpubsub-metadata-trace"), Some("a"));
    let expected = DataMessage {
        from: "server".into(),
        data: Some(of(text(""))),
        metadata: [("back".into(), "b".into())].into(),
        ..DataMessage::default()
    };
    assert_eq!(client.next_data().await, expected);
}

#[tokio::test]
async fn an_answer_comes_before_its_ack_in_the_form_of_its_content_type() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    let cases = [
        (Answer::text("hé"), text("hé")),
        (Answer::body("application/json", "{\"a\": 1}"), Data::JsonData("{\"a\": 1}".into())),
        (Answer::body("application/octet-stream", vec![0, 255]), Data::BinaryData(vec![0, 255].into())),
        (Answer::body("application/x-protobuf", any().encode_to_vec()), Data::ProtobufData(any())),
        (Answer::untyped("x"), Data::BinaryData("x".into())),
    ];
    for (ack_id, (answer, data)) in (0..).zip(cases) {
        handler.once("e", answer);
        raise(&mut client, text("x"), ack_id).await;
        let expected = DataMessage { from: "server".into(), data: Some(of(data)), ..DataMessage::default() };
        assert_eq!(client.next_data().await, expected);
        assert_eq!(client.next_protobuf().await, success(ack_id));
    }
}

#[tokio::test]
async fn an_answer_that_is_no_any_fails_the_event_and_the_id_may_be_used_again() {
    let handler = Handler::start().await;
    handler.once("e", Answer::body("application/x-protobuf", "hello"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    raise(&mut client, text("x"), 1).await;
    let expected = failure(1, "InternalServerError", "Internal server error");
    assert_eq!(client.next_protobuf().await, expected);
    raise(&mut client, text("x"), 1).await;
    assert_eq!(client.next_protobuf().await, success(1));
}

#[tokio::test]
async fn the_application_may_choose_protobuf_among_what_is_offered() {
    let handler = Handler::start().await;
    handler.once("connect", Answer::json(&json!({"userId": "bob", "subprotocol": PROTOBUF})));
    let server = connect_to(&handler).await;
    let offer = format!("json.webpubsub.azure.v1, {PROTOBUF}");
    let mut client = server.open("chat", ClientSpec::simple().offer(&offer)).await;
    assert_eq!(client.subprotocol(), Some(PROTOBUF));
    assert_eq!(client.next_connected().await.user_id, "bob");
}
