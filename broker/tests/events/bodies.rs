//! What the body of a user event is, for all ways in which clients send content.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::{ClientSpec, Handler};
use crate::user_events_to;

const TEXT: &str = "text/plain; charset=utf-8";
const BINARY: &str = "application/octet-stream";

#[tokio::test]
async fn a_user_event_carries_its_content_as_it_was_sent() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    // The serialized `Any` with the type URL "t/x" and the value 01 02.
    let any = [0x0A, 3, b't', b'/', b'x', 0x12, 2, 1, 2];
    let any_in_base64 = STANDARD.encode(any);
    let cases: [(String, &str, &[u8]); 13] = [
        (r#""dataType":"text","data":"h\u00e9llo \ud83d\ude00""#.into(), TEXT, "héllo 😀".as_bytes()),
        (r#""dataType":"text","data":"""#.into(), TEXT, b""),
        (r#""dataType":"Text","data":"t""#.into(), TEXT, b"t"),
        (
            r#""dataType":"json","data":{"a" : [1.50, 1e3, null]}"#.into(),
            "application/json",
            br#"{"a" : [1.50, 1e3, null]}"#,
        ),
        (r#""data":"a string""#.into(), "application/json", br#""a string""#),
        (r#""data":12345678901234567890"#.into(), "application/json", b"12345678901234567890"),
        (r#""data":false"#.into(), "application/json", b"false"),
        (r#""data":{}"#.into(), "application/json", b"{}"),
        (r#""dataType":"binary","data":"AP8="#.to_owned() + "\"", BINARY, &[0, 255]),
        (r#""dataType":"binary","data":"""#.into(), BINARY, b""),
        (format!(r#""dataType":"protobuf","data":"{any_in_base64}""#), "application/x-protobuf", &any),
        (r#""metadata":{"k":"v"}"#.into(), TEXT, b""),
        (r#""dataType":"text","data":"with metadata","metadata":{"k":"v"}"#.into(), TEXT, b"with metadata"),
    ];
    for (content, content_type, body) in cases {
        client.send_text(&format!(r#"{{"type":"event","event":"e",{content}}}"#)).await;
        let arrived = handler.expect("e").await;
        assert_eq!(arrived.header("content-type"), Some(content_type), "{content}");
        assert_eq!(arrived.body, body, "{content}");
    }
    client.send_json(json!({"type": "ping"})).await;
    assert_eq!(client.next_json().await, json!({"type": "pong"}), "nothing without an ack id is answered");
}

#[tokio::test]
async fn what_a_simple_client_sends_is_an_event_called_message() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    for text in ["hi", "", r#"{"type":"ping"}"#, "é😀\u{0}"] {
        client.send_text(text).await;
        let arrived = handler.expect("message").await;
        assert_eq!((arrived.header("content-type"), arrived.text()), (Some(TEXT), text));
    }
    for bytes in [&[0, 255][..], &[]] {
        client.send_binary(bytes).await;
        let arrived = handler.expect("message").await;
        assert_eq!((arrived.header("content-type"), &*arrived.body), (Some(BINARY), bytes));
    }
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn a_mebibyte_arrives_whole() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
    client.send_binary(&bytes).await;
    assert_eq!(handler.expect("message").await.body, bytes);
}

#[tokio::test]
async fn a_client_that_publishes_to_its_group_raises_no_events() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let spec = ClientSpec::publisher("g").role("webpubsub.sendToGroup").group("g");
    let mut publisher = server.connect("chat", spec).await;
    publisher.send_text("to the group").await;
    assert_eq!(publisher.next_text().await, "to the group");
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    client.send_text("to the handler").await;
    assert_eq!(handler.expect("message").await.text(), "to the handler");
}
