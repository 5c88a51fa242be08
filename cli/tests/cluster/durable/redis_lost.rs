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
