//! What becomes of events when the node stops.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Answer, ClientSpec, Handler, HandlerSpec, Server};
use crate::{broker_with, event, knock_unanswered};

const GRACE: Duration = Duration::from_secs(1);

async fn broker_with_grace(handler: &Handler) -> Server {
    Server::with(|setup| {
        setup.grace(GRACE).handler("chat", handler, HandlerSpec::everything);
    })
    .await
}

/// Stops the node, which must not take much longer than it may.
async fn check_stops(mut server: Server) {
    let start = Instant::now();
    server.begin_stop();
    server.stopped().await;
    assert!(start.elapsed() < GRACE + Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_end_of_every_client_is_told_before_the_node_has_stopped() {
    let handler = Handler::start().await;
    let mut server = broker_with(&handler, |spec| spec.system(&["disconnected"])).await;
    let mut clients = Vec::new();
    for n in 0..40 {
        let spec = if n % 2 == 0 { ClientSpec::json() } else { ClientSpec::simple() };
        clients.push(server.connect("chat", spec).await);
    }
    server.begin_stop();
    for mut client in clients {
        client.expect_close(1001, "").await;
    }
    server.stopped().await;
    let ends = handler.events();
    assert_eq!(ends.len(), 40);
    let ids: BTreeSet<&str> = ends.iter().map(|arrived| arrived.connection_id()).collect();
    assert_eq!(ids.len(), 40);
    for end in &ends {
        assert_eq!(end.json(), json!({"reason": "The connection ended."}));
        end.answered().await;
    }
}

#[tokio::test]
async fn notifications_that_are_not_answered_hold_a_node_only_for_the_grace_period() {
    for kind in ["connected", "disconnected"] {
        let handler = Handler::start().await;
        handler.always(kind, Answer::never());
        let server = broker_with_grace(&handler).await;
        let _clients = [
            server.connect("chat", ClientSpec::json()).await,
            server.connect("chat", ClientSpec::json()).await,
        ];
        check_stops(server).await;
    }
}

#[tokio::test]
async fn user_events_that_are_not_answered_hold_a_node_only_for_the_grace_period() {
    let handler = Handler::start().await;
    handler.always("slow", Answer::never());
    let server = broker_with_grace(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("slow", 1)).await;
    client.send_json(event("next", 2)).await;
    handler.expect_all(&["connect", "connected", "slow"]).await;
    check_stops(server).await;
}

#[tokio::test]
async fn clients_that_are_asked_about_hold_a_node_only_for_the_grace_period() {
    let handler = Handler::start().await;
    handler.always("connect", Answer::never());
    let server = broker_with_grace(&handler).await;
    let _socket = knock_unanswered(&server, &ClientSpec::json()).await;
    handler.expect("connect").await;
    check_stops(server).await;
}

#[tokio::test]
async fn a_question_that_is_not_answered_holds_a_node_only_for_the_grace_period() {
    let handler = Handler::start().await;
    handler.always("OPTIONS", Answer::never());
    let server = broker_with_grace(&handler).await;
    let _socket = knock_unanswered(&server, &ClientSpec::json()).await;
    handler.validated(1).await;
    check_stops(server).await;
}

#[tokio::test]
async fn an_unready_handler_holds_a_node_only_for_the_grace_period() {
    let handler = Handler::start().await;
    handler.always("disconnected", Answer::status(503));
    let server = broker_with_grace(&handler).await;
    let _client = server.connect("chat", ClientSpec::json()).await;
    check_stops(server).await;
    assert!(handler.events().iter().any(|arrived| arrived.event() == "disconnected"));
}
