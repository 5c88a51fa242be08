//! Redis is lost for a while, or one server of a Redis Cluster: sessions go on, and nothing that was acknowledged is lost,
//! doubled or out of order.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::member;
use super::nodes::{Durable, GROUPS, Links, over_both};
use super::session::{Heard, Session};
use super::traffic::{Acknowledged, Manner, Publishers, expect_whole, subscribe};
use crate::dialect::Dialect;
use crate::harness::{Backplane, RedisCluster};

/// Numbers that are acknowledged before and after.
const FLOWING: u64 = 100;
/// Longer than it takes until the other servers of a Redis Cluster notice.
const AWAY: Duration = Duration::from_secs(3);
/// Longer than it takes until a replica has taken over, and brokers have found it.
const REPLACED: Duration = Duration::from_secs(8);

/// Longer than a node keeps what Redis does not take.
const FORGOTTEN: Duration = Duration::from_secs(11);
/// What clients say meanwhile.
const SAID: [u64; 5] = [1, 2, 3, 4, 5];

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

/// Two clients wait for a Redis that is away for so long that nobody waits any more for what they have said first: one
/// keeps its socket, the other loses it, and with it the answer.
#[tokio::test]
async fn what_nobody_answers_is_repeated_and_published_in_the_order_in_which_it_was_said() {
    let mut nodes = Durable::start(Links::OneRedis);
    let mut listener = nodes.session(2, Dialect::Json, member().group("one")).await;
    let mut stays = nodes.session(1, Dialect::Json, member()).await;
    let mut leaves = nodes.session(1, Dialect::Protobuf, member()).await;
    nodes.send(3, "groups/one", "start").await;
    assert_eq!(super::soon("the start", listener.next_message()).await["data"], "start");

    nodes.kill_redis(0);
    let killed = Instant::now();
    say(&mut stays, "stays", &SAID).await;
    say(&mut leaves, "leaves", &SAID).await;
    drop(leaves.leave());
    let outcome = super::soon("the end of its socket", outcome(&mut stays)).await;
    assert_eq!(outcome, None, "nobody knows what it is to be told");
    tokio::time::sleep_until(killed + FORGOTTEN).await;
    nodes.restart_redis(0);
    for (name, session) in [("stays", &mut stays), ("leaves", &mut leaves)] {
        super::soon("the acks", say_until_done(session, name)).await;
    }
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for _ in 0..2 * SAID.len() {
        let message = super::soon("a message", listener.next_message()).await;
        let (name, number) = message["data"].as_str().unwrap().split_once(' ').unwrap();
        seen.entry(name.to_owned()).or_default().push(number.parse().unwrap());
    }
    assert_eq!(seen, ["stays", "leaves"].map(|name| (name.to_owned(), SAID.to_vec())).into());
}

async fn say(session: &mut Session, name: &str, numbers: &[u64]) {
    for &number in numbers {
        session.send(&super::publication("one", (name, number))).await;
    }
}

/// The next answer and whether it is good; nothing when the socket has ended.
async fn outcome(session: &mut Session) -> Option<(u64, bool)> {
    loop {
        match session.hear().await {
            Heard::Ack(id, is_done) => return Some((id, is_done)),
            Heard::Lost => return None,
            Heard::Message(_) | Heard::Nothing => {}
        }
    }
}

/// Comes back and repeats in its order what is not answered, until all is done.
async fn say_until_done(session: &mut Session, name: &str) {
    let mut left = SAID.to_vec();
    while !left.is_empty() {
        match outcome(session).await {
            Some((id, is_done)) => {
                assert!(is_done, "{name} {id} has failed");
                left.retain(|&number| number != id);
            }
            None => {
                session.come_back().await;
                say(session, name, &left).await;
            }
        }
    }
}
