//! `sendToGroup` and what its receivers see.

use serde_json::{Value, json};

use crate::support::{Client, ClientSpec, Server};

/// Two clients that may do everything, members of `g`.
async fn pair(server: &Server) -> (Client, Client) {
    let mut first = server.connect("chat", ClientSpec::member().user("ann")).await;
    let mut second = server.connect("chat", ClientSpec::member().user("bob")).await;
    first.join("g").await;
    second.join("g").await;
    (first, second)
}

#[tokio::test]
async fn a_member_sees_group_publisher_type_data_and_metadata() {
    let server = Server::start().await;
    let (mut ann, mut bob) = pair(&server).await;
    ann.send_json(json!({
        "type": "sendToGroup", "group": "g", "dataType": "text", "data": "hi", "ttlSeconds": 60,
        "metadata": {"trace": "a1"}, "noEcho": true, "ackId": 7,
    }))
    .await;
    let expected = json!({
        "type": "message", "from": "group", "group": "g", "fromUserId": "ann",
        "dataType": "text", "data": "hi", "metadata": {"trace": "a1"},
    });
    assert_eq!(bob.next_json().await, expected);
    assert_eq!(ann.next_json().await, json!({"type": "ack", "ackId": 7, "success": true}));
    ann.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn without_metadata_and_user_their_fields_are_absent_and_null() {
    let server = Server::start().await;
    let mut nobody = server.connect("chat", ClientSpec::member()).await;
    nobody.join("g").await;
    nobody.send_json(json!({"type": "sendToGroup", "group": "g", "data": [1]})).await;
    let expected = json!({
        "type": "message", "from": "group", "group": "g", "fromUserId": null, "dataType": "json", "data": [1],
    });
    assert_eq!(nobody.next_json().await, expected);
}

#[tokio::test]
async fn publishing_needs_no_membership_and_an_empty_group_is_fine() {
    let server = Server::start().await;
    let mut publisher = server.connect("chat", ClientSpec::json().role("webpubsub.sendToGroup")).await;
    let ack = publisher.request(json!({"type": "sendToGroup", "group": "empty", "data": 1})).await;
    assert_eq!(ack["success"], true);
    publisher.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn no_echo_skips_the_sending_connection_and_not_the_user() {
    let server = Server::start().await;
    let mut phone = server.connect("chat", ClientSpec::member().user("ann")).await;
    let mut laptop = server.connect("chat", ClientSpec::member().user("ann")).await;
    phone.join("g").await;
    laptop.join("g").await;
    let send = |no_echo: Value, data: &str| json!({"type": "sendToGroup", "group": "g", "data": data, "noEcho": no_echo});
    phone.send_json(send(json!(true), "skips the phone")).await;
    phone.send_json(send(json!(false), "for both")).await;
    phone.send_json(send(Value::Null, "null is false")).await;
    assert_eq!(phone.next_json().await["data"], "for both");
    assert_eq!(phone.next_json().await["data"], "null is false");
    for expected in ["skips the phone", "for both", "null is false"] {
        assert_eq!(laptop.next_json().await["data"], expected);
    }
}

#[tokio::test]
async fn json_data_travels_exactly_as_written() {
    let server = Server::start().await;
    let (mut ann, mut bob) = pair(&server).await;
    let values = [
        r#"{"b" : 1.0e2,"a":[ ],"b":2}"#,
        "12345678901234567890.000",
        r#""\u00e9\/\ud83d\ude00""#,
        "  true",
        "[[[1,  2]]]",
        "-0",
        r#""""#,
        "{}",
        "false",
    ];
    for value in values {
        ann.send_text(&format!(r#"{{"type":"sendToGroup","group":"g","noEcho":true,"data":{value}}}"#)).await;
        let text = bob.next_text().await;
        assert!(text.contains(value.trim()), "{value}: {text}");
        let message: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&message["dataType"], &message["fromUserId"]), (&json!("json"), &json!("ann")));
    }
}

#[tokio::test]
async fn text_may_hold_every_character() {
    let server = Server::start().await;
    let (mut ann, mut bob) = pair(&server).await;
    for text in ["", "\u{0}\u{1f}\"\\/\u{7f}", "é你😀\u{2028}\u{feff}", "</script>", "line\r\nline"] {
        ann.send_json(json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": text})).await;
        assert_eq!(bob.next_json().await["data"], text);
    }
    // A surrogate pair spelled in escapes is one character.
    ann.send_text(r#"{"type":"sendToGroup","group":"g","dataType":"text","data":"\ud83d\ude00"}"#).await;
    assert_eq!(bob.next_json().await["data"], "😀");
}

#[tokio::test]
async fn type_and_data_type_ignore_case_and_names_do_not() {
    let server = Server::start().await;
    let (mut ann, mut bob) = pair(&server).await;
    for (kind, data_type, expected) in [
        ("SENDTOGROUP", "Text", "text"),
        ("sendtogroup", "JSON", "json"),
        ("SendToGroup", "Binary", "binary"),
    ] {
        ann.send_json(json!({"type": kind, "group": "g", "dataType": data_type, "data": "AAEC"})).await;
        assert_eq!(bob.next_json().await["dataType"], expected);
    }
    // `DataType` is an unknown property, so the default counts.
    ann.send_json(json!({"type": "sendToGroup", "group": "g", "DataType": "text", "data": "x"})).await;
    assert_eq!(bob.next_json().await["dataType"], "json");
}

#[tokio::test]
async fn unknown_properties_are_ignored_and_of_a_repeated_one_the_last_counts() {
    let server = Server::start().await;
    let (mut ann, mut bob) = pair(&server).await;
    ann.send_text(
        r#"{"type":"ping","x":{"y":[null]},"type":"sendToGroup","group":"h","group":"g","data":1,"data":2,"event":7}"#,
    )
    .await;
    assert_eq!(bob.next_json().await["data"], 2);
}

#[tokio::test]
async fn data_may_be_missing_beside_metadata_and_is_empty_text_then() {
    let server = Server::start().await;
    let (mut ann, mut bob) = pair(&server).await;
    for metadata in [json!({}), json!({"k": "v"})] {
        ann.send_json(json!({"type": "sendToGroup", "group": "g", "metadata": metadata})).await;
        let message = bob.next_json().await;
        assert_eq!((&message["dataType"], &message["data"]), (&json!("text"), &json!("")));
        assert_eq!(message["metadata"], metadata);
    }
}

#[tokio::test]
async fn times_to_live_of_up_to_five_minutes_are_taken() {
    let server = Server::start().await;
    let (mut ann, mut bob) = pair(&server).await;
    for seconds in [json!(0), json!(1), json!(300), Value::Null] {
        ann.send_json(
            json!({"type": "sendToGroup", "group": "g", "data": seconds == 1, "ttlSeconds": seconds}),
        )
        .await;
        assert_eq!(bob.next_json().await["data"], json!(seconds == 1));
    }
}

#[tokio::test]
async fn the_publisher_cannot_choose_whom_it_is() {
    let server = Server::start().await;
    let (mut ann, mut bob) = pair(&server).await;
    ann.send_json(json!({
        "type": "sendToGroup", "group": "g", "data": 1, "fromUserId": "eve", "from": "server", "sequenceId": 9,
    }))
    .await;
    let message = bob.next_json().await;
    assert_eq!((&message["from"], &message["fromUserId"]), (&json!("group"), &json!("ann")));
    assert_eq!(message.get("sequenceId"), None);
}

#[tokio::test]
async fn a_message_of_one_mebibyte_is_taken() {
    let server = Server::start().await;
    let (mut ann, mut bob) = pair(&server).await;
    let head = r#"{"type":"sendToGroup","group":"g","noEcho":true,"dataType":"text","data":""#;
    let data = "x".repeat((1 << 20) - head.len() - 2);
    let message = format!("{head}{data}\"}}");
    assert_eq!(message.len(), 1 << 20);
    ann.send_text(&message).await;
    assert_eq!(bob.next_json().await["data"], data);
    ann.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn every_member_gets_one_copy_on_whichever_worker_it_lives() {
    let server = Server::with(|setup| {
        setup.workers(4);
    })
    .await;
    let mut members = Vec::new();
    for _ in 0..16 {
        members.push(server.connect("chat", ClientSpec::member().group("g")).await);
    }
    for publisher in 0..members.len() {
        members[publisher].publish("g", &publisher.to_string()).await;
        for member in &mut members {
            assert_eq!(member.next_json().await["data"], publisher.to_string());
        }
    }
    for member in &mut members {
        member.expect_nothing_before_pong().await;
    }
}
