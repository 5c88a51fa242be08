//! Reliable clients that come back to another node than the one that has their connection.

use serde_json::json;

use super::Nodes;
use crate::dialect::Dialect;
use crate::peer::Peer;

async fn it_goes_on_wherever_it_comes_back(dialect: Dialect) {
    let nodes = Nodes::start();
    let mut peer = Peer::connect(nodes.node(1), dialect).await;
    peer.send(json!({"type": "joinGroup", "group": "h", "ackId": 1})).await;
    assert_eq!(peer.next().await["success"], true);
    let mut number = 0;
    for (from, to) in [(1, 2), (2, 3), (3, 1), (1, 1), (1, 3)] {
        peer.send(json!({"type": "sequenceAck", "sequenceId": number})).await;
        peer.expect_nothing_before_pong().await;
        let ticket = peer.lose();
        let targets = ["groups/h".to_owned(), "users/ann".to_owned(), format!("connections/{}", ticket.id)];
        for target in &targets {
            let path = format!("/api/hubs/chat/{target}/:send");
            nodes.node(2).rest().post(&path).text(target).expect(202).await;
        }
        peer = ticket.recover(nodes.node(to)).await;
        for target in &targets {
            number += 1;
            peer.expect(target, number).await;
        }
        for target in &targets {
            number += 1;
            let path = format!("/api/hubs/chat/{target}/:send");
            nodes.node(from).rest().post(&path).text(target).expect(202).await;
            peer.expect(target, number).await;
        }
        for server in nodes.all() {
            for target in &targets {
                server.rest().head(&format!("/api/hubs/chat/{target}")).expect(200).await;
            }
        }
    }
    peer.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn a_json_client_goes_on_wherever_it_comes_back() {
    it_goes_on_wherever_it_comes_back(Dialect::Json).await;
}

#[tokio::test]
async fn a_protobuf_client_goes_on_wherever_it_comes_back() {
    it_goes_on_wherever_it_comes_back(Dialect::Protobuf).await;
}
