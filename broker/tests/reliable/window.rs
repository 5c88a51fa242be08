//! How much a client may leave unacknowledged.

use serde_json::json;

use crate::dialect::{Dialect, both};
use crate::peer::{Peer, ended, publish};
use crate::support::Server;

both!(
    one_message_too_many_ends_the_connection_for_good,
    acknowledgements_make_room,
    bytes_count_as_well,
    the_limits_hold_without_a_socket_too,
    the_service_lets_a_thousand_be_open,
    the_service_lets_a_thousand_wait_for_a_client_that_is_away,
    the_service_lets_16_mebibytes_be_open_with_a_socket_or_without,
);

async fn with_window(messages: usize, bytes: usize) -> Server {
    Server::with(|setup| {
        setup.window(messages, bytes);
    })
    .await
}

async fn one_message_too_many_ends_the_connection_for_good(dialect: Dialect) {
    let server = with_window(5, 1 << 20).await;
    let mut peer = Peer::connect(&server, dialect).await;
    for sequence_id in 1..=5 {
        publish(&server, "x").await;
        peer.expect("x", sequence_id).await;
    }
    publish(&server, "x").await;
    peer.socket.expect_end().await;
    peer.ticket.expect_refused(&server, "an overrun connection has ended").await;
    ended(&server, &peer.ticket.id).await;
}

async fn acknowledgements_make_room(dialect: Dialect) {
    let server = with_window(5, 1 << 20).await;
    let mut peer = Peer::connect(&server, dialect).await;
    for sequence_id in 1..=30 {
        publish(&server, "x").await;
        peer.expect("x", sequence_id).await;
        if sequence_id % 5 == 0 {
            peer.acknowledge(sequence_id).await;
        }
    }
}

async fn bytes_count_as_well(dialect: Dialect) {
    let server = with_window(100, 10_000).await;
    let mut peer = Peer::connect(&server, dialect).await;
    publish(&server, &"x".repeat(6_000)).await;
    peer.next().await;
    publish(&server, &"x".repeat(6_000)).await;
    peer.socket.expect_end().await;
    peer.ticket.expect_refused(&server, "an overrun connection has ended").await;
}

async fn the_limits_hold_without_a_socket_too(dialect: Dialect) {
    let server = with_window(5, 1 << 20).await;
    let kept = Peer::connect(&server, dialect).await.lose();
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

async fn the_service_lets_a_thousand_be_open(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
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

async fn the_service_lets_a_thousand_wait_for_a_client_that_is_away(dialect: Dialect) {
    let server = Server::start().await;
    let mut publisher = Peer::connect(&server, dialect).await;
    let kept = Peer::connect(&server, dialect).await.away().await;
    let publish = json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": "x"});
    for sequence_id in 1..=1000 {
        publisher.send(publish.clone()).await;
        publisher.expect("x", sequence_id).await;
    }
    publisher.acknowledge(1000).await;
    let mut peer = kept.recover(&server).await;
    for sequence_id in 1..=1000 {
        peer.expect("x", sequence_id).await;
    }
    let lost = peer.away().await;
    publisher.send(publish).await;
    publisher.expect("x", 1001).await;
    ended(&server, &lost.id).await;
    lost.expect_refused(&server, "the thousand and first").await;
}

async fn the_service_lets_16_mebibytes_be_open_with_a_socket_or_without(dialect: Dialect) {
    let server = Server::start().await;
    // Sixteen with their envelopes are just within 16 MiB.
    let big = "x".repeat((1 << 20) - 500);
    let mut reader = Peer::connect(&server, dialect).await;
    let away = Peer::connect(&server, dialect).await.away().await;
    for sequence_id in 1..=16 {
        publish(&server, &big).await;
        reader.expect(&big, sequence_id).await;
    }
    reader.expect_nothing_before_pong().await;
    let mut back = away.recover(&server).await;
    for sequence_id in 1..=16 {
        back.expect(&big, sequence_id).await;
    }
    let away = back.away().await;
    publish(&server, &big).await;
    reader.socket.expect_end().await;
    reader.ticket.expect_refused(&server, "17 MiB are open").await;
    ended(&server, &away.id).await;
    away.expect_refused(&server, "17 MiB wait for it").await;
}
