//! How the application's answer to a user event reaches the client.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Answer, ClientSpec, Handler, Received};
use crate::{acked, event, failed, user_events_to};

/// The serialized `Any` with the type URL "t/x" and the value 01 02.
const ANY: [u8; 9] = [0x0A, 3, b't', b'/', b'x', 0x12, 2, 1, 2];

/// An answer, what a JSON client gets of it beside `type` and `from`, and what a simple client gets.
fn replies() -> Vec<(Answer, Option<Value>, Option<Received>)> {
    let text = |text: &str| Some(Received::Text(text.to_owned()));
    let binary = |bytes: &[u8]| Some(Received::Binary(bytes.to_vec()));
    let of_metadata = |name: &str, value: &str| Answer::status(200).header(name, value);
    vec![
        (Answer::text("héllo"), Some(json!({"dataType": "text", "data": "héllo"})), text("héllo")),
        (
            Answer::body("Text/Plain; charset=utf-8", "x"),
            Some(json!({"dataType": "text", "data": "x"})),
            text("x"),
        ),
        (
            Answer::body("application/json", r#"{"a" : [1, null]}"#),
            Some(json!({"dataType": "json", "data": {"a": [1, null]}})),
            text(r#"{"a" : [1, null]}"#),
        ),
        (
            Answer::body("application/json; charset=utf-8", r#""s""#),
            Some(json!({"dataType": "json", "data": "s"})),
            text(r#""s""#),
        ),
        (
            Answer::body("application/octet-stream", vec![0, 255]),
            Some(json!({"dataType": "binary", "data": "AP8="})),
            binary(&[0, 255]),
        ),
        (Answer::untyped("x"), Some(json!({"dataType": "binary", "data": "eA=="})), binary(b"x")),
        (
            Answer::body("application/x-protobuf", ANY.to_vec()),
            Some(json!({"dataType": "protobuf", "data": STANDARD.encode(ANY)})),
            binary(&ANY),
        ),
        (Answer::body("text/plain", ""), None, None),
        (Answer::body("application/json", ""), None, None),
        (Answer::body("text/html", ""), None, None),
        (Answer::status(200), None, None),
        (
            of_metadata("x-webpubsub-metadata-Key", "value"),
            Some(json!({"dataType": "text", "data": "", "metadata": {"key": "value"}})),
            text(""),
        ),
        (
            of_metadata("x-webpubsub-metadata-key", "").with_status(204),
            Some(json!({"dataType": "text", "data": "", "metadata": {"key": ""}})),
            text(""),
        ),
        (
            Answer::text("x")
                .header("x-webpubsub-metadata-a", "first")
                .header("X-WebPubSub-Metadata-A", "one, two ,  three  ")
                .header("x-webpubsub-metadata-b.c", "d"),
            Some(json!({"dataType": "text", "data": "x", "metadata": {"a": "three", "b.c": "d"}})),
            text("x"),
        ),
        // An empty key is no key.
        (
            Answer::text("x").header("x-webpubsub-metadata-", "ignored"),
            Some(json!({"dataType": "text", "data": "x"})),
            text("x"),
        ),
        (of_metadata("x-webpubsub-metadata-", "ignored"), None, None),
    ]
}

#[tokio::test]
async fn a_json_client_gets_the_reply_as_a_message_of_the_server() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (id, (answer, expected, _)) in (0..).zip(replies()) {
        handler.once("e", answer);
        client.send_json(event("e", id)).await;
        if let Some(mut expected) = expected {
            expected["type"] = "message".into();
            expected["from"] = "server".into();
            assert_eq!(client.next_json().await, expected, "case {id}");
        }
        assert_eq!(client.next_json().await, acked(id), "case {id}");
    }
}

#[tokio::test]
async fn a_simple_client_gets_the_reply_as_one_frame() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    for (id, (answer, _, expected)) in replies().into_iter().enumerate() {
        handler.once("message", answer);
        client.send_text("hi").await;
        handler.expect("message").await;
        // Replies come in order, so that nothing is proved absent by the next.
        if let Some(expected) = expected {
            assert_eq!(client.next().await, expected, "case {id}");
        }
    }
    handler.once("message", Answer::text("last"));
    client.send_text("hi").await;
    assert_eq!(client.next_text().await, "last");
}

#[tokio::test]
async fn json_stands_in_the_reply_as_the_application_wrote_it() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    handler.once("e", Answer::body("application/json", "12345678901234567890.10"));
    client.send_json(event("e", 1)).await;
    let text = client.next_text().await;
    assert!(text.contains("12345678901234567890.10"), "{text}");
}

#[tokio::test]
async fn metadata_that_breaks_a_limit_fails_the_event() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let many = |count: usize| {
        (0..count).fold(Answer::text("x"), |answer, n| {
            answer.header(&format!("x-webpubsub-metadata-{n}"), "v".repeat(1000))
        })
    };
    let long_key = format!("x-webpubsub-metadata-{}", "k".repeat(257));
    let answers = [
        (Answer::text("x").header("x-webpubsub-metadata-k", "v".repeat(1024)), true),
        (Answer::text("x").header("x-webpubsub-metadata-k", "v".repeat(1025)), false),
        (Answer::text("x").header("x-webpubsub-metadata-k", "é"), false),
        (Answer::text("x").header(&long_key, "v"), false),
        (many(8), true),
        (many(9), false),
    ];
    for (id, (answer, is_fine)) in (0..).zip(answers) {
        handler.once("e", answer);
        client.send_json(event("e", id)).await;
        if is_fine {
            assert_eq!(client.next_json().await["data"], "x", "case {id}");
            assert_eq!(client.next_json().await, acked(id), "case {id}");
        } else {
            assert_eq!(client.next_json().await, failed(id), "case {id}");
        }
    }
}

#[tokio::test]
async fn a_reply_of_many_bytes_arrives_whole() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    let bytes: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
    handler.once("message", Answer::body("application/octet-stream", bytes.clone()));
    client.send_text("hi").await;
    assert_eq!(client.next_binary().await, bytes);
}
