//! Several brokers on one Redis or on a Redis Cluster.

use super::broker::Broker;
use super::redis::Redis;
use super::servers::Cluster as RedisCluster;

/// Brokers with one key, and what links them. All of it ends when this is dropped.
pub struct Cluster {
    nodes: Vec<Broker>,
    backplane: Backplane,
    flags: Vec<String>,
}

/// What links brokers.
pub enum Backplane {
    /// One Redis.
    Single(Redis),
    /// A Redis Cluster.
    Cluster(RedisCluster),
}

impl Cluster {
    /// Starts Redis, and `nodes` brokers named `n1`, `n2` and so on. `flags` are given to each.
    pub fn start(nodes: usize, flags: &[&str]) -> Self {
        Self::over(Backplane::Single(Redis::start()), nodes, flags)
    }

    /// The same over what is there already.
    pub fn over(backplane: Backplane, nodes: usize, flags: &[&str]) -> Self {
        let mut flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let url = match &backplane {
            Backplane::Single(redis) => redis.url(),
            Backplane::Cluster(servers) => servers.url(),
        };
        flags.extend(["--redis".to_owned(), url]);
        let mut cluster = Self { nodes: Vec::new(), backplane, flags };
        (0..nodes).for_each(|_| cluster.add());
        cluster
    }

    /// The same, one broker for each of `clocks`: so many seconds its clock is ahead, or behind if it is negative.
    pub fn with_clocks(clocks: &[i64], flags: &[&str]) -> Self {
        let mut cluster = Self::start(0, flags);
        for (number, seconds) in (1..).zip(clocks) {
            let id = format!("n{number}");
            let broker = Broker::start_ahead(*seconds, &cluster.flags(&id));
            cluster.nodes.push(broker);
        }
        cluster
    }

    /// Starts one more broker.
    pub fn add(&mut self) {
        let id = format!("n{}", self.nodes.len() + 1);
        let broker = self.broker(&id);
        self.nodes.push(broker);
    }

    /// Starts a broker of the same name in place of one, which is killed if it still runs. Its ports are others.
    pub fn replace(&mut self, number: usize) {
        self.node_mut(number).kill();
        let broker = self.broker(&format!("n{number}"));
        *self.node_mut(number) = broker;
    }

    /// Starts a broker beside the others, under an id that one of them may have already.
    pub fn start_again(&self, id: &str) -> Broker {
        self.broker(id)
    }

    /// A broker, counted from 1.
    pub fn node(&self, number: usize) -> &Broker {
        &self.nodes[number - 1]
    }

    /// The same, to end it.
    pub fn node_mut(&mut self, number: usize) -> &mut Broker {
        &mut self.nodes[number - 1]
    }

    /// The one Redis that links them.
    pub fn redis(&mut self) -> &mut Redis {
        match &mut self.backplane {
            Backplane::Single(redis) => redis,
            Backplane::Cluster(_) => panic!("a Redis Cluster links them"),
        }
    }

    /// What links them.
    pub fn backplane(&mut self) -> &mut Backplane {
        &mut self.backplane
    }

    fn broker(&self, id: &str) -> Broker {
        Broker::start(&self.flags(id))
    }

    fn flags<'a>(&'a self, id: &'a str) -> Vec<&'a str> {
        self.flags.iter().map(String::as_str).chain(["--node-id", id]).collect()
    }
}
