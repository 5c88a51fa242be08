//! `connected`, and what it has to do with the connection.

use serde_json::json;

use crate::support::{Answer, ClientSpec, Gate, Handler, HandlerSpec};
use crate::{acked, broker_with, event, knock};

#[tokio::test]
async fn connected_is_told_when_the_connection_is_visible() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("connected", Answer::status(204).held_by(&gate));
    let server = broker_with(&handler, |spec| spec.system(&["connected"])).await;
    let _socket = server.raw_upgraded("chat", &ClientSpec::simple().user("ann").group("g")).await;
    let connected = handler.expect("connected").await;
    assert_eq!((connected.text(), connected.id()), ("{}", 1));
    assert_eq!(connected.header("content-type"), Some("application/json"));
    let id = connected.connection_id();
    for place in [format!("connections/{id}"), "users/ann".into(), "groups/g".into()] {
        server.rest().head(&format!("/api/hubs/chat/{place}")).expect(200).await;
    }
    assert!(connected.is_open());
    gate.open();
}

#[tokio::test]
async fn connected_is_told_once_for_each_connection() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, |spec| spec.system(&["connected"])).await;
    for _ in 0..5 {
        let mut client = server.connect("chat", ClientSpec::member()).await;
        assert_eq!(handler.expect("connected").await.connection_id(), client.connection_id());
        client.join("g").await;
        client.close().await;
    }
}

#[tokio::test]
async fn nothing_waits_for_connected_and_no_client_takes_it_back() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("connected", Answer::status(204).held_by(&gate));
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    handler.expect("connect").await;
    let connected = handler.expect("connected").await;
    client.send_json(event("e", 1)).await;
    assert_eq!(client.next_json().await, acked(1));
    handler.expect("e").await;
    client.close().await;
    let disconnected = handler.expect("disconnected").await;
    assert_eq!(disconnected.connection_id(), connected.connection_id());
    disconnected.answered().await;
    assert!(connected.is_open(), "connected was taken back with its client");
    gate.open();
    connected.answered().await;
}

#[tokio::test]
async fn the_answers_to_notifications_change_nothing() {
    let handler = Handler::start().await;
    let answer = Answer::json(&json!({"userId": "eve", "roles": ["webpubsub.joinLeaveGroup"]}))
        .header("ce-connectionState", "s");
    handler.always("connected", answer);
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.connect("chat", ClientSpec::json().user("ann")).await;
    handler.expect("connect").await;
    handler.expect("connected").await.answered().await;
    let join = client.request(json!({"type": "joinGroup", "group": "g"})).await;
    assert_eq!(join["success"], false);
    for id in 0..20 {
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, acked(id));
        let arrived = handler.expect("e").await;
        assert_eq!(arrived.header("ce-connectionstate"), None);
        assert_eq!(arrived.header("ce-userid"), Some("ann"));
    }
}

#[tokio::test]
async fn a_notification_that_fails_is_nobodys_loss() {
    let handler = Handler::start().await;
    handler.always("connected", Answer::status(400));
    handler.always("disconnected", Answer::status(400));
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("e", 1)).await;
    assert_eq!(client.next_json().await, acked(1));
    client.close().await;
    // Were the failures tried again, the attempts would be among these.
    handler.expect_all(&["connect", "connected", "e", "disconnected"]).await;
    assert_eq!(knock(&server, &ClientSpec::json()).await.status, 101);
    handler.expect("connect").await;
}
