//! How much a client may leave unacknowledged.

use serde_json::json;

use crate::peer::{Peer, ended, publish};
use crate::support::Server;

async fn with_window(messages: usize, bytes: usize) -> Server {
    Server::with(|setup| {
        setup.window(messages, bytes);
    })
    .await
}

#[tokio::test]
async fn one_message_too_many_ends_the_connection_for_good() {
    let server = with_window(5, 1 << 20).await;
    let mut peer = Peer::connect(&server).await;
    for sequence_id in 1..=5 {
        publish(&server, "x").await;
        peer.expect("x", sequence_id).await;
    }
    publish(&server, "x").await;
    peer.socket.expect_end().await;
    peer.ticket.expect_refused(&server, "an overrun connection has ended").await;
    ended(&server, &peer.ticket.id).await;
}

#[tokio::test]
async fn acknowledgements_make_room() {
    let server = with_window(5, 1 << 20).await;
    let mut peer = Peer::connect(&server).await;
    for sequence_id in 1..=30 {
        publish(&server, "x").await;
        peer.expect("x", sequence_id).await;
        if sequence_id % 5 == 0 {
            peer.acknowledge(sequence_id).await;
        }
    }
}

#[tokio::test]
async fn bytes_count_as_well() {
    let server = with_window(100, 10_000).await;
    let mut peer = Peer::connect(&server).await;
    publish(&server, &"x".repeat(6_000)).await;
    peer.next().await;
    publish(&server, &"x".repeat(6_000)).await;
    peer.socket.expect_end().await;
    peer.ticket.expect_refused(&server, "an overrun connection has ended").await;
}

#[tokio::test]
async fn the_limits_hold_without_a_socket_too() {
    let server = with_window(5, 1 << 20).await;
    let kept = Peer::connect(&server).await.lose();
    for _ in 0..5 {
        publish(&server, "x").await;
    }
    let mut peer = kept.recover(&server).await;
    for sequence_id in 1..=5 {
        peer.expect("x", sequence_id).await;
    }
    let lost = peer.lose();
    publish(&server, "x").await;
    ended(&server, &lost.id).await;
    lost.expect_refused(&server, "an overrun connection has ended").await;
}

#[tokio::test]
async fn the_service_lets_a_thousand_be_open() {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server).await;
    let publish = json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": "x"});
    for sequence_id in 1..=1000 {
        peer.send(publish.clone()).await;
        peer.expect("x", sequence_id).await;
    }
    peer.expect_nothing_before_pong().await;
    peer.send(publish).await;
    peer.socket.expect_end().await;
    peer.ticket.expect_refused(&server, "the thousand and first").await;
}
