//! How a client is told that the application does not want it, or cannot be asked.

use serde_json::json;

use crate::support::{Answer, BareHandler, ClientSpec, Handler, HandlerSpec, Server};
use crate::{broker_with, knock};

const REJECTED: &str = "The connect event handler rejected the connection.";

/// A client is refused, and nothing is left of it: the next event is that of another.
async fn check(answer: Answer, status: u16, body: &str) {
    let handler = Handler::start().await;
    let server = broker_with(&handler, HandlerSpec::everything).await;
    handler.once("connect", answer);
    let response = knock(&server, &ClientSpec::json().user("ann").group("g")).await;
    assert_eq!((response.status, &*response.body), (status, body));
    for header in ["x-secret", "location", "www-authenticate", "ce-connectionstate", "set-cookie"] {
        assert_eq!(response.header(header), None, "{response:?}");
    }
    handler.expect("connect").await;
    server.rest().head("/api/hubs/chat/users/ann").expect(404).await;
    server.rest().head("/api/hubs/chat/groups/g").expect(404).await;
    let client = server.connect("chat", ClientSpec::json().user("bob")).await;
    client.close().await;
    for arrived in handler.expect_all(&["connect", "connected", "disconnected"]).await {
        assert_eq!(arrived.header("ce-userid"), Some("bob"));
    }
}

#[tokio::test]
async fn a_client_gets_the_status_of_the_application_and_nothing_else_of_its_answer() {
    for status in [400, 401, 403, 404, 409, 429, 302, 307, 300] {
        let answer = Answer::json(&json!({"userId": "eve", "detail": "secret"}))
            .header("X-Secret", "s")
            .header("Location", "/elsewhere")
            .header("WWW-Authenticate", "Basic")
            .header("Set-Cookie", "a=b")
            .header("ce-connectionState", "s")
            .with_status(status);
        check(answer, status, REJECTED).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_not_what_it_must_be_refuses_the_client_with_500() {
    let long = "x".repeat(1025);
    for body in [
        "{".to_owned(),
        "not JSON".to_owned(),
        r#"{"userId":"a"} x"#.to_owned(),
        "[]".to_owned(),
        r#""text""#.to_owned(),
        r#"{"userId":5}"#.to_owned(),
        r#"{"groups":[null]}"#.to_owned(),
        r#"{"groups":["ok",""]}"#.to_owned(),
        r#"{"groups":[" "]}"#.to_owned(),
        r#"{"groups":"g"}"#.to_owned(),
        json!({"groups": [long]}).to_string(),
        r#"{"roles":["ok",null]}"#.to_owned(),
        r#"{"roles":"webpubsub.sendToGroup"}"#.to_owned(),
        "\u{0}".to_owned(),
    ] {
        check(Answer::body("application/json", body), 500, "").await;
    }
    check(Answer::body("application/json", vec![b'"', 0xFF, b'"']), 500, "").await;
}

#[tokio::test]
async fn a_handler_that_switches_protocols_does_not_make_a_connection() {
    let handler =
        BareHandler::start("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
            .await;
    let server = Server::with(|setup| {
        setup.handler_at("chat", &handler.url("/{event}"), HandlerSpec::everything);
    })
    .await;
    let response = knock(&server, &ClientSpec::json()).await;
    assert_eq!((response.status, &*response.body), (500, ""));
}

#[tokio::test]
async fn an_answer_of_more_than_16_mebibytes_refuses_the_client_with_500() {
    check(Answer::announced("application/json", (16 << 20) + 1), 500, "").await;
    check(Answer::endless("application/json"), 500, "").await;
}

#[tokio::test]
async fn an_answer_of_16_mebibytes_is_read() {
    let handler = Handler::start().await;
    let answer = r#"{"userId":"bob"}"#;
    let body = answer.to_owned() + &" ".repeat((16 << 20) - answer.len());
    handler.once("connect", Answer::body("application/json", body));
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.open("chat", ClientSpec::json()).await;
    assert_eq!(client.next_json().await["userId"], "bob");
}
