//! Redis is killed and comes back with what it had: sessions go on, and nothing that was acknowledged is lost.

use std::time::Duration;

use super::traffic::{Manner, Publishers, expect_whole, subscribe};
use super::{durable, member};
use crate::dialect::Dialect;

#[tokio::test]
async fn a_redis_that_keeps_what_it_has_may_be_killed() {
    let mut nodes = durable();
    let mut subscribers = Vec::new();
    for (node, dialect) in [(1, Dialect::Json), (2, Dialect::Protobuf)] {
        let session = nodes.session(node, dialect, member().group("one")).await;
        subscribers.push((format!("a member of node {node}"), subscribe(session)));
    }
    let mut publishers = Publishers::none();
    publishers.call(nodes.address(3), vec!["groups/one/".to_owned()]);
    for node in [1, 2, 3] {
        let session = nodes.session(node, Dialect::Json, member()).await;
        publishers.publish(&format!("of node {node}"), session, "one", Manner::default());
    }
    publishers.flow(50).await;
    for down in [Duration::ZERO, Duration::from_secs(3)] {
        nodes.cluster().redis().kill();
        tokio::time::sleep(down).await;
        nodes.cluster().redis().restart();
        publishers.flow(100).await;
    }
    // What was written before and after is all there.
    nodes.kill(1);
    publishers.flow(100).await;
    let acknowledged = publishers.finish(nodes.address(2)).await;
    for (who, subscriber) in subscribers {
        expect_whole(&who, &super::soon("the farewell", subscriber).await.unwrap().1, &acknowledged);
    }
}

/// Counts what nobody waits for any longer.
const LOST: &str = "hubbub_backplane_gap_total{outcome=\"lost\"}";

/// The others missed what it published last, and ask it for that in vain. All of it is in the logs.
#[tokio::test]
async fn nobody_waits_for_a_node_that_is_lost_while_redis_is_away() {
    let mut nodes = durable();
    let mut sessions = Vec::new();
    for (node, dialect) in [(1, Dialect::Json), (2, Dialect::Protobuf)] {
        let session = nodes.session(node, dialect, member().group("one")).await;
        sessions.push((format!("a member of node {node}"), session));
    }
    nodes.cluster().redis().kill();
    nodes.kill(1);
    nodes.cluster().redis().restart();
    let newcomer = nodes.session(2, Dialect::Json, member().group("one")).await;
    sessions.push(("a newcomer".to_owned(), newcomer));
    nodes.send(3, "groups/one", "after").await;
    for (who, session) in &mut sessions {
        let message = super::soon("a message", session.next_message()).await;
        assert_eq!(message["data"], "after", "{who}");
        for node in [2, 3] {
            let lost = nodes.cluster().node(node).metric(LOST);
            assert_eq!(lost, 0.0, "{who} has waited until node {node} asks no more");
        }
    }
}
