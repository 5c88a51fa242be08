//! What ends a connection for good, and what only its socket: the rows of `client-protocols.md` 4.1.

use std::time::Duration;

use serde_json::json;

use crate::dialect::{Dialect, both};
use crate::peer::{Peer, ended, next_frame, publish};
use crate::support::{Frame, Opcode, Server};

both!(
    a_close_with_any_code_but_1000_is_answered_and_the_connection_kept,
    a_close_with_1000_ends_the_connection,
    a_close_by_the_application_ends_the_connection_with_a_socket_or_without,
    a_client_that_breaks_the_protocol_is_sent_away_for_good,
    nobody_comes_back_after_the_window,
    a_client_that_answers_no_pings_loses_its_socket_and_may_come_back,
    a_place_is_kept_as_long_as_the_connection,
);

async fn a_close_with_any_code_but_1000_is_answered_and_the_connection_kept(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
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

async fn a_close_with_1000_ends_the_connection(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
    peer.socket.send(&Frame::close(1000, "bye")).await;
    peer.socket.expect_close(1000, "bye").await;
    peer.ticket.expect_refused(&server, "closed by the client").await;
    ended(&server, &peer.ticket.id).await;
}

async fn a_close_by_the_application_ends_the_connection_with_a_socket_or_without(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
    let close = |id: &str| server.rest().delete(&format!("/api/hubs/chat/connections/{id}")).expect(204);
    close(&peer.ticket.id).await;
    let farewell = peer.next().await;
    assert_eq!((&farewell["event"], farewell.get("sequenceId")), (&json!("disconnected"), None));
    peer.socket.expect_close(1000, "").await;
    peer.ticket.expect_refused(&server, "closed by the application").await;

    let mut lost = Peer::connect(&server, dialect).await;
    lost.socket.send(&Frame::close_without_code()).await;
    while lost.socket.try_read_frame().await.is_some() {}
    close(&lost.ticket.id).await;
    lost.ticket.expect_refused(&server, "closed while away").await;
}

async fn a_client_that_breaks_the_protocol_is_sent_away_for_good(dialect: Dialect) {
    let server = Server::start().await;
    let (unknown, unknown_text) = dialect.unknown_message();
    let (wrong_kind, wrong_kind_text) = dialect.wrong_kind();
    let opcode = dialect.opcode();
    let too_large = vec![b'x'; (1 << 20) + 1];
    let invalid = "The client frame is invalid.";
    let cases = [
        (vec![unknown], 1007, unknown_text),
        (vec![wrong_kind], 1003, wrong_kind_text),
        (vec![Frame::new(Opcode::CONTINUATION, "x")], 1002, invalid),
        (vec![Frame::new(opcode, "x").not_final(), Frame::new(opcode, "x")], 1002, invalid),
        (Frame::fragments(opcode, &too_large, 300_000), 1009, "The client message is too large."),
    ];
    for (frames, code, reason) in cases {
        let mut peer = Peer::connect(&server, dialect).await;
        for frame in frames {
            peer.socket.send(&frame).await;
        }
        assert_eq!(next_frame(&mut peer.socket).await, Frame::close(code, reason).unmasked());
        peer.ticket.expect_refused(&server, reason).await;
    }
}

async fn nobody_comes_back_after_the_window(dialect: Dialect) {
    let server = Server::with(|setup| {
        setup.reconnect_window(Duration::from_secs(1));
    })
    .await;
    let ticket = Peer::connect(&server, dialect).await.lose();
    ended(&server, &ticket.id).await;
    ticket.expect_refused(&server, "too late").await;
}

async fn a_client_that_answers_no_pings_loses_its_socket_and_may_come_back(dialect: Dialect) {
    let server = Server::with(|setup| {
        setup.keep_alive("chat", Duration::from_secs(1));
    })
    .await;
    let mut peer = Peer::connect(&server, dialect).await;
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

async fn a_place_is_kept_as_long_as_the_connection(dialect: Dialect) {
    let server = Server::with(|setup| {
        setup.max_connections(1).reconnect_window(Duration::from_secs(1));
    })
    .await;
    let ticket = Peer::connect(&server, dialect).await.lose();
    let spec = crate::peer::member(dialect);
    let response = server.raw().await.upgrade(&spec.path(&server, "chat"), &spec.headers()).await;
    assert_eq!(response.status, 429, "somebody may come back to it");
    let peer = ticket.recover(&server).await;
    let ticket = peer.lose();
    ended(&server, &ticket.id).await;
    Peer::connect(&server, dialect).await;
}

#[tokio::test]
async fn a_node_that_stops_sends_all_away_and_waits_for_nobody() {
    let mut server = Server::start().await;
    let mut peer = Peer::connect(&server, Dialect::Json).await;
    let _lost = Peer::connect(&server, Dialect::Json).await.lose();
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
    let mut peer = Peer::connect(&server, Dialect::Json).await;
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
