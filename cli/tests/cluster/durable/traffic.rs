//! Numbers that clients and the application publish while nodes are lost, and what subscribers see of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::session::{Heard, Session};
use crate::support::Server;

/// Time between two numbers of one publisher. What gathers for a client until its lost node is known to be gone must fit
/// into its window, together with what others publish.
const PACE: Duration = Duration::from_millis(50);
/// What is sent last, to each target.
const FAREWELL: &str = "farewell";

/// Numbers that were acknowledged, by the name of what published them.
pub(super) type Acknowledged = BTreeMap<String, Vec<u64>>;

/// What publishers are told, and tell.
#[derive(Default)]
pub(super) struct Signals {
    is_over: AtomicBool,
    acknowledged: AtomicU64,
}

/// Those who publish, each as a task.
pub(super) struct Publishers {
    signals: Arc<Signals>,
    tasks: Vec<JoinHandle<Acknowledged>>,
    /// What they publish to, as in the path of a call.
    targets: BTreeSet<String>,
}

/// How a client publishes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Requests that may wait for an answer.
    pub(super) in_flight: usize,
    /// Time between two of them.
    pub(super) pace: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Self { in_flight: 1, pace: PACE }
    }
}

impl Publishers {
    pub(super) fn none() -> Self {
        Self { signals: Arc::default(), tasks: Vec::new(), targets: BTreeSet::new() }
    }

    /// The application sends by REST, to each of these targets in turn, through one node.
    pub(super) fn call(&mut self, node: SocketAddr, targets: Vec<String>) {
        self.targets.extend(targets.iter().cloned());
        self.tasks.push(tokio::spawn(call(Arc::clone(&self.signals), node, targets)));
    }

    /// A client publishes to a group.
    pub(super) fn publish(&mut self, name: &str, session: Session, group: &str, manner: Manner) {
        self.targets.insert(format!("groups/{group}/"));
        let client = Client {
            name: name.to_owned(),
            group: group.to_owned(),
            session,
            manner,
            in_flight: VecDeque::new(),
            acknowledged: Vec::new(),
            signals: Arc::clone(&self.signals),
        };
        self.tasks.push(tokio::spawn(client.run()));
    }

    /// Waits until so many more have been acknowledged, of whomever.
    pub(super) async fn flow(&self, count: u64) {
        let acknowledged = || self.signals.acknowledged.load(Ordering::Relaxed);
        let expected = acknowledged() + count;
        let flow = async {
            while acknowledged() < expected {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), flow).await.expect("publishers go on");
    }

    /// Lets them come to an end, and says so to everybody through this node: to each target, because in a Redis Cluster
    /// what is sent to one may overtake what is sent to another.
    pub(super) async fn finish(self, node: SocketAddr) -> Acknowledged {
        self.signals.is_over.store(true, Ordering::Relaxed);
        let mut all = Acknowledged::new();
        for task in self.tasks {
            let ended = tokio::time::timeout(Duration::from_secs(60), task).await;
            all.extend(ended.expect("a publisher does not come to its end").unwrap());
        }
        for target in self.targets {
            let path = format!("/api/hubs/chat/{target}:send");
            Server::at(node).rest().post(&path).text(FAREWELL).expect(202).await;
        }
        all
    }
}

/// Notes what arrives until the last of so many farewells, one by each target by which the client is reached: the numbers,
/// by what published them.
pub(super) fn subscribe(mut session: Session, farewells: usize) -> JoinHandle<Acknowledged> {
    tokio::spawn(async move {
        let mut seen = Acknowledged::new();
        let mut farewells_left = farewells;
        while farewells_left > 0 {
            let message = session.next_message().await;
            let text = message["data"].as_str().unwrap();
            if text == FAREWELL {
                farewells_left -= 1;
                continue;
            }
            let (name, number) = text.rsplit_once(' ').unwrap();
            seen.entry(name.to_owned()).or_default().push(number.parse().unwrap());
        }
        seen
    })
}

/// All that was acknowledged has been seen, once and in order.
pub(super) fn expect_whole(who: &str, seen: &Acknowledged, acknowledged: &Acknowledged) {
    for (name, numbers) in acknowledged {
        let empty = Vec::new();
        let seen = seen.get(name).unwrap_or(&empty);
        let is_bad = |pair: &&[u64]| pair[0] >= pair[1];
        let bad: Vec<_> = seen.windows(2).filter(is_bad).collect();
        assert!(bad.is_empty(), "{who} sees {name} twice, or not in order: {bad:?}");
        let missing: Vec<_> = numbers.iter().filter(|number| seen.binary_search(number).is_err()).collect();
        assert!(missing.is_empty(), "{who} misses of {name}: {missing:?}");
    }
}

async fn call(signals: Arc<Signals>, node: SocketAddr, targets: Vec<String>) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    let mut ticks = ticks(PACE);
    for number in 0_u64.. {
        ticks.tick().await;
        if signals.is_over.load(Ordering::Relaxed) {
            break;
        }
        let target = &targets[number as usize % targets.len()];
        let path = format!("/api/hubs/chat/{target}:send");
        let name = format!("rest to {target}");
        let reply = Server::at(node).rest().post(&path).text(&format!("{name} {number}")).send().await;
        match reply.status {
            202 => {
                acknowledged.entry(name).or_default().push(number);
                signals.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            status => assert_eq!(status, 503, "{path}"),
        }
    }
    acknowledged
}

/// A client that publishes. Its ack ids are its numbers.
struct Client {
    name: String,
    group: String,
    session: Session,
    manner: Manner,
    in_flight: VecDeque<u64>,
    acknowledged: Vec<u64>,
    signals: Arc<Signals>,
}

impl Client {
    async fn run(mut self) -> Acknowledged {
        let mut ticks = ticks(self.manner.pace);
        let mut last = 0;
        loop {
            let is_over = self.signals.is_over.load(Ordering::Relaxed);
            if is_over && self.in_flight.is_empty() {
                return Acknowledged::from([(self.name, self.acknowledged)]);
            }
            let may_publish = !is_over && self.in_flight.len() < self.manner.in_flight;
            let heard = tokio::select! {
                heard = self.session.hear() => heard,
                _ = ticks.tick(), if may_publish => {
                    last += 1;
                    self.in_flight.push_back(last);
                    self.say(last).await;
                    continue;
                }
                () = tokio::time::sleep(PACE), if !is_over => continue,
            };
            match heard {
                Heard::Ack(number, true) => {
                    if self.in_flight.contains(&number) {
                        self.in_flight.retain(|waiting| *waiting != number);
                        self.acknowledged.push(number);
                        self.signals.acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // It cannot be known what became of it.
                Heard::Ack(number, false) => self.say(number).await,
                Heard::Lost => {
                    self.session.come_back().await;
                    for number in self.in_flight.clone() {
                        self.say(number).await;
                    }
                }
                Heard::Message(_) | Heard::Nothing => {}
            }
        }
    }

    async fn say(&mut self, number: u64) {
        let data = format!("{} {number}", self.name);
        let message = json!({
            "type": "sendToGroup", "group": self.group, "ackId": number, "dataType": "text", "data": data,
        });
        self.session.send(&message).await;
    }
}

fn ticks(pace: Duration) -> tokio::time::Interval {
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
