//! Real Redis servers on free loopback ports: one, a cluster of three, with replicas or without, or a primary and a
//! replica that Sentinel watches.
//!
//! They keep nothing on disk but what a cluster needs, unless that is asked for, in a directory that goes with them, and
//! end when they are dropped. This file stands alone, so that a suite may include it by its path.
#![allow(dead_code, unreachable_pub, reason = "shared by suites of which none uses all of it")]

use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest time for servers to be ready, or to agree on something.
const DEADLINE: Duration = Duration::from_secs(20);
/// How often it is looked.
const POLL: Duration = Duration::from_millis(10);
/// Attempts to find a port that nobody takes in between.
const ATTEMPTS: usize = 5;
/// Slots of a Redis Cluster.
const SLOTS: u32 = 16384;
/// Ports that the system gives to nobody who asks for any port. It would give away others while a server is not there.
const PORTS: Range<u16> = 20_000..32_000;
/// By these a server has everything again when it is restarted. With another policy it may answer before it writes, and
/// lose that when it is killed.
const KEEPING: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

/// A running `redis-server`.
pub struct Redis {
    child: Child,
    port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
    /// What `redis-cli` needs to get in.
    entry: Vec<String>,
}

/// Three servers that share the slots in equal parts.
pub struct Cluster {
    /// The servers, in the order of their slots.
    pub nodes: Vec<Redis>,
    /// What takes over from each of them, in the same order. Absent unless asked for.
    pub replicas: Vec<Redis>,
}

/// A primary, its replica, and a Sentinel that fails over within about a second.
pub struct Watched {
    /// The first primary.
    pub primary: Redis,
    /// What takes over.
    pub replica: Redis,
    /// Who decides that.
    pub sentinel: Redis,
}

impl Redis {
    /// Starts a server without a password.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with more arguments. `{directory}` in one of them is the server's own directory.
    pub fn with(arguments: &[&str]) -> Self {
        Self::entered(arguments, &[])
    }

    /// Starts a server that `redis-cli` gets into with the arguments in `entry`.
    pub fn entered(arguments: &[&str], entry: &[&str]) -> Self {
        let directory = new_directory();
        let arguments = arguments.iter().map(|one| one.replace("{directory}", &directory.to_string_lossy()));
        let arguments: Vec<String> = arguments.collect();
        let entry: Vec<String> =
            entry.iter().map(|one| one.replace("{directory}", &directory.to_string_lossy())).collect();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let child = spawn(port, &directory, &arguments);
            let (arguments, entry) = (arguments.clone(), entry.clone());
            let mut redis = Self { child, port, directory: directory.clone(), arguments, entry };
            if redis.is_ready() {
                return redis;
            }
            redis.directory = new_directory();
        }
        panic!("redis-server does not start");
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is, for a node without credentials.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` prints when it sends this command.
    pub fn ask(&self, command: &[&str]) -> String {
        let output = self.cli().args(command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port after [`Redis::kill`].
    pub fn restart(&mut self) {
        self.child = spawn(self.port, &self.directory, &self.arguments);
        assert!(self.is_ready(), "redis-server does not start again");
    }

    /// Lets it hang until [`Redis::resume`].
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`Redis::pause`].
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Waits until a command's answer holds a text.
    pub fn wait_for(&self, command: &[&str], text: &str) {
        wait_until(&format!("{command:?} says {text:?}"), || self.ask(command).contains(text));
    }

    /// Makes it and another one, which other nodes of a cluster reach at the port `bus`, know each other.
    fn meet(&self, other: &Self, bus: u16) {
        self.ask(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), &bus.to_string()]);
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap().success());
    }

    fn cli(&self) -> Command {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p"]).arg(self.port.to_string()).args(&self.entry);
        command.stderr(Stdio::null()).stdin(Stdio::null());
        command
    }

    /// Waits until it answers; false when it has ended instead.
    fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.ask(&["PING"]).contains("PONG") {
                return true;
            }
            sleep(POLL);
        }
        false
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Cluster {
    /// Starts three servers, makes them a cluster and waits until all of them know all of it.
    pub fn start() -> Self {
        Self::of(&[])
    }

    /// The same, but each has everything again when it is restarted.
    pub fn keeping() -> Self {
        Self::of(KEEPING)
    }

    fn of(arguments: &[&str]) -> Self {
        let (nodes, buses): (Vec<Redis>, Vec<u16>) = (0..3).map(|_| cluster_node(arguments)).unzip();
        for (number, node) in (0..).zip(&nodes) {
            let (first, last) = (SLOTS * number / 3, SLOTS * (number + 1) / 3 - 1);
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
            nodes.iter().zip(&buses).for_each(|(other, bus)| node.meet(other, *bus));
        }
        let cluster = Self { nodes, replicas: Vec::new() };
        cluster.agree();
        cluster
    }

    /// The same with a replica of each, which takes over within about three seconds.
    pub fn with_replicas() -> Self {
        let mut cluster = Self::start();
        let (replicas, buses): (Vec<Redis>, Vec<u16>) = (0..3).map(|_| cluster_node(&[])).unzip();
        for primary in &cluster.nodes {
            replicas.iter().zip(&buses).for_each(|(replica, bus)| primary.meet(replica, *bus));
        }
        for (primary, replica) in cluster.nodes.iter().zip(&replicas) {
            let id = primary.ask(&["CLUSTER", "MYID"]);
            wait_until("it follows", || replica.ask(&["CLUSTER", "REPLICATE", &id]) == "OK");
        }
        for replica in &replicas {
            replica.wait_for(&["INFO", "replication"], "master_link_status:up");
        }
        cluster.replicas = replicas;
        cluster.agree();
        cluster
    }

    /// Waits until all know who has which slots, and who follows whom.
    fn agree(&self) {
        let all = || self.nodes.iter().chain(&self.replicas);
        wait_until("the cluster agrees", || {
            all().all(|node| {
                let slots = node.ask(&["CLUSTER", "SLOTS"]);
                node.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                    && all().all(|other| slots.contains(&other.port().to_string()))
            })
        });
    }

    /// Where one of them is; the others are found by it.
    pub fn url(&self) -> String {
        self.nodes[0].url()
    }

    /// Which of the servers has the slot of a channel.
    pub fn owner(&self, channel: &str) -> usize {
        let slot: u32 = self.nodes[0].ask(&["CLUSTER", "KEYSLOT", channel]).parse().unwrap();
        (0..3).find(|number| slot < SLOTS * (number + 1) / 3).unwrap() as usize
    }

    /// Moves the slot of a channel from one server to another, as a resharding does.
    pub fn migrate(&self, channel: &str, from: usize, to: usize) {
        let slot = self.nodes[0].ask(&["CLUSTER", "KEYSLOT", channel]);
        let id = |number: usize| self.nodes[number].ask(&["CLUSTER", "MYID"]);
        let (source, target) = (id(from), id(to));
        self.nodes[to].ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        self.nodes[from].ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
        self.nodes[to].ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
        self.nodes[from].ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
    }
}

impl Watched {
    /// Starts all three and waits until Sentinel knows both servers.
    pub fn start() -> Self {
        let primary = Redis::start();
        let port = primary.port().to_string();
        let replica = Redis::with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]);
        replica.wait_for(&["INFO", "replication"], "master_link_status:up");
        let sentinel = Redis::with(&["{directory}/sentinel.conf", "--sentinel"]);
        sentinel.ask(&["SENTINEL", "MONITOR", "main", "127.0.0.1", &port, "1"]);
        sentinel.ask(&["SENTINEL", "SET", "main", "down-after-milliseconds", "500"]);
        sentinel.ask(&["SENTINEL", "SET", "main", "failover-timeout", "3000"]);
        sentinel.wait_for(&["SENTINEL", "REPLICAS", "main"], &replica.port().to_string());
        Self { primary, replica, sentinel }
    }

    /// Where Sentinel is.
    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/main", self.sentinel.port())
    }
}

fn spawn(port: u16, directory: &PathBuf, arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    // The program of Sentinel is the same, but it wants a file and knows no data.
    let sentinel = arguments.iter().any(|argument| argument == "--sentinel");
    if sentinel {
        fs::write(directory.join("sentinel.conf"), "").unwrap();
        command.args(arguments).args(["--port", &port.to_string()]);
    } else {
        let plain = !arguments.iter().any(|argument| argument == "--tls-port");
        if plain {
            command.args(["--port", &port.to_string()]);
        } else {
            command.args(["--port", "0"]);
        }
        command.args(["--save", "", "--appendonly", "no"]);
        command.args(arguments.iter().map(|argument| argument.replace("{port}", &port.to_string())));
    }
    command.args(["--bind", "127.0.0.1", "--daemonize", "no"]).current_dir(directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A server that may become part of a cluster, and the port at which the others of it reach it.
fn cluster_node(arguments: &[&str]) -> (Redis, u16) {
    let bus = free_port();
    let port = bus.to_string();
    let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", &port];
    (Redis::with(&[&cluster[..], &["--repl-diskless-sync-delay", "0"], arguments].concat()), bus)
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(POLL);
    }
}

fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..1000).map(|_| rand::random_range(PORTS)).find(is_free).unwrap()
}

fn new_directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("hubbub-redis-{}-{number}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    directory
}
