//! Coming back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::peer::{Peer, Ticket, next_frame, publish};
use crate::support::{Frame, JSON, JSON_RELIABLE, Opcode, Server, escape};

#[tokio::test]
async fn groups_user_and_permissions_are_kept() {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server).await;
    peer.send(json!({"type": "joinGroup", "group": "h", "ackId": 1})).await;
    assert_eq!(peer.next().await["success"], true);
    let ticket = peer.lose();
    for target in ["groups/h", "users/ann", &format!("connections/{}", ticket.id)] {
        server.rest().post(&format!("/api/hubs/chat/{target}/:send")).text(target).expect(202).await;
    }
    let mut peer = ticket.recover(&server).await;
    peer.expect("groups/h", 1).await;
    peer.expect("users/ann", 2).await;
    peer.expect(&format!("connections/{}", ticket.id), 3).await;
    peer.send(json!({"type": "leaveGroup", "group": "h", "ackId": 2})).await;
    assert_eq!(peer.next().await["success"], true);
    peer.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn no_connected_message_is_sent_again() {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server).await.lose().recover(&server).await;
    peer.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn an_old_socket_that_is_still_open_is_dropped_without_a_word() {
    let server = Server::start().await;
    let mut old = Peer::connect(&server).await;
    publish(&server, "a").await;
    old.expect("a", 1).await;
    let mut new = old.ticket.recover(&server).await;
    old.socket.expect_end().await;
    new.expect("a", 1).await;
    publish(&server, "b").await;
    new.expect("b", 2).await;
}

#[tokio::test]
async fn a_token_may_be_used_again_and_again_on_any_worker() {
    let server = Server::with(|setup| {
        setup.workers(4);
    })
    .await;
    let mut peer = Peer::connect(&server).await;
    // The system spreads the sockets: that all of so many came to the same worker is next to impossible.
    for round in 1..=40 {
        let ticket = peer.lose();
        publish(&server, "x").await;
        peer = ticket.recover(&server).await;
        peer.expect("x", round).await;
        peer.acknowledge(round).await;
    }
}

#[tokio::test]
async fn of_many_who_come_at_once_one_has_the_connection_in_the_end() {
    let server = Server::with(|setup| {
        setup.workers(4);
    })
    .await;
    let ticket = Peer::connect(&server).await.lose();
    publish(&server, "a").await;
    let attempts = (0..16).map(|_| ticket.try_recover(&server, &[("Sec-WebSocket-Protocol", JSON_RELIABLE)]));
    let mut holders = 0;
    publish(&server, "b").await;
    let sockets = futures_util::future::join_all(attempts).await;
    // The last of them may still be on its way to the connection, and then another is refused.
    let (mut last, first) = loop {
        let mut peer = ticket.recover(&server).await;
        let first = next_frame(&mut peer.socket).await;
        if first.opcode == Opcode::TEXT {
            break (peer, first);
        }
    };
    for (mut socket, response) in sockets {
        assert_eq!(response.status, 101);
        // Refused, or taken over by a later one, or cut off before it was sent anything.
        while let Some(frame) = socket.try_read_frame().await {
            match frame.opcode {
                Opcode::CLOSE => assert_eq!(frame.content[..2], 1008_u16.to_be_bytes()),
                _ => holders += 1,
            }
        }
    }
    assert_eq!(serde_json::from_slice::<Value>(&first.content).unwrap()["sequenceId"], 1);
    last.expect("b", 2).await;
    last.expect_nothing_before_pong().await;
    assert!(holders <= 32, "each of them was sent what is kept once at most");
}

#[tokio::test]
async fn each_loss_begins_the_window_anew() {
    let server = Server::with(|setup| {
        setup.reconnect_window(Duration::from_secs(2));
    })
    .await;
    let mut peer = Peer::connect(&server).await;
    for round in 0..4 {
        let ticket = peer.lose();
        // Not a wait for an event: that time passes is what is tested.
        tokio::time::sleep(Duration::from_millis(900)).await;
        peer = ticket.recover(&server).await;
        publish(&server, "x").await;
        let first = peer.next().await;
        assert_eq!(first["sequenceId"], round + 1);
        peer.acknowledge(round + 1).await;
    }
}

#[tokio::test]
async fn the_subprotocol_is_the_one_of_before_whatever_is_offered() {
    let server = Server::start().await;
    let mut ticket = Peer::connect(&server).await.lose();
    for (offer, expected) in [
        (Some(JSON), JSON_RELIABLE),
        (Some("mqtt, JSON.Reliable.WebPubSub.azure.v1"), "JSON.Reliable.WebPubSub.azure.v1"),
        (None, JSON_RELIABLE),
    ] {
        let headers: Vec<_> = offer.iter().map(|offer| ("Sec-WebSocket-Protocol", *offer)).collect();
        let (socket, response) = ticket.try_recover(&server, &headers).await;
        assert_eq!(response.header("sec-websocket-protocol"), Some(expected), "{offer:?}");
        let mut peer = Peer { socket, ticket };
        peer.expect_nothing_before_pong().await;
        ticket = peer.lose();
    }
}

#[tokio::test]
async fn the_token_by_which_the_client_once_connected_is_not_looked_at() {
    let server = Server::start().await;
    let ticket = Peer::connect(&server).await.lose();
    let expired = server.client_token("chat").expires_in(-1000).sign();
    for token in [&*expired, "nonsense"] {
        let mut socket = server.raw().await;
        let path = format!("{}&access_token={}", ticket.path(), escape(token));
        let response = socket.upgrade(&path, &[("Sec-WebSocket-Protocol", JSON_RELIABLE)]).await;
        assert_eq!(response.status, 101);
        let mut peer = Peer { socket, ticket: ticket.clone() };
        peer.expect_nothing_before_pong().await;
    }
}

#[tokio::test]
async fn frames_that_come_with_the_request_are_taken_in() {
    let server = Server::start().await;
    let ticket: Ticket = Peer::connect(&server).await.lose();
    let mut socket = server.raw().await;
    let mut request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ticket.path(),
        server.address(),
    )
    .into_bytes();
    request.extend(Frame::text(r#"{"type":"ping"}"#).bytes());
    socket.write(&request).await;
    assert_eq!(socket.read_response().await.status, 101);
    let mut peer = Peer { socket, ticket };
    assert_eq!(peer.next().await, json!({"type": "pong"}));
}
