//! Numbers that a client of node 1 publishes to a group, one after another and each with an ack, and what members on
//! other nodes see of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{publish, server};
use crate::harness::{Cluster, DEADLINE, eventually};
use crate::support::{Client, ClientSpec, JSON_RELIABLE, Received, Server};

/// Time between two numbers, unless an ack takes longer. What gathers in some seconds and then comes at once must fit into
/// the window of a reliable member.
const PACE: Duration = Duration::from_millis(10);
/// What is published last.
const FAREWELL: &str = "farewell";
/// Messages after which a reliable member acknowledges.
const ACKNOWLEDGED_AFTER: u64 = 20;
/// Numbers that must arrive for the traffic to count as flowing.
const FLOWING: u64 = 30;

/// How a member is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Reliable,
}

/// See the module. It runs on a thread of its own, so that a test may wait for processes meanwhile.
pub(super) struct Traffic {
    progress: Arc<Progress>,
    thread: JoinHandle<(Vec<u64>, Vec<Seen>)>,
}

#[derive(Default)]
struct Progress {
    is_over: AtomicBool,
    published: AtomicU64,
    /// By member; all of it for one whose session has ended.
    seen: Vec<AtomicU64>,
}

/// What a member has seen.
#[derive(Debug)]
struct Seen {
    kind: Kind,
    node: usize,
    numbers: Vec<u64>,
    /// How its socket ended, if it did before the farewell.
    end: Option<Received>,
}

impl Traffic {
    /// Lets members connect to these nodes, and the numbers begin.
    pub(super) fn start(cluster: &Cluster, members: &[(Kind, usize)]) -> Self {
        let seen = members.iter().map(|_| AtomicU64::new(0)).collect();
        let progress = Arc::new(Progress { seen, ..Progress::default() });
        let first = server(cluster, 1);
        let seats: Vec<_> =
            members.iter().map(|&(kind, node)| (Seen::new(kind, node), server(cluster, node))).collect();
        let flowing = Arc::clone(&progress);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(flowing, &first, seats))
        });
        let traffic = Self { progress, thread };
        traffic.flows();
        traffic
    }

    /// Waits until every member has seen numbers that were published after this call, unless its session has ended.
    pub(super) fn flows(&self) {
        let expected = self.progress.published.load(Ordering::Relaxed) + FLOWING;
        let has_seen = |seen: &AtomicU64| seen.load(Ordering::Relaxed) >= expected;
        eventually("new numbers at every member", || self.progress.seen.iter().all(has_seen).then_some(()));
    }

    /// Waits until more has been published and acknowledged, whoever sees it.
    pub(super) fn goes_on(&self) {
        let published = || self.progress.published.load(Ordering::Relaxed);
        let expected = published() + FLOWING;
        eventually("new numbers", || (published() >= expected).then_some(()));
    }

    /// Ends the traffic. Every member must have seen each number that was acknowledged to its publisher, once and in
    /// order, on the socket that it has had from the start.
    pub(super) fn expect_whole(self) {
        self.progress.is_over.store(true, Ordering::Relaxed);
        let (acknowledged, members) = self.thread.join().unwrap();
        members.iter().for_each(|seen| seen.expect_whole(&acknowledged));
    }
}

/// Lets all come, publishes until it is over, and waits until all have seen the end.
async fn run(progress: Arc<Progress>, first: &Server, seats: Vec<(Seen, Server)>) -> (Vec<u64>, Vec<Seen>) {
    let mut members = Vec::new();
    for (index, (seen, server)) in seats.into_iter().enumerate() {
        let spec = match seen.kind {
            Kind::Plain => ClientSpec::json(),
            Kind::Reliable => ClientSpec::simple().offer(JSON_RELIABLE),
        };
        let client = server.connect("chat", spec.group("room")).await;
        members.push(tokio::spawn(seen.watch(client, Arc::clone(&progress), index)));
    }
    let publisher = first.connect("chat", ClientSpec::member()).await;
    let acknowledged = publish_numbers(publisher, progress).await;
    let mut all = Vec::new();
    for member in members {
        all.push(timeout(DEADLINE, member).await.expect("the farewell has not come").unwrap());
    }
    (acknowledged, all)
}

impl Seen {
    fn new(kind: Kind, node: usize) -> Self {
        Self { kind, node, numbers: Vec::new(), end: None }
    }

    /// All that was acknowledged is here, once and in order, up to the farewell.
    fn expect_whole(&self, acknowledged: &[u64]) {
        let Self { kind, node, numbers, end } = self;
        assert!(numbers.is_sorted_by(|one, next| one < next), "{kind:?} on {node}: {numbers:?}");
        let is_missing = |number: &&u64| numbers.binary_search(number).is_err();
        let missing: Vec<&u64> = acknowledged.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{kind:?} on {node} misses {missing:?}");
        assert_eq!(*end, None, "{kind:?} on {node}");
    }

    async fn watch(mut self, mut client: Client, progress: Arc<Progress>, index: usize) -> Self {
        loop {
            let message: Value = match client.next_unhurried().await {
                Received::Text(text) => serde_json::from_str(&text).unwrap(),
                end => {
                    self.end = Some(end);
                    progress.seen[index].store(u64::MAX, Ordering::Relaxed);
                    return self;
                }
            };
            if message["type"] == "system" {
                continue;
            }
            if message["data"] == FAREWELL {
                return self;
            }
            let number = message["data"].as_str().unwrap().parse().unwrap();
            self.numbers.push(number);
            progress.seen[index].store(number, Ordering::Relaxed);
            if let Some(sequence_id) = message["sequenceId"].as_u64()
                && sequence_id % ACKNOWLEDGED_AFTER == 0
            {
                client.send_json(json!({"type": "sequenceAck", "sequenceId": sequence_id})).await;
            }
        }
    }
}

/// Publishes until it is over, and then the farewell. Gives the numbers that were acknowledged. One that was refused is
/// not repeated: members may or may not see it.
async fn publish_numbers(mut client: Client, progress: Arc<Progress>) -> Vec<u64> {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut acknowledged = Vec::new();
    for number in 1.. {
        ticks.tick().await;
        if progress.is_over.load(Ordering::Relaxed) {
            break;
        }
        let ack = publish(&mut client, "room", &number.to_string()).await;
        if ack["success"] == true {
            acknowledged.push(number);
        } else {
            assert_eq!(ack["error"]["name"], "InternalServerError", "{ack}");
        }
        progress.published.store(number, Ordering::Relaxed);
    }
    let farewell = publish(&mut client, "room", FAREWELL).await;
    assert_eq!(farewell["success"], true, "{farewell}");
    acknowledged
}
