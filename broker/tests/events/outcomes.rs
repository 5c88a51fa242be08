//! What becomes of a user event, as its sender is told.

use serde_json::{Value, json};

use crate::support::{Answer, Client, ClientSpec, Handler, HandlerSpec, Received, Server};
use crate::{acked, broker_with, duplicate, event, failed, user_events_to};

/// Answers that fail an event at once.
fn failures() -> Vec<(&'static str, Answer)> {
    vec![
        ("400", Answer::text("secret").with_status(400)),
        ("401", Answer::text("secret").with_status(401)),
        ("404", Answer::text("secret").with_status(404)),
        ("429", Answer::status(429)),
        ("a redirect", Answer::status(302).header("Location", "/elsewhere")),
        ("not modified", Answer::status(304)),
        ("an unknown type", Answer::body("text/html", "<p>")),
        ("another unknown type", Answer::body("application/problem+json", "{}")),
        ("no type at all", Answer::body("nonsense", "x")),
        ("JSON that is none", Answer::body("application/json", "{")),
        ("text that is not UTF-8", Answer::body("text/plain", vec![b'a', 0xFF])),
        ("a body that is announced as too large", Answer::announced("text/plain", (16 << 20) + 1)),
        ("a body that does not end", Answer::endless("text/plain")),
        ("metadata that is too large", Answer::text("x").header("x-webpubsub-metadata-k", "v".repeat(1025))),
    ]
}

/// The client is still there and has been told nothing else.
async fn check_open(client: &mut Client) {
    client.send_json(json!({"type": "ping"})).await;
    assert_eq!(client.next_json().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn any_2xx_is_success() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (id, status) in (0..).zip([200, 201, 202, 204, 206, 299]) {
        handler.once("e", Answer::status(status));
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, acked(id), "{status}");
    }
    check_open(&mut client).await;
}

#[tokio::test]
async fn the_reply_comes_before_the_ack() {
    let handler = Handler::start().await;
    handler.always("e", Answer::text("reply"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let reply = json!({"type": "message", "from": "server", "dataType": "text", "data": "reply"});
    for id in 0..3 {
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, reply);
        assert_eq!(client.next_json().await, acked(id));
    }
    client.send_json(json!({"type": "event", "event": "e", "data": 1})).await;
    assert_eq!(client.next_json().await, reply, "without an ack id there is a reply all the same");
    check_open(&mut client).await;
}

#[tokio::test]
async fn the_reply_goes_to_the_sender_alone() {
    let handler = Handler::start().await;
    handler.always("e", Answer::text("reply"));
    let server = user_events_to(&handler).await;
    let spec = ClientSpec::json().user("ann").group("g");
    let mut other = server.connect("chat", spec.clone()).await;
    let mut sender = server.connect("chat", spec).await;
    sender.send_json(event("e", 1)).await;
    assert_eq!(sender.next_json().await["data"], "reply");
    server.rest().post("/api/hubs/chat/:send").text("to all").expect(202).await;
    assert_eq!(other.next_json().await["data"], "to all");
}

#[tokio::test]
async fn a_failure_is_told_to_who_asked_for_an_ack_and_ends_nothing() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (id, (what, answer)) in (0..).zip(failures()) {
        handler.once("e", answer);
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, failed(id), "{what}");
    }
    for (what, answer) in failures() {
        handler.once("e", answer);
        client.send_json(json!({"type": "event", "event": "e", "data": what})).await;
        check_open(&mut client).await;
    }
}

#[tokio::test]
async fn a_failure_closes_a_simple_client() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    for (what, answer) in failures() {
        handler.once("message", answer);
        let mut client = server.connect("chat", ClientSpec::simple()).await;
        client.send_text(what).await;
        client.expect_close(1011, "Internal server error").await;
    }
}

#[tokio::test]
async fn an_event_that_nobody_takes_is_a_failure() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, |spec| spec.user("taken").system(&["connected"])).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (id, name) in (0..).zip(["other", "message", "connected", "taken.not", "take"]) {
        client.send_json(event(name, id)).await;
        assert_eq!(client.next_json().await, failed(id), "{name}");
    }
    client.send_json(json!({"type": "event", "event": "other", "data": 1})).await;
    client.send_json(event("taken", 9)).await;
    assert_eq!(client.next_json().await, acked(9));
    let mut simple = server.connect("chat", ClientSpec::simple()).await;
    simple.send_text("hi").await;
    simple.expect_close(1011, "Internal server error").await;
}

#[tokio::test]
async fn an_ack_id_that_succeeded_is_a_duplicate_and_the_application_is_not_asked_again() {
    let handler = Handler::start().await;
    handler.always("e", Answer::text("reply"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("e", 7)).await;
    client.send_json(event("e", 7)).await;
    client.send_json(event("other", 7)).await;
    client.send_json(event("last", 8)).await;
    assert_eq!(client.next_json().await["data"], "reply");
    for ack in [acked(7), duplicate(7), duplicate(7), acked(8)] {
        assert_eq!(client.next_json().await, ack);
    }
    handler.expect("e").await;
    handler.expect("last").await;
}

#[tokio::test]
async fn an_ack_id_that_failed_may_be_used_again() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    handler.once("e", Answer::status(400));
    handler.once("e", Answer::body("text/html", "x"));
    for ack in [failed(7), failed(7), acked(7), duplicate(7)] {
        client.send_json(event("e", 7)).await;
        assert_eq!(client.next_json().await, ack);
    }
    assert_eq!(handler.events().len(), 3);
}

#[tokio::test]
async fn a_simple_client_stays_when_there_is_nothing_to_say() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::simple()).await;
    client.send_text("one").await;
    client.send_binary(b"two").await;
    handler.once("message", Answer::text("to the third"));
    assert_eq!(handler.expect("message").await.text(), "one");
    assert_eq!(handler.expect("message").await.text(), "two");
    client.send_text("three").await;
    let next = client.next().await;
    assert!(matches!(&next, Received::Text(text) if text == "to the third"), "{next:?}");
}

#[tokio::test]
async fn hubs_have_no_handlers_but_their_own() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        for hub in ["default", "chat2"] {
            setup.handler(hub, &handler, HandlerSpec::everything);
        }
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("e", 1)).await;
    assert_eq!(client.next_json().await, failed(1));
    let _other = server.connect("CHAT2", ClientSpec::json()).await;
    assert_eq!(handler.expect("connect").await.header("ce-hub"), Some("chat2"));
}

#[tokio::test]
async fn an_event_with_a_wrong_name_or_shape_is_no_event() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    for wrong in [
        json!({"type": "event", "event": "1e", "data": 1}),
        json!({"type": "event", "event": "", "data": 1}),
        json!({"type": "event", "event": "a b", "data": 1}),
        json!({"type": "event", "event": "é", "data": 1}),
        json!({"type": "event", "event": "x".repeat(129), "data": 1}),
        json!({"type": "event", "data": 1}),
        json!({"type": "event", "event": "e"}),
        json!({"type": "event", "event": "e", "data": Value::Null}),
    ] {
        let mut client = server.connect("chat", ClientSpec::json()).await;
        client.send_json(wrong).await;
        client.expect_close(1007, "The client message is not a valid JSON protocol message.").await;
    }
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let longest = "x".repeat(128);
    client.send_json(event(&longest, 1)).await;
    assert_eq!(client.next_json().await, acked(1));
    handler.expect(&longest).await;
}
