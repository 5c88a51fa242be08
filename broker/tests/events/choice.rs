//! Which handler gets an event, and at which URL.

use serde_json::json;

use crate::support::{Answer, ClientSpec, Handler, HandlerSpec, Server};
use crate::{acked, event, failed};

#[tokio::test]
async fn the_first_handler_that_wants_an_event_gets_it_alone() {
    let (first, second) = (Handler::start().await, Handler::start().await);
    let server = Server::with(|setup| {
        setup.handler("chat", &first, |spec| spec.user("both, first").system(&["connected"]));
        setup.handler("chat", &second, HandlerSpec::everything);
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for name in ["both", "first", "second"] {
        client.request(json!({"type": "event", "event": name, "data": 1})).await;
    }
    client.close().await;
    first.expect_all(&["connected", "both", "first"]).await;
    second.expect_all(&["connect", "second", "disconnected"]).await;
}

#[tokio::test]
async fn a_handler_that_fails_has_no_stand_in() {
    let (first, second) = (Handler::start().await, Handler::start().await);
    first.always("e", Answer::status(400));
    let server = Server::with(|setup| {
        setup.handler("chat", &first, |spec| spec.user("e"));
        setup.handler("chat", &second, |spec| spec.user("*"));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("e", 1)).await;
    assert_eq!(client.next_json().await, failed(1));
    client.send_json(event("other", 2)).await;
    assert_eq!(client.next_json().await, acked(2));
    second.expect("other").await;
}

#[tokio::test]
async fn names_of_events_ignore_case_and_are_sent_as_the_client_spells_them() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        setup.handler_at("chat", &handler.url("/{event}"), |spec| spec.user("join, MESSAGE ,a.b"));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (id, name) in (0..).zip(["join", "Join", "message", "A.b"]) {
        client.send_json(event(name, id)).await;
        assert_eq!(client.next_json().await, acked(id));
        let arrived = handler.expect(name).await;
        assert_eq!(arrived.header("ce-type"), Some(&*format!("azure.webpubsub.user.{name}")));
        assert_eq!(arrived.target, format!("/{name}"));
    }
    for (id, name) in (10..).zip(["joi", "join2", "a.b.c", "aXb", "a"]) {
        client.send_json(event(name, id)).await;
        assert_eq!(client.next_json().await, failed(id), "{name}");
    }
    let mut simple = server.connect("chat", ClientSpec::simple()).await;
    simple.send_text("hi").await;
    handler.expect("message").await;
}

#[tokio::test]
async fn user_events_and_system_events_of_one_name_are_different_events() {
    let (user, system) = (Handler::start().await, Handler::start().await);
    let server = Server::with(|setup| {
        setup.handler("chat", &user, |spec| spec.user("CONNECTED, disconnected, joined"));
        setup.handler("chat", &system, |spec| spec.system(&["connected", "disconnected"]));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (id, name) in (0..).zip(["connected", "disconnected", "joined"]) {
        client.send_json(event(name, id)).await;
        assert_eq!(client.next_json().await, acked(id));
        let expected = format!("azure.webpubsub.user.{name}");
        assert_eq!(user.expect(name).await.header("ce-type"), Some(&*expected));
    }
    client.close().await;
    for arrived in system.expect_all(&["connected", "disconnected"]).await {
        let expected = format!("azure.webpubsub.sys.{}", arrived.event());
        assert_eq!(arrived.header("ce-type"), Some(&*expected));
    }
}

#[tokio::test]
async fn hub_and_event_are_put_into_the_url() {
    for (hub, template, event_name, expected) in [
        ("Chat", "/api/{hub}/{event}?code=k", "room.new", "/api/chat/room.new?code=k"),
        ("chat", "/{HUB}/{Event}/{hub}?e={event}&h={hub}", "e", "/chat/e/chat?e=e&h=chat"),
        ("chat", "/runtime/webhooks/webpubsub?code=a%2Fb==", "e", "/runtime/webhooks/webpubsub?code=a%2Fb=="),
        ("chat", "", "e", "/"),
        ("chat", "/a%7Bhub%7D", "e", "/a%7Bhub%7D"),
        ("a_b,c", "/{hub}", "e", "/a_b%2Cc"),
        ("chat", "/{event}", "A-b_c.1", "/A-b_c.1"),
    ] {
        let handler = Handler::start().await;
        let server = Server::with(|setup| {
            setup.handler_at(hub, &handler.url(template), |spec| spec.user("*"));
        })
        .await;
        let mut client = server.connect(hub, ClientSpec::json()).await;
        client.send_json(event(event_name, 1)).await;
        assert_eq!(client.next_json().await, acked(1));
        assert_eq!(handler.expect(event_name).await.target, expected, "{template}");
    }
}

#[tokio::test]
async fn system_events_have_their_names_in_the_url() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        setup.handler_at("chat", &handler.url("/{hub}/{event}"), |spec| {
            spec.everything().groups(&["joined", "left"])
        });
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    client.join("g").await;
    client.leave("g").await;
    client.close().await;
    let events = ["connect", "connected", "joined", "left", "disconnected"];
    for arrived in handler.expect_all(&events).await {
        assert_eq!(arrived.target, format!("/chat/{}", arrived.event()));
    }
    let asked: Vec<String> = handler.validations().into_iter().map(|asked| asked.target).collect();
    assert_eq!(asked, ["/chat/validate"]);
}
