//! `disconnected`: once for each connection that was made, with the reason in the service's words.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{Answer, ClientSpec, Frame, Handler, HandlerSpec, JSON, Server};
use crate::{broker_with, knock};

const ENDED: &str = "The connection ended.";
const CLOSED: &str = "Application server closed the connection.";

/// A broker that tells of nothing but ended connections, and fails what simple clients send.
async fn broker(handler: &Handler) -> Server {
    handler.always("message", Answer::status(400));
    broker_with(handler, |spec| spec.user("message").system(&["disconnected"])).await
}

/// A client of a kind sends frames; the application is told that its connection has ended, and why.
async fn check(spec: &ClientSpec, frames: &[Frame], reason: &str) {
    let handler = Handler::start().await;
    let server = broker(&handler).await;
    let mut socket = server.raw_upgraded("chat", spec).await;
    if spec.speaks_json() {
        socket.read_frame().await;
    }
    for frame in frames {
        socket.send(frame).await;
    }
    if frames.is_empty() {
        drop(socket);
    } else {
        while socket.try_read_frame().await.is_some() {}
    }
    let mut arrived = handler.next_event().await;
    if arrived.event() == "message" {
        arrived = handler.next_event().await;
    }
    assert_eq!(arrived.event(), "disconnected");
    assert_eq!(arrived.json(), json!({"reason": reason}), "{frames:?}");
}

#[tokio::test]
async fn an_end_by_the_client_has_its_reason() {
    for spec in [ClientSpec::json(), ClientSpec::simple()] {
        check(&spec, &[Frame::close(1000, "bye ü")], "bye ü").await;
        check(&spec, &[Frame::close(1000, "")], "").await;
        check(&spec, &[Frame::close(1001, "going")], ENDED).await;
        check(&spec, &[Frame::close(4000, "mine")], ENDED).await;
        check(&spec, &[Frame::close_without_code()], ENDED).await;
        check(&spec, &[], ENDED).await;
    }
}

#[tokio::test]
async fn an_end_by_a_broken_rule_has_the_text_that_the_client_is_sent() {
    let json_text = "The client message is not a valid JSON protocol message.";
    let large = Frame::text(&"x".repeat((1 << 20) + 1));
    let broken = [Frame::text("a").not_final(), Frame::text("b")];
    let cases: [(ClientSpec, &[Frame], &str); 7] = [
        (ClientSpec::json(), &[Frame::text("{")], json_text),
        (ClientSpec::json(), &[Frame::text(r#"{"type":"x"}"#)], json_text),
        (ClientSpec::json(), &[Frame::binary([1])], "The JSON subprotocol requires text messages."),
        (ClientSpec::json(), &[large], "The client message is too large."),
        (ClientSpec::json(), &broken, "The client frame is invalid."),
        (
            ClientSpec::publisher("g"),
            &[Frame::text("hi")],
            "The connection is not authorized for raw sendToGroup mode.",
        ),
        (ClientSpec::simple(), &[Frame::text("hi")], "Internal server error"),
    ];
    for (spec, frames, reason) in cases {
        check(&spec, frames, reason).await;
    }
}

#[tokio::test]
async fn an_end_by_the_application_says_so_with_its_reason() {
    let handler = Handler::start().await;
    let server = broker(&handler).await;
    let with_reason = format!("{CLOSED} Reason: so long");
    for (target, reason) in [
        ("users/ann/:closeConnections", CLOSED),
        ("users/ann/:closeConnections?reason=so%20long", &with_reason),
        ("groups/g/:closeConnections?reason=so%20long", &with_reason),
        (":closeConnections", CLOSED),
    ] {
        let spec = ClientSpec::json().user("ann").group("g");
        let mut client = server.connect("chat", spec).await;
        server.rest().post(&format!("/api/hubs/chat/{target}")).expect(204).await;
        let arrived = handler.expect("disconnected").await;
        assert_eq!(arrived.json(), json!({"reason": reason}), "{target}");
        assert_eq!(arrived.connection_id(), client.connection_id());
        client.drain().await;
        client = server.connect("chat", ClientSpec::json()).await;
        server
            .rest()
            .delete(&format!("/api/hubs/chat/connections/{}", client.connection_id()))
            .expect(204)
            .await;
        assert_eq!(handler.expect("disconnected").await.json(), json!({"reason": CLOSED}));
        client.drain().await;
    }
}

#[tokio::test]
async fn each_end_is_told_once_however_it_comes_about() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, |spec| spec.system(&["connected", "disconnected"])).await;
    let mut ids = Vec::new();
    for n in 0..24 {
        let mut client = server.connect("chat", ClientSpec::json().user("ann")).await;
        ids.push(client.connection_id().to_owned());
        handler.expect("connected").await;
        let place = format!("/api/hubs/chat/connections/{}", client.connection_id());
        match n % 4 {
            // Both sides end it at the same time.
            0 => {
                client.send_close(1000, "").await;
                server.rest().delete(&place).send().await;
                client.drain().await;
            }
            1 => {
                client.send_text("{").await;
                server.rest().delete(&place).send().await;
                client.drain().await;
            }
            2 => {
                server.rest().delete(&place).expect(204).await;
                drop(client);
            }
            _ => drop(client),
        }
        assert_eq!(handler.expect("disconnected").await.connection_id(), ids[n]);
    }
    let mut ends = BTreeMap::new();
    for arrived in handler.events().iter().filter(|arrived| arrived.event() == "disconnected") {
        *ends.entry(arrived.connection_id().to_owned()).or_insert(0) += 1;
        assert_eq!(arrived.id(), 2);
    }
    assert_eq!(ends, ids.into_iter().map(|id| (id, 1)).collect());
}

#[tokio::test]
async fn a_client_that_never_was_connected_does_not_end() {
    let handler = Handler::start().await;
    handler.once("connect", Answer::status(403));
    handler.once("connect", Answer::json(&json!({"subprotocol": "never.offered"})));
    let server = broker_with(&handler, HandlerSpec::everything).await;
    assert_eq!(knock(&server, &ClientSpec::json()).await.status, 403);
    assert_eq!(knock(&server, &ClientSpec::json()).await.status, 500);
    assert_eq!(knock(&server, &ClientSpec::json().anonymous()).await.status, 401);
    let recovery = ClientSpec::json().query("awps_connection_id", "x").query("awps_reconnection_token", "y");
    let mut socket = server.raw_upgraded("chat", &recovery).await;
    socket.expect_close(1008, "The connection could not be recovered.").await;
    let client = server.connect("chat", ClientSpec::json()).await;
    client.close().await;
    handler.expect_all(&["connect", "connect", "connect", "connected", "disconnected"]).await;
}

#[tokio::test]
async fn an_end_names_what_the_connection_was() {
    let handler = Handler::start().await;
    handler.always("connect", Answer::json(&json!({"userId": "bob"})).header("ce-connectionState", "s"));
    let server = broker_with(&handler, |spec| spec.system(&["connect", "disconnected"])).await;
    let client = server.connect("chat", ClientSpec::json().user("ann")).await;
    client.close().await;
    let connect = handler.expect("connect").await;
    let end = handler.expect("disconnected").await;
    assert_eq!(end.connection_id(), connect.connection_id());
    for (name, value) in
        [("ce-userid", "bob"), ("ce-connectionstate", "s"), ("ce-subprotocol", JSON), ("ce-id", "2")]
    {
        assert_eq!(end.header(name), Some(value), "{name}");
    }
    assert_eq!(end.json(), json!({"reason": ""}));
}
