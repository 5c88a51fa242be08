//! What ends a connection for good, and what only its socket: the rows of `client-protocols.md` 4.1.

use std::time::Duration;

use serde_json::json;

use crate::peer::{Peer, ended, next_frame, publish};
use crate::support::{Frame, Opcode, Server};

#[tokio::test]
async fn a_close_with_any_code_but_1000_is_answered_and_the_connection_kept() {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server).await;
    let frames = [
        Frame::close_without_code(),
        Frame::close(1001, "going"),
        Frame::close(1011, ""),
        Frame::close(4000, "x"),
    ];
    for (round, frame) in (1..).zip(frames) {
        peer.socket.send(&frame).await;
        assert_eq!(peer.socket.read_frame().await, frame.clone().unmasked());
        peer.socket.expect_end().await;
        let ticket = peer.lose();
        publish(&server, "x").await;
        peer = ticket.recover(&server).await;
        peer.expect("x", round).await;
        peer.acknowledge(round).await;
    }
}

#[tokio::test]
async fn a_close_with_1000_ends_the_connection() {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server).await;
    peer.socket.send(&Frame::close(1000, "bye")).await;
    peer.socket.expect_close(1000, "bye").await;
    peer.ticket.expect_refused(&server, "closed by the client").await;
    ended(&server, &peer.ticket.id).await;
}

#[tokio::test]
async fn a_close_by_the_application_ends_the_connection_with_a_socket_or_without() {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server).await;
    let close = |id: &str| server.rest().delete(&format!("/api/hubs/chat/connections/{id}")).expect(204);
    close(&peer.ticket.id).await;
    let farewell = peer.next().await;
    assert_eq!((&farewell["event"], farewell.get("sequenceId")), (&json!("disconnected"), None));
    peer.socket.expect_close(1000, "").await;
    peer.ticket.expect_refused(&server, "closed by the application").await;

    let mut lost = Peer::connect(&server).await;
    lost.socket.send(&Frame::close_without_code()).await;
    while lost.socket.try_read_frame().await.is_some() {}
    close(&lost.ticket.id).await;
    lost.ticket.expect_refused(&server, "closed while away").await;
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_sent_away_for_good() {
    let server = Server::start().await;
    let too_large = "x".repeat(1024 * 1024 + 1);
    let cases = [
        (Frame::text("[]"), 1007, "The client message is not a valid JSON protocol message."),
        (Frame::binary("{}"), 1003, "The JSON subprotocol requires text messages."),
        (Frame::new(Opcode::CONTINUATION, "x"), 1002, "The client frame is invalid."),
        (Frame::text(&too_large), 1009, "The client message is too large."),
    ];
    for (frame, code, reason) in cases {
        let mut peer = Peer::connect(&server).await;
        peer.socket.send(&frame).await;
        assert_eq!(next_frame(&mut peer.socket).await, Frame::close(code, reason).unmasked());
        peer.ticket.expect_refused(&server, reason).await;
    }
}

#[tokio::test]
async fn nobody_comes_back_after_the_window() {
    let server = Server::with(|setup| {
        setup.reconnect_window(Duration::from_secs(1));
    })
    .await;
    let ticket = Peer::connect(&server).await.lose();
    ended(&server, &ticket.id).await;
    ticket.expect_refused(&server, "too late").await;
}

#[tokio::test]
async fn a_client_that_answers_no_pings_loses_its_socket_and_may_come_back() {
    let server = Server::with(|setup| {
        setup.keep_alive("chat", Duration::from_secs(1));
    })
    .await;
    let mut peer = Peer::connect(&server).await;
    // Two intervals and ten seconds, and then the usual deadline at most.
    let silent = tokio::time::timeout(Duration::from_secs(30), async {
        let mut chunk = [0; 1024];
        use tokio::io::AsyncReadExt;
        while peer.socket.stream.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
    });
    silent.await.expect("a silent client was kept");
    publish(&server, "wake up").await;
    let mut peer = peer.lose().recover(&server).await;
    peer.expect("wake up", 1).await;
}

#[tokio::test]
async fn a_place_is_kept_as_long_as_the_connection() {
    let server = Server::with(|setup| {
        setup.max_connections(1).reconnect_window(Duration::from_secs(1));
    })
    .await;
    let ticket = Peer::connect(&server).await.lose();
    let spec = crate::peer::member();
    let response = server.raw().await.upgrade(&spec.path(&server, "chat"), &spec.headers()).await;
    assert_eq!(response.status, 429, "somebody may come back to it");
    let peer = ticket.recover(&server).await;
    let ticket = peer.lose();
    ended(&server, &ticket.id).await;
    Peer::connect(&server).await;
}

#[tokio::test]
async fn a_node_that_stops_sends_all_away_and_waits_for_nobody() {
    let mut server = Server::start().await;
    let mut peer = Peer::connect(&server).await;
    let _lost = Peer::connect(&server).await.lose();
    let begun = std::time::Instant::now();
    server.begin_stop();
    peer.socket.expect_close(1001, "").await;
    drop(peer);
    server.stopped().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "nobody can come back to this node");
}

#[tokio::test]
async fn a_client_that_comes_back_often_is_pinged_no_more_than_others() {
    let server = Server::with(|setup| {
        setup.keep_alive("chat", Duration::from_secs(2));
    })
    .await;
    let mut peer = Peer::connect(&server).await;
    for _ in 0..20 {
        peer = peer.lose().recover(&server).await;
        peer.expect_nothing_before_pong().await;
    }
    let mut pings = 0;
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let frame = peer.socket.read_frame().await;
        assert_eq!(frame.opcode, Opcode::PING);
        peer.socket.send(&Frame::pong("")).await;
        pings += 1;
    }
    assert!(pings <= 4, "{pings} pings in some five seconds, one in two was asked for");
}
