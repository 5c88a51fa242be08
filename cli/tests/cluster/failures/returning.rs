//! Reliable clients that come back while the node that has their connection does not answer: they are told to try again,
//! until that node is known to be gone (`client-protocols.md` 10.4).

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{server, start};
use crate::dialect::Dialect;
use crate::harness::{Cluster, DEADLINE};
use crate::peer::{NOT_RECOVERED, Peer, Ticket, publish};
use crate::support::{RawSocket, Response};

/// Pause before another attempt.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const DIALECTS: [Dialect; 2] = [Dialect::Json, Dialect::Protobuf];

async fn come_back(cluster: &Cluster, node: usize, ticket: &Ticket) -> (RawSocket, Response) {
    let offer = [("Sec-WebSocket-Protocol", ticket.dialect.subprotocol())];
    ticket.try_recover(&server(cluster, node), &offer).await
}

/// Comes back again and again while it is told to try again.
async fn come_back_at_last(cluster: &Cluster, node: usize, ticket: &Ticket) -> RawSocket {
    let end = Instant::now() + DEADLINE;
    loop {
        let (socket, response) = come_back(cluster, node, ticket).await;
        if response.status == 101 {
            return socket;
        }
        expect_later(&response);
        assert!(Instant::now() < end, "it is told to try again for ever");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// What makes the official clients try again; nothing of a WebSocket is agreed on.
fn expect_later(response: &Response) {
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.header("retry-after"), Some("5"), "{response:?}");
    assert_eq!(response.body, "The connection cannot be reached now. Try again.");
    for name in ["upgrade", "sec-websocket-accept", "sec-websocket-protocol"] {
        assert_eq!(response.header(name), None, "{response:?}");
    }
}

#[tokio::test]
async fn who_comes_back_while_its_node_stands_still_is_told_to_try_again_and_misses_nothing() {
    let cluster = start();
    let mut tickets = Vec::new();
    for dialect in DIALECTS {
        tickets.push(Peer::connect(&server(&cluster, 1), dialect).await.lose());
    }
    cluster.node(1).pause();
    let attempts = tickets.iter().zip([2, 3]).map(|(ticket, node)| come_back(&cluster, node, ticket));
    for (_, response) in join_all(attempts).await {
        expect_later(&response);
    }
    publish(&server(&cluster, 3), "meanwhile").await;
    cluster.node(1).resume();
    for (ticket, node) in tickets.into_iter().zip([2, 3]) {
        let socket = come_back_at_last(&cluster, node, &ticket).await;
        Peer { socket, ticket }.expect("meanwhile", 1).await;
    }
}

#[tokio::test]
async fn who_comes_back_when_its_node_was_killed_is_told_to_try_again_until_it_is_known_to_be_gone() {
    let mut cluster = start();
    let mut tickets = Vec::new();
    for dialect in DIALECTS {
        tickets.push(Peer::connect(&server(&cluster, 1), dialect).await.lose());
    }
    cluster.node_mut(1).kill();
    for ticket in &tickets {
        // It may have been cut off alone, as far as is known.
        let (_, response) = come_back(&cluster, 2, ticket).await;
        expect_later(&response);
    }
    // Each node finds out for itself.
    for node in [2, 3] {
        for ticket in &tickets {
            come_back_at_last(&cluster, node, ticket).await.expect_close(1008, NOT_RECOVERED).await;
            ticket.expect_refused(&server(&cluster, node), "its node is gone").await;
        }
    }
}
