//! Metadata over the wire: limits, case, repeated keys.

use serde_json::{Map, Value, json};

use crate::support::{Client, ClientSpec, Server};

fn send(metadata: &str) -> String {
    format!(r#"{{"type":"sendToGroup","group":"g","dataType":"text","data":"x","metadata":{metadata}}}"#)
}

async fn member(server: &Server) -> Client {
    server.connect("chat", ClientSpec::member().group("g")).await
}

/// So many keys of this length with values of that length.
fn map(keys: usize, key_len: usize, value_len: usize) -> Value {
    let entries = (0..keys).map(|n| {
        let key = format!("{n:0>key_len$}");
        assert_eq!(key.len(), key_len);
        (key, Value::from("v".repeat(value_len)))
    });
    Value::Object(Map::from_iter(entries))
}

#[tokio::test]
async fn metadata_within_the_limits_travels_unchanged() {
    let server = Server::start().await;
    let mut client = member(&server).await;
    let all_ascii: String = (0..=127_u8).map(char::from).collect();
    for metadata in [
        json!({}),
        json!({"trace": "a1", "Trace": "a2", "TRACE": ""}),
        json!({"!#$%&'*+-.^_`|~09azAZ": "x"}),
        json!({"k": all_ascii}),
        map(1, 256, 1024),
        map(8, 1, 1023),
        map(2048, 4, 0),
    ] {
        client.send_text(&send(&metadata.to_string())).await;
        assert_eq!(client.next_json().await["metadata"], metadata);
    }
}

#[tokio::test]
async fn null_metadata_is_none() {
    let server = Server::start().await;
    let mut client = member(&server).await;
    client.send_text(&send("null")).await;
    assert_eq!(client.next_json().await.get("metadata"), None);
}

#[tokio::test]
async fn metadata_beyond_the_limits_closes_with_1007() {
    let server = Server::start().await;
    let long_key = json!({"k".repeat(257): "x"}).to_string();
    let long_value = json!({"k": "v".repeat(1025)}).to_string();
    let too_much = map(8, 2, 1023).to_string();
    let cases = [
        "[]",
        "1",
        "\"k=v\"",
        "true",
        r#"{"":"x"}"#,
        r#"{"a b":"x"}"#,
        r#"{"a:b":"x"}"#,
        r#"{"a/b":"x"}"#,
        r#"{"clé":"x"}"#,
        r#"{"k":"é"}"#,
        r#"{"k":"\u0080"}"#,
        r#"{"k":1}"#,
        r#"{"k":null}"#,
        r#"{"k":["v"]}"#,
        r#"{"k":"1","l":"2","k":"3"}"#,
        r#"{"k":"1","\u006b":"1"}"#,
        &long_key,
        &long_value,
        &too_much,
    ];
    for metadata in cases {
        for message in
            [send(metadata), send(metadata).replace("\"sendToGroup\",", "\"event\",\"event\":\"e\",")]
        {
            let mut client = member(&server).await;
            client.send_text(&message).await;
            client.expect_close(1007, "The client message is not a valid JSON protocol message.").await;
        }
    }
}

#[tokio::test]
async fn ten_thousand_keys_close_with_1007() {
    let server = Server::start().await;
    let mut client = member(&server).await;
    client.send_text(&send(&map(10_000, 5, 1).to_string())).await;
    client.expect_close(1007, "The client message is not a valid JSON protocol message.").await;
}
