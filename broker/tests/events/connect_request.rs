//! What the application is shown of a client that asks to be let in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Answer, ClientSpec, Gate, Handler, HandlerSpec, Server};
use crate::{broker_with, connect_to, knock, knock_unanswered};

/// Values of a map by name, whatever the case of the name.
fn values(map: &Value) -> BTreeMap<String, Vec<String>> {
    let entries = map.as_object().unwrap().iter();
    let texts = |values: &Value| values.as_array().unwrap().iter().map(text).collect();
    entries.map(|(name, values)| (name.to_ascii_lowercase(), texts(values))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

#[tokio::test]
async fn claims_are_shown_as_lists_of_texts() {
    let handler = Handler::start().await;
    let server = connect_to(&handler).await;
    let token = server
        .client_token("chat")
        .user("alice")
        .roles(["webpubsub.sendToGroup"])
        .groups(["g1", "g2"])
        .claim("custom", json!(["one", "two"]))
        .claim("number", 7)
        .claim("truth", true);
    let _client = server.connect("chat", ClientSpec::json().token(&token.sign())).await;
    let claims = &handler.expect("connect").await.json()["claims"];
    for (name, expected) in [
        ("sub", json!(["alice"])),
        ("role", json!(["webpubsub.sendToGroup"])),
        ("webpubsub.group", json!(["g1", "g2"])),
        ("custom", json!(["one", "two"])),
        ("number", json!(["7"])),
        ("truth", json!(["true"])),
        ("aud", json!([format!("{}/client/hubs/chat", server.origin())])),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert_eq!(claims["exp"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_query_is_shown_without_the_token() {
    let handler = Handler::start().await;
    let server = connect_to(&handler).await;
    let spec = ClientSpec::json()
        .query("tag", "a")
        .query("other", "ü &=")
        .query("tag", "b")
        .query("empty", "")
        .query("Access_Token", "secret");
    assert_eq!(knock(&server, &spec).await.status, 101);
    let query = &handler.expect("connect").await.json()["query"];
    assert_eq!(*query, json!({"tag": ["a", "b"], "other": ["ü &="], "empty": [""]}));
}

#[tokio::test]
async fn headers_are_shown_without_those_that_are_secret() {
    let handler = Handler::start().await;
    let server = connect_to(&handler).await;
    let bearer = format!("Bearer {}", server.client_token("chat").user("ann").sign());
    let mut socket = server.raw().await;
    let headers = [
        ("Authorization", bearer.as_str()),
        ("X-Custom", "v"),
        ("X-Many", "1"),
        ("X-Many", "2"),
        ("Cookie", "a=b"),
        ("X-ASRS-Internal-Secret", "s"),
        ("x-asrs-internal-other", "s"),
        ("Sec-WebSocket-Protocol", "json.webpubsub.azure.v1"),
    ];
    assert_eq!(socket.upgrade("/client/hubs/chat", &headers).await.status, 101);
    let arrived = handler.expect("connect").await;
    assert!(!arrived.text().contains(&bearer[7..]), "the token is in the body");
    let headers = values(&arrived.json()["headers"]);
    assert_eq!(headers["host"], [server.address().to_string()]);
    assert_eq!(headers["x-custom"], ["v"]);
    assert_eq!(headers["x-many"], ["1", "2"]);
    assert_eq!(headers["cookie"], ["a=b"]);
    assert_eq!(headers["sec-websocket-protocol"], ["json.webpubsub.azure.v1"]);
    assert!(!headers.contains_key("authorization"), "{headers:?}");
    assert!(!headers.keys().any(|name| name.starts_with("x-asrs-internal-")), "{headers:?}");
    assert_eq!(arrived.header("authorization"), None);
    assert_eq!(arrived.header("x-custom"), None);
    assert_eq!(arrived.header("cookie"), None);
}

#[tokio::test]
async fn subprotocols_are_shown_in_the_clients_order() {
    let handler = Handler::start().await;
    let server = connect_to(&handler).await;
    for (offer, expected) in [
        (
            "b.custom, json.webpubsub.azure.v1,a.custom",
            json!(["b.custom", "json.webpubsub.azure.v1", "a.custom"]),
        ),
        ("one.custom", json!(["one.custom"])),
    ] {
        assert_eq!(knock(&server, &ClientSpec::simple().offer(offer)).await.status, 101);
        let arrived = handler.expect("connect").await;
        assert_eq!(arrived.json()["subprotocols"], expected);
        assert_eq!(arrived.header("ce-subprotocol"), None);
    }
}

#[tokio::test]
async fn a_client_without_anything_is_shown_as_empty_lists() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        setup.allow_anonymous("chat").handler("chat", &handler, |spec| spec.system(&["connect"]));
    })
    .await;
    let _client = server.connect("chat", ClientSpec::simple().anonymous()).await;
    let mut request = handler.expect("connect").await.json();
    request.as_object_mut().unwrap().remove("headers").unwrap();
    let expected = json!({"claims": {}, "query": {}, "subprotocols": [], "clientCertificates": []});
    assert_eq!(request, expected);
}

#[tokio::test]
async fn the_connection_is_nowhere_until_the_application_lets_it_in() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("connect", Answer::status(200).held_by(&gate));
    let server = connect_to(&handler).await;
    let spec = ClientSpec::json().user("alice").group("g");
    let mut socket = knock_unanswered(&server, &spec).await;
    let id = handler.expect("connect").await.connection_id().to_owned();
    let rest = server.rest();
    let places = [
        format!("/api/hubs/chat/connections/{id}"),
        "/api/hubs/chat/users/alice".to_owned(),
        "/api/hubs/chat/groups/g".to_owned(),
    ];
    for place in &places {
        rest.head(place).expect(404).await;
    }
    rest.post("/api/hubs/chat/:send").text("to all").expect(202).await;
    assert!(socket.buffer.is_empty());
    gate.open();
    assert_eq!(socket.read_response().await.status, 101);
    assert!(String::from_utf8(socket.read_frame().await.content).unwrap().contains(&id));
    for place in &places {
        rest.head(place).expect(200).await;
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_takes_the_question_back() {
    let handler = Handler::start().await;
    handler.once("connect", Answer::never());
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let socket = knock_unanswered(&server, &ClientSpec::json()).await;
    let connect = handler.expect("connect").await;
    drop(socket);
    connect.cancelled().await;
    let client = server.connect("chat", ClientSpec::json()).await;
    client.close().await;
    for arrived in handler.expect_all(&["connect", "connected", "disconnected"]).await {
        assert_ne!(arrived.connection_id(), connect.connection_id());
    }
}

#[tokio::test]
async fn a_client_that_may_not_connect_is_not_asked_about() {
    let handler = Handler::start().await;
    let server = connect_to(&handler).await;
    for (spec, status) in [
        (ClientSpec::json().anonymous(), 401),
        (ClientSpec::json().token("wrong"), 401),
        (ClientSpec::json().group(" "), 400),
        (ClientSpec::json().query("noEcho", "maybe").query("webpubsub_mode", "sendToGroup"), 400),
        (ClientSpec::json().query("awps_connection_id", "x"), 101),
    ] {
        assert_eq!(knock(&server, &spec).await.status, status, "{spec:?}");
    }
    let _client = server.connect("chat", ClientSpec::json().user("the first")).await;
    assert_eq!(handler.expect("connect").await.header("ce-userid"), Some("the first"));
}

#[tokio::test]
async fn clients_that_wait_for_the_application_take_nobody_s_place() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.always("connect", Answer::status(204).held_by(&gate));
    let server = Server::with(|setup| {
        setup.max_connections(1);
        setup.handler("chat", &handler, |spec| spec.system(&["connect"]));
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(knock_unanswered(&server, &ClientSpec::json()).await);
        handler.expect("connect").await;
    }
    let client = server.connect("other", ClientSpec::json()).await;
    gate.open();
    for socket in &mut waiting {
        assert_eq!(socket.read_response().await.status, 429);
    }
    client.close().await;
}
