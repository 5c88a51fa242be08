//! A node of a durable hub is killed: its reliable clients go on at the others and miss nothing.

use serde_json::json;

use super::start;
use crate::dialect::Dialect;
use crate::peer::Peer;
use crate::support::Server;

async fn send(server: &Server, target: &str, text: &str) {
    server.rest().post(&format!("/api/hubs/chat/{target}/:send")).text(text).expect(202).await;
}

/// The next message that the client does not have yet must be this. What it has acknowledged may come again with its old
/// number: that an acknowledgement has come is written with what is written next, and the node may be killed before.
async fn expect_new(peer: &mut Peer, data: &str, number: u64) {
    let mut message = peer.next().await;
    while message["sequenceId"].as_u64().is_some_and(|repeated| repeated < number) {
        message = peer.next().await;
    }
    assert_eq!((&message["data"], &message["sequenceId"]), (&json!(data), &json!(number)));
}

/// Connects to a node of its own, which is then killed.
async fn it_goes_on_after_its_node_was_killed(dialect: Dialect) {
    let (mut cluster, servers, _file) = start();
    let mut peer = Peer::connect(&servers[0], dialect).await;
    peer.send(json!({"type": "joinGroup", "group": "h", "ackId": 1})).await;
    assert_eq!(peer.next().await["success"], true);
    let targets = ["groups/h".to_owned(), "users/ann".to_owned(), format!("connections/{}", peer.ticket.id)];
    // It has these and acknowledges some.
    for (target, number) in targets.iter().zip(1..) {
        send(&servers[number % 3], target, target).await;
        peer.expect(target, number as u64).await;
    }
    peer.acknowledge(2).await;
    let ticket = peer.lose();
    // These come while it has no socket, some while its node lives and some when it does not any more.
    for target in &targets {
        send(&servers[1], target, "while it lived").await;
    }
    cluster.node_mut(1).kill();
    for target in &targets {
        send(&servers[2], target, "after that").await;
    }
    peer = ticket.recover(&servers[1]).await;
    expect_new(&mut peer, &targets[2], 3).await;
    for (text, first) in [("while it lived", 4), ("after that", 7)] {
        for number in first..first + 3 {
            peer.expect(text, number).await;
        }
    }
    // It goes on, and moves on.
    for (number, (from, to)) in (10..).zip([(1, 2), (2, 1)]) {
        send(&servers[from], "groups/h", "then").await;
        peer.expect("then", number).await;
        peer.acknowledge(number).await;
        peer = peer.lose().recover(&servers[to]).await;
    }
    // Its record has been taken over by hand-over as well, with a window in which nothing was.
    let ticket = peer.lose();
    send(&servers[2], "groups/h", "at last").await;
    cluster.node_mut(2).kill();
    peer = ticket.recover(&servers[2]).await;
    expect_new(&mut peer, "at last", 12).await;
    peer.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn a_json_client_goes_on_after_its_node_was_killed() {
    it_goes_on_after_its_node_was_killed(Dialect::Json).await;
}

#[tokio::test]
async fn a_protobuf_client_goes_on_after_its_node_was_killed() {
    it_goes_on_after_its_node_was_killed(Dialect::Protobuf).await;
}
