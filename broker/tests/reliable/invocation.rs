//! What becomes of the invocations of a connection that loses its socket. Source: `client-protocols.md` 8 and 10.

use std::time::Duration;

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::peer::Peer;
use crate::support::{Answer, Arrived, Frame, Gate, Handler, Server};

async fn start(handler: &Handler, window: u64) -> Server {
    Server::with(|setup| {
        setup.reconnect_window(Duration::from_secs(window));
        setup.handler("chat", handler, |spec| spec.user("*"));
    })
    .await
}

/// Invokes the event `slow`, and waits until the application has it.
async fn invoke(peer: &mut Peer, handler: &Handler) -> Arrived {
    peer.send(json!({"type": "invoke", "invocationId": "1", "target": "event", "event": "slow"})).await;
    handler.expect("slow").await
}

/// Loses its socket, and waits until the broker knows it.
async fn lose(mut peer: Peer) -> crate::peer::Ticket {
    peer.socket.send(&Frame::close_without_code()).await;
    while peer.socket.try_read_frame().await.is_some() {}
    peer.lose()
}

fn answered(text: &str) -> Value {
    // Without a sequence id.
    json!({"type": "invokeResponse", "invocationId": "1", "success": true, "dataType": "text", "data": text})
}

#[tokio::test]
async fn an_answer_is_no_reliable_message() {
    let handler = Handler::start().await;
    handler.always("slow", Answer::text("soon"));
    let server = start(&handler, 30).await;
    let mut peer = Peer::connect(&server, Dialect::Json).await;
    invoke(&mut peer, &handler).await;
    assert_eq!(peer.next().await, answered("soon"));
    let mut peer = lose(peer).await.recover(&server).await;
    peer.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn an_answer_that_comes_while_the_client_is_away_is_lost_and_the_id_free() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("slow", Answer::text("lost").header("ce-connectionState", "s").held_by(&gate));
    handler.always("slow", Answer::text("again"));
    let server = Server::with(|setup| {
        setup.workers(1);
        setup.handler("chat", &handler, |spec| spec.user("*"));
    })
    .await;
    let mut peer = Peer::connect(&server, Dialect::Json).await;
    let call = invoke(&mut peer, &handler).await;
    let mut witness = Peer::connect(&server, Dialect::Json).await;
    let ticket = lose(peer).await;
    gate.open();
    call.answered().await;
    // The broker has one worker, which has dealt with that answer when it has dealt with a later one.
    witness
        .send(json!({"type": "event", "event": "later", "dataType": "text", "data": "", "ackId": 1}))
        .await;
    handler.expect("later").await;
    assert_eq!(witness.next().await["success"], true);
    // And later events carry what it has attached to the connection.
    let mut peer = ticket.recover(&server).await;
    loop {
        let probe = json!({"type": "event", "event": "probe", "dataType": "text", "data": ""});
        peer.send(probe).await;
        if handler.expect("probe").await.header("ce-connectionstate") == Some("s") {
            break;
        }
    }
    peer.expect_nothing_before_pong().await;
    invoke(&mut peer, &handler).await;
    assert_eq!(peer.next().await, answered("again"));
}

#[tokio::test]
async fn an_answer_that_comes_late_finds_the_client_on_its_new_socket() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("slow", Answer::text("late").held_by(&gate));
    let server = start(&handler, 30).await;
    let mut peer = Peer::connect(&server, Dialect::Json).await;
    let call = invoke(&mut peer, &handler).await;
    let mut peer = lose(peer).await.recover(&server).await;
    peer.expect_nothing_before_pong().await;
    assert!(call.is_open(), "the loss of a socket takes nothing back");
    gate.open();
    assert_eq!(peer.next().await, answered("late"));
}

#[tokio::test]
async fn a_client_that_has_come_back_may_still_cancel() {
    let handler = Handler::start().await;
    handler.once("slow", Answer::never());
    let server = start(&handler, 30).await;
    let mut peer = Peer::connect(&server, Dialect::Json).await;
    let call = invoke(&mut peer, &handler).await;
    let mut peer = lose(peer).await.recover(&server).await;
    peer.send(json!({"type": "cancelInvocation", "invocationId": "1"})).await;
    call.cancelled().await;
    peer.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn a_connection_that_ends_without_a_socket_takes_its_invocations_back() {
    let handler = Handler::start().await;
    handler.always("slow", Answer::never());
    let server = start(&handler, 1).await;
    let mut peer = Peer::connect(&server, Dialect::Json).await;
    let call = invoke(&mut peer, &handler).await;
    let ticket = lose(peer).await;
    assert!(call.is_open());
    call.cancelled().await;
    ticket.expect_refused(&server, "over").await;
}
