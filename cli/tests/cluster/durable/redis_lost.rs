//! Redis is lost for a while, or one server of a Redis Cluster: sessions go on, and nothing that was acknowledged is lost,
//! doubled or out of order.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::member;
use super::nodes::{Durable, GROUPS, Links, over_both};
use super::traffic::{Acknowledged, Manner, Publishers, expect_whole, subscribe};
use crate::dialect::Dialect;
use crate::harness::{Backplane, RedisCluster};

/// Numbers that are acknowledged before and after.
const FLOWING: u64 = 100;
/// Longer than it takes until the other servers of a Redis Cluster notice.
const AWAY: Duration = Duration::from_secs(3);
/// Longer than it takes until a replica has taken over, and brokers have found it.
const REPLACED: Duration = Duration::from_secs(8);

/// Counts what nobody waits for any longer.
const LOST: &str = "hubbub_backplane_gap_total{outcome=\"lost\"}";

/// Members of all groups on two nodes, and those who publish to each group by clients of all nodes and by calls.
struct Traffic {
    publishers: Publishers,
    subscribers: Vec<(String, JoinHandle<Acknowledged>)>,
}

impl Traffic {
    async fn start(nodes: &Durable) -> Self {
        let mut subscribers = Vec::new();
        for (node, dialect) in [(1, Dialect::Json), (2, Dialect::Protobuf)] {
            let spec = GROUPS.iter().fold(member(), |spec, group| spec.group(group));
            let session = nodes.session(node, dialect, spec).await;
            subscribers.push((format!("a member of node {node}"), subscribe(session, GROUPS.len())));
        }
        let mut publishers = Publishers::none();
        publishers.call(nodes.address(3), GROUPS.map(|group| format!("groups/{group}/")).to_vec());
        for (node, group) in (1..).zip(GROUPS) {
            let session = nodes.session(node, Dialect::Json, member()).await;
            publishers.publish(&format!("of node {node}"), session, group, Manner::default());
        }
        publishers.flow(FLOWING).await;
        Self { publishers, subscribers }
    }

    /// What was written before and after is all there, also for those who go on from their records.
    async fn expect_whole(self, nodes: &mut Durable) {
        self.publishers.flow(FLOWING).await;
        nodes.kill(1);
        self.publishers.flow(FLOWING).await;
        let acknowledged = self.publishers.finish(nodes.address(2)).await;
        for (who, subscriber) in self.subscribers {
            let seen = super::soon("the farewell", subscriber).await.unwrap();
            expect_whole(&who, &seen, &acknowledged);
        }
    }
}

over_both!(a_redis_that_keeps_what_it_has_may_be_killed, a_redis_may_hang);

async fn a_redis_that_keeps_what_it_has_may_be_killed(links: Links) {
    let mut nodes = Durable::start(links);
    let traffic = Traffic::start(&nodes).await;
    nodes.expect_spread();
    let servers = GROUPS.map(|group| nodes.server_of(group));
    for (server, down) in servers.into_iter().zip([Duration::ZERO, AWAY]) {
        nodes.kill_redis(server);
        tokio::time::sleep(down).await;
        nodes.restart_redis(server);
        traffic.publishers.flow(FLOWING).await;
    }
    traffic.expect_whole(&mut nodes).await;
}

async fn a_redis_may_hang(links: Links) {
    let mut nodes = Durable::start(links);
    let traffic = Traffic::start(&nodes).await;
    let server = nodes.server_of(GROUPS[2]);
    nodes.pause_redis(server);
    tokio::time::sleep(AWAY).await;
    nodes.resume_redis(server);
    traffic.expect_whole(&mut nodes).await;
}

#[tokio::test]
async fn a_replica_that_has_everything_may_take_over_in_a_redis_cluster() {
    let mut nodes = Durable::over(Backplane::Cluster(RedisCluster::with_replicas()));
    let traffic = Traffic::start(&nodes).await;
    let server = nodes.server_of(GROUPS[1]);
    nodes.kill_redis(server);
    traffic.expect_whole(&mut nodes).await;
}

#[tokio::test]
async fn a_server_of_a_redis_cluster_that_hangs_until_its_replica_has_taken_over_disturbs_nobody() {
    let mut nodes = Durable::over(Backplane::Cluster(RedisCluster::with_replicas()));
    let traffic = Traffic::start(&nodes).await;
    let server = nodes.server_of(GROUPS[1]);
    nodes.pause_redis(server);
    tokio::time::sleep(REPLACED).await;
    nodes.resume_redis(server);
    nodes.expect_replaced(server);
    traffic.publishers.flow(FLOWING).await;
    traffic.expect_whole(&mut nodes).await;
}

/// The others missed what it published last, and ask it for that in vain. All of it is in the logs.
#[tokio::test]
async fn nobody_waits_for_a_node_that_is_lost_while_redis_is_away() {
    let mut nodes = Durable::start(Links::OneRedis);
    let mut sessions = Vec::new();
    for (node, dialect) in [(1, Dialect::Json), (2, Dialect::Protobuf)] {
        let session = nodes.session(node, dialect, member().group("one")).await;
        sessions.push((format!("a member of node {node}"), session));
    }
    nodes.kill_redis(0);
    nodes.kill(1);
    nodes.restart_redis(0);
    let newcomer = nodes.session(2, Dialect::Json, member().group("one")).await;
    sessions.push(("a newcomer".to_owned(), newcomer));
    nodes.send(3, "groups/one", "after").await;
    for (who, session) in &mut sessions {
        let message = super::soon("a message", session.next_message()).await;
        assert_eq!(message["data"], "after", "{who}");
        for node in [2, 3] {
            let lost = nodes.metric(node, LOST);
            assert_eq!(lost, 0.0, "{who} has waited until node {node} asks no more");
        }
    }
}
