//! Three brokers for which the hub `chat` is durable, over one Redis or over a Redis Cluster of three servers, of which all
//! keep what they have; and what happens to brokers and servers.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::session::Session;
use super::{NODES, hubs_file};
use crate::dialect::Dialect;
use crate::harness::{Backplane, Cluster, Redis, RedisCluster, RedisServer};
use crate::support::{ClientSpec, PRIMARY_KEY, Server};

/// Groups that three different servers of a Redis Cluster have.
pub(super) const GROUPS: [&str; 3] = ["one", "four", "g0"];

/// What links the brokers. The same must hold over both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    OneRedis,
    RedisCluster,
}

/// Makes two tests of each function: one over one Redis, one over a Redis Cluster.
macro_rules! over_both {
    ($($test:ident),* $(,)?) => {
        $(mod $test {
            #[tokio::test]
            async fn one_redis() {
                super::$test(crate::durable::nodes::Links::OneRedis).await;
            }

            #[tokio::test]
            async fn redis_cluster() {
                super::$test(crate::durable::nodes::Links::RedisCluster).await;
            }
        })*
    };
}
pub(super) use over_both;

/// See the module.
pub(super) struct Durable(Cluster);

impl Durable {
    /// Starts all and waits until all are ready.
    pub(super) fn start(links: Links) -> Self {
        Self::over(match links {
            Links::OneRedis => Backplane::Single(Redis::keeping()),
            Links::RedisCluster => Backplane::Cluster(RedisCluster::keeping()),
        })
    }

    /// Starts brokers over what is there.
    pub(super) fn over(backplane: Backplane) -> Self {
        Self::over_with(backplane, &[])
    }

    /// Starts brokers with further flags.
    pub(super) fn over_with(backplane: Backplane, more: &[&str]) -> Self {
        let file = hubs_file().display().to_string();
        let flags = [&["--access-key", PRIMARY_KEY, "--hubs", &file], more].concat();
        Self(Cluster::over(backplane, NODES, &flags))
    }

    pub(super) fn address(&self, node: usize) -> SocketAddr {
        self.0.node(node).address()
    }

    pub(super) fn server(&self, node: usize) -> Server {
        Server::at(self.address(node))
    }

    /// A client of this node, which goes on at the others when it loses it; the last one first.
    pub(super) async fn session(&self, node: usize, dialect: Dialect, spec: ClientSpec) -> Session {
        let others: Vec<SocketAddr> =
            (1..=NODES).rev().filter(|other| *other != node).map(|other| self.address(other)).collect();
        Session::begin(&self.server(node), &others, (dialect, spec)).await
    }

    pub(super) async fn send(&self, node: usize, target: &str, text: &str) {
        let path = format!("/api/hubs/chat/{target}/:send");
        self.server(node).rest().post(&path).text(text).expect(202).await;
    }

    pub(super) fn metric(&self, node: usize, name: &str) -> f64 {
        self.0.node(node).metric(name)
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.0.node_mut(node).kill();
    }

    pub(super) fn pause(&self, node: usize) {
        self.0.node(node).pause();
    }

    pub(super) fn resume(&self, node: usize) {
        self.0.node(node).resume();
    }

    /// Which server has a group that somebody is a member of. One Redis is number 0 and has all.
    pub(super) fn server_of(&mut self, group: &str) -> usize {
        let Backplane::Cluster(servers) = self.0.backplane() else { return 0 };
        let channel = format!("*:group:chat:{group}");
        let has_it = |server: &RedisServer| !server.ask(&["PUBSUB", "SHARDCHANNELS", &channel]).is_empty();
        servers.nodes.iter().position(has_it).expect("somebody is a member")
    }

    /// Each of [`GROUPS`] is at another server, if there is more than one.
    pub(super) fn expect_spread(&mut self) {
        let servers: BTreeSet<usize> = GROUPS.iter().map(|group| self.server_of(group)).collect();
        let is_cluster = matches!(self.0.backplane(), Backplane::Cluster(_));
        assert_eq!(servers.len(), if is_cluster { GROUPS.len() } else { 1 }, "{servers:?}");
    }

    /// Ends a server at once.
    pub(super) fn kill_redis(&mut self, server: usize) {
        match self.0.backplane() {
            Backplane::Single(redis) => redis.kill(),
            Backplane::Cluster(servers) => servers.nodes[server].kill(),
        }
    }

    /// Starts it again.
    pub(super) fn restart_redis(&mut self, server: usize) {
        match self.0.backplane() {
            Backplane::Single(redis) => redis.restart(),
            Backplane::Cluster(servers) => servers.nodes[server].restart(),
        }
    }

    /// Lets a server hang.
    pub(super) fn pause_redis(&mut self, server: usize) {
        match self.0.backplane() {
            Backplane::Single(redis) => redis.pause(),
            Backplane::Cluster(servers) => servers.nodes[server].pause(),
        }
    }

    /// Lets it go on.
    pub(super) fn resume_redis(&mut self, server: usize) {
        match self.0.backplane() {
            Backplane::Single(redis) => redis.resume(),
            Backplane::Cluster(servers) => servers.nodes[server].resume(),
        }
    }

    /// A server of a Redis Cluster that has gone on must see that it has been replaced.
    pub(super) fn expect_replaced(&mut self, server: usize) {
        let Backplane::Cluster(servers) = self.0.backplane() else { panic!("nothing replaces the only one") };
        servers.nodes[server].wait_for(&["ROLE"], "slave");
    }
}
