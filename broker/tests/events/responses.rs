//! What the answers to blocking events attach to the connection, and what they do not.

use serde_json::json;

use crate::support::{Answer, ClientSpec, Handler, HandlerSpec, Server};
use crate::{acked, broker_with, event, failed, user_events_to};

fn state(text: &str) -> Answer {
    Answer::status(200).header("ce-connectionState", text)
}

#[tokio::test]
async fn the_state_of_the_last_blocking_answer_goes_with_all_later_events() {
    let handler = Handler::start().await;
    handler.once("connect", state("one"));
    handler.once("e", state("two"));
    handler.once("e", Answer::status(204));
    handler.once("e", state("first").header("ce-connectionState", "last"));
    handler.once("e", state(""));
    handler.once("e", Answer::text("reply").header("CE-CONNECTIONSTATE", "eyJhIjoxfQ=="));
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for event in ["connect", "connected"] {
        let expected = (event == "connected").then_some("one");
        assert_eq!(handler.expect(event).await.header("ce-connectionstate"), expected, "{event}");
    }
    for expected in ["one", "two", "two", "last", "", "eyJhIjoxfQ=="] {
        client.send_json(json!({"type": "event", "event": "e", "data": 1})).await;
        assert_eq!(handler.expect("e").await.header("ce-connectionstate"), Some(expected));
    }
    assert_eq!(client.next_json().await["data"], "reply");
    client.close().await;
    assert_eq!(handler.expect("disconnected").await.header("ce-connectionstate"), Some("eyJhIjoxfQ=="));
}

#[tokio::test]
async fn a_connection_that_was_given_no_state_has_none() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, HandlerSpec::everything).await;
    handler.once("connect", state("of another"));
    let mut first = server.connect("chat", ClientSpec::json()).await;
    let mut second = server.connect("chat", ClientSpec::json()).await;
    for client in [&mut first, &mut second] {
        client.request(json!({"type": "event", "event": "e", "data": 1})).await;
    }
    for arrived in handler.by_number(6).await {
        let has_state = arrived.connection_id() == first.connection_id() && arrived.event() != "connect";
        assert_eq!(arrived.header("ce-connectionstate"), has_state.then_some("of another"));
    }
}

#[tokio::test]
async fn an_answer_that_fails_changes_no_state() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    handler.once("e", state("good"));
    client.send_json(event("e", 0)).await;
    assert_eq!(client.next_json().await, acked(0));
    handler.expect("e").await;
    let bad = |answer: Answer| answer.header("ce-connectionState", "bad");
    for (id, answer) in (1..).zip([
        Answer::status(400),
        Answer::status(302),
        Answer::body("text/html", "x"),
        Answer::body("application/json", "{"),
        Answer::announced("text/plain", 17 << 20),
    ]) {
        handler.once("e", bad(answer));
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, failed(id));
        assert_eq!(handler.expect("e").await.header("ce-connectionstate"), Some("good"));
    }
    client.send_json(event("last", 9)).await;
    assert_eq!(client.next_json().await, acked(9));
    assert_eq!(handler.expect("last").await.header("ce-connectionstate"), Some("good"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (handler, elsewhere) = (Handler::start().await, Handler::start().await);
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (id, status) in (0..).zip([301, 302, 303, 307, 308]) {
        let location = elsewhere.url("/stolen");
        handler.once("e", Answer::status(status).header("Location", location));
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, failed(id), "{status}");
        handler.expect("e").await;
    }
    assert!(elsewhere.events().is_empty() && elsewhere.validations().is_empty());
    assert_eq!(handler.validations().len(), 1);
}

#[tokio::test]
async fn a_reply_of_16_mebibytes_is_read_and_one_of_more_is_not() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        // Nobody is slow here.
        setup.outbox(1000, 64 << 20).handler("chat", &handler, |spec| spec.user("*"));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    let bytes = vec![b'x'; 16 << 20];
    handler.once("message", Answer::body("application/octet-stream", bytes.clone()));
    client.send_text("hi").await;
    assert!(client.next_binary().await == bytes);
    handler.once("message", Answer::body("application/octet-stream", vec![b'x'; (16 << 20) + 1]));
    client.send_text("hi").await;
    client.expect_close(1011, "Internal server error").await;
}

#[tokio::test]
async fn a_state_that_is_not_ascii_is_not_taken() {
    let handler = Handler::start().await;
    handler.once("e", state("before"));
    handler.once("e", state("zo\u{eb}"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (id, expected) in [(1, None), (2, Some("before")), (3, Some("before"))] {
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, acked(id));
        assert_eq!(handler.expect("e").await.header("ce-connectionstate"), expected);
    }
}

#[tokio::test]
async fn a_long_state_goes_there_and_back() {
    let handler = Handler::start().await;
    let long = "s".repeat(8 << 10);
    handler.once("e", state(&long));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (id, expected) in [(1, None), (2, Some(&*long))] {
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, acked(id));
        assert!(handler.expect("e").await.header("ce-connectionstate") == expected);
    }
}
