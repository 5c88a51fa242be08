//! Where a run takes place: brokers behind relays, Redis, and the hand that lets faults happen to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::harness::{Broker, Redis, eventually};
use crate::record::{Incident, Run, Told, Trouble};
use crate::relay::Relay;
use crate::schedule::{Fault, Schedule};
use crate::support::PRIMARY_KEY;
use crate::world::{Door, HUB, World};

/// Time between two looks at what is due.
const LOOK: Duration = Duration::from_millis(10);
/// Longest wait for a broker that may not be able to say whether it is ready. Faults begin and end late by it.
const GLANCE: Duration = Duration::from_millis(100);
/// By how much at most a fault may begin or end late without a word.
const LATE: Duration = Duration::from_millis(500);
/// Time between two looks at the metrics of the brokers: what a killed one had counted is known up to then.
const COUNT: Duration = Duration::from_millis(1000);
/// How long whoever runs brokers waits before it starts one again that could not start.
const AGAIN: Duration = Duration::from_millis(500);
/// Longest time after the last fault until all is well again.
const RECOVERY: Duration = Duration::from_secs(60);
/// What a broker counts when messages of another one are lost for good.
const LOST: &str = "hubbub_backplane_gap_total{outcome=\"lost\"}";
/// What it logs then.
const GAP: &str = "messages of a node are lost for good";

/// See the module.
pub(crate) struct Stage {
    world: Arc<World>,
    nodes: Vec<Node>,
    redis: Redis,
    /// What every broker is told beside what tells it from others.
    flags: Vec<String>,
    /// The relays carry until this is dropped.
    _network: oneshot::Sender<()>,
    due: Vec<(Duration, Step)>,
    incidents: Vec<Incident>,
    evidence: Evidence,
    next_count: Duration,
}

/// What brokers have said and counted, of all lives.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) ends: BTreeMap<String, Vec<Told>>,
    pub(crate) gaps: BTreeMap<Run, f64>,
    pub(crate) logs: Vec<(Run, String)>,
}

struct Node {
    relay: Relay,
    broker: Option<Broker>,
    life: usize,
    is_paused: bool,
    /// Whether its broker has been ready. One that has not may end by itself: it cannot start without Redis.
    was_ready: bool,
}

/// What a look at a broker shows.
enum Look {
    Ready,
    /// It has ended, for there was no Redis.
    CouldNotStart,
    NotNow,
}

/// What is to be done at some time.
#[derive(Debug, Clone, Copy)]
enum Step {
    Begin(Fault),
    /// Start the broker of a node; the incident is over then.
    Start {
        node: usize,
        incident: usize,
    },
    /// See whether the broker of a node has ended, and start it again some time later.
    AwaitEnd {
        node: usize,
        incident: usize,
        down: Duration,
    },
    /// See whether the broker of a node is ready; it is started again if it could not start.
    AwaitReady {
        node: usize,
        incident: usize,
    },
    Resume {
        node: usize,
        incident: usize,
    },
    Heal {
        node: usize,
        incident: usize,
    },
    StartRedis {
        incident: usize,
    },
    ResumeRedis {
        incident: usize,
    },
}

impl Stage {
    /// Starts Redis and the brokers. For a durable hub Redis keeps what it has.
    pub(crate) fn start(world: Arc<World>, nodes: usize, durable: bool) -> Self {
        let network = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut flags = vec!["--access-key".to_owned(), PRIMARY_KEY.to_owned()];
        flags.extend(["--reconnect-window".to_owned(), format!("{}s", world.window.as_secs())]);
        let redis = if durable { Redis::keeping() } else { Redis::start() };
        if durable {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos-durable.yaml");
            fs::write(&file, format!("hubs:\n  {HUB}:\n    durable: true\n")).unwrap();
            flags.extend(["--hubs".to_owned(), file.display().to_string()]);
        }
        let nodes = (0..nodes).map(|_| {
            let relay = network.block_on(Relay::start(redis.address()));
            Node { relay, broker: None, life: 0, is_paused: false, was_ready: false }
        });
        let nodes = nodes.collect();
        let (network_ends, end) = oneshot::channel::<()>();
        thread::spawn(move || network.block_on(end));
        let mut stage = Self {
            world,
            nodes,
            redis,
            flags,
            _network: network_ends,
            due: Vec::new(),
            incidents: Vec::new(),
            evidence: Evidence::default(),
            next_count: Duration::ZERO,
        };
        for node in 0..stage.nodes.len() {
            stage.open(node);
        }
        stage.expect_ready();
        (0..stage.nodes.len()).for_each(|node| stage.welcome(node));
        stage
    }

    /// Lets all faults of a schedule happen, beginning now, and returns when the last one is over.
    ///
    /// # Panics
    /// When a broker does not recover from them.
    pub(crate) fn play(&mut self, schedule: &Schedule) {
        let beginning = self.world.now();
        let begin = |planned: &crate::schedule::Planned| (beginning + planned.at, Step::Begin(planned.fault));
        self.due.extend(schedule.faults.iter().map(begin));
        let end = beginning + schedule.length;
        while !self.due.is_empty() || self.world.now() < end {
            let now = self.world.now();
            let is_due = |(at, _): &(Duration, Step)| *at <= now;
            let mut due: Vec<(Duration, Step)> = self.due.extract_if(.., |step| is_due(step)).collect();
            due.sort_by_key(|(at, _)| *at);
            for (at, step) in due {
                let late = self.world.now() - at;
                if late > LATE {
                    println!("  {:>8.3} s  {late:?} late: {step:?}", (at - beginning).as_secs_f64());
                }
                self.step(step);
            }
            self.count();
            assert!(self.world.now() < end + RECOVERY, "not over after {RECOVERY:?}: {:?}", self.due);
            thread::sleep(LOOK);
        }
    }

    /// Waits until all brokers are ready.
    pub(crate) fn expect_ready(&mut self) {
        for node in &self.nodes {
            let broker = node.broker.as_ref().expect("all faults are over");
            eventually("a ready broker", || broker.is_ready().then_some(()));
        }
    }

    /// Ends all brokers. Gives what happened and what they said.
    pub(crate) fn close(mut self) -> (Vec<Incident>, Evidence) {
        self.next_count = Duration::ZERO;
        self.count();
        for node in 0..self.nodes.len() {
            self.bury(node);
        }
        (self.incidents, self.evidence)
    }

    fn step(&mut self, step: Step) {
        let now = self.world.now();
        match step {
            Step::Begin(fault) => self.begin(fault),
            Step::Start { node, incident } => {
                self.open(node);
                self.due.push((now, Step::AwaitReady { node, incident }));
            }
            Step::AwaitEnd { node, incident, down } => {
                let broker = self.nodes[node].broker.as_mut().expect("it is told to stop, not gone");
                if broker.has_ended() {
                    self.bury(node);
                    if let Trouble::Stopped(_, at) = &mut self.incidents[incident].trouble {
                        *at = now;
                    }
                    self.due.push((now + down, Step::Start { node, incident }));
                } else {
                    self.due.push((now, step));
                }
            }
            Step::AwaitReady { node, incident } => match self.look(node) {
                Look::Ready => {
                    self.incidents[incident].until = now;
                    self.welcome(node);
                }
                Look::CouldNotStart => {
                    self.bury(node);
                    self.due.push((now + AGAIN, Step::Start { node, incident }));
                }
                Look::NotNow => self.due.push((now + 10 * LOOK, step)),
            },
            Step::Resume { node, incident } => {
                self.nodes[node].is_paused = false;
                self.nodes[node].broker.as_ref().expect("it stands still").resume();
                self.due.push((now, Step::AwaitReady { node, incident }));
            }
            Step::Heal { node, incident } => {
                self.nodes[node].relay.heal();
                self.due.push((now, Step::AwaitReady { node, incident }));
            }
            Step::StartRedis { incident } => {
                self.redis.restart();
                self.await_all(incident);
            }
            Step::ResumeRedis { incident } => {
                self.redis.resume();
                self.await_all(incident);
            }
        }
    }

    /// Nodes that are there and not busy otherwise are to be ready before an incident of Redis is over.
    fn await_all(&mut self, incident: usize) {
        let now = self.world.now();
        self.incidents[incident].until = now;
        for node in 0..self.nodes.len() {
            if self.nodes[node].broker.is_some() && !self.nodes[node].is_paused {
                self.due.push((now, Step::AwaitReady { node, incident }));
            }
        }
    }

    fn begin(&mut self, fault: Fault) {
        let now = self.world.now();
        if let Some(node) = fault.node() {
            // It takes longer to come back than the schedule gives it, on a busy machine.
            if !self.is_well(node) {
                println!("  {:>8.3} s  not possible now: {fault}", now.as_secs_f64());
                return;
            }
        }
        let run = |node: usize, nodes: &[Node]| Run { node, life: nodes[node].life };
        let incident = self.incidents.len();
        let mut begun = |trouble| self.incidents.push(Incident { from: now, until: Duration::MAX, trouble });
        match fault {
            Fault::Kill { node, down } => {
                begun(Trouble::Killed(run(node, &self.nodes)));
                self.world.set_door(node, None);
                self.nodes[node].broker.as_mut().expect("it is well").kill();
                self.bury(node);
                self.due.push((now + down, Step::Start { node, incident }));
            }
            Fault::Stop { node, down } => {
                begun(Trouble::Stopped(run(node, &self.nodes), now));
                self.world.set_door(node, None);
                self.nodes[node].broker.as_ref().expect("it is well").terminate();
                self.due.push((now, Step::AwaitEnd { node, incident, down }));
            }
            Fault::Pause { node, lasts } => {
                begun(Trouble::Paused(run(node, &self.nodes)));
                self.nodes[node].is_paused = true;
                self.nodes[node].broker.as_ref().expect("it is well").pause();
                self.due.push((now + lasts, Step::Resume { node, incident }));
            }
            Fault::Cut { node, way, lasts } => {
                begun(Trouble::Cut(run(node, &self.nodes)));
                self.nodes[node].relay.cut(way);
                self.due.push((now + lasts, Step::Heal { node, incident }));
            }
            Fault::RedisKill { down } => {
                begun(Trouble::Redis);
                self.redis.kill();
                self.due.push((now + down, Step::StartRedis { incident }));
            }
            Fault::RedisPause { lasts } => {
                begun(Trouble::Redis);
                self.redis.pause();
                self.due.push((now + lasts, Step::ResumeRedis { incident }));
            }
            Fault::Drop { percent } => self.world.order(|orders| {
                orders.drops += 1;
                orders.percent = percent;
            }),
        }
    }

    fn look(&mut self, node: usize) -> Look {
        let node = &mut self.nodes[node];
        match &mut node.broker {
            Some(_) if node.is_paused => Look::NotNow,
            Some(broker) => match (broker.has_ended(), broker.is_ready_within(GLANCE)) {
                // One that has been ready was told to stop, and is awaited.
                (true, _) if node.was_ready => Look::NotNow,
                (true, _) => Look::CouldNotStart,
                (false, true) => Look::Ready,
                (false, false) => Look::NotNow,
            },
            None => Look::NotNow,
        }
    }

    /// A broker is ready, so clients may come.
    fn welcome(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        if let Some(broker) = &node.broker
            && !std::mem::replace(&mut node.was_ready, true)
        {
            let run = Run { node: number, life: node.life };
            self.world.set_door(number, Some(Door { run, address: broker.address() }));
        }
    }

    /// Whether nothing is wrong with a node that was not wrong with Redis.
    fn is_well(&self, node: usize) -> bool {
        let is_open = |incident: &&Incident| incident.until == Duration::MAX;
        let mut open = self.incidents.iter().filter(is_open).filter_map(|incident| incident.trouble.run());
        self.nodes[node].broker.is_some() && open.all(|run| run.node != node)
    }

    fn open(&mut self, node: usize) {
        let url = format!("redis://{}", self.nodes[node].relay.address());
        let id = format!("n{}", node + 1);
        let flags = self.flags.iter().map(String::as_str);
        let flags: Vec<&str> = flags.chain(["--redis", &url, "--node-id", &id]).collect();
        let broker = Broker::launch(&flags);
        let node = &mut self.nodes[node];
        node.life += 1;
        node.was_ready = false;
        node.broker = Some(broker);
    }

    /// A broker has ended, or is ended now: what it has said is kept.
    fn bury(&mut self, node: usize) {
        let Node { broker, life, .. } = &mut self.nodes[node];
        let Some(mut broker) = broker.take() else {
            return;
        };
        self.world.set_door(node, None);
        broker.kill();
        let run = Run { node, life: *life };
        let log = broker.log();
        for line in log.lines() {
            let Ok(entry) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if entry["message"] == GAP {
                // It may have counted that since it was last looked at.
                let lost = self.evidence.gaps.entry(run).or_default();
                *lost = lost.max(1.0);
            }
            if entry["message"] == "connection ended" {
                let field = |name: &str| entry[name].as_str().unwrap().to_owned();
                let at = self.world.time_of(&field("timestamp"));
                let told = Told { run, at, category: field("category") };
                self.evidence.ends.entry(field("connection")).or_default().push(told);
            }
        }
        self.evidence.logs.push((run, log));
    }

    /// Looks at what the brokers have counted.
    fn count(&mut self) {
        let now = self.world.now();
        if now < self.next_count {
            return;
        }
        self.next_count = now + COUNT;
        let nodes = self.nodes.iter_mut().enumerate();
        for (number, node) in nodes.filter(|(_, node)| node.was_ready && !node.is_paused) {
            if let Some(broker) = &mut node.broker {
                let is_told = !self.world.has_door(number);
                assert!(
                    is_told || !broker.has_ended(),
                    "n{} has ended by itself:\n{}",
                    number + 1,
                    broker.log()
                );
                let lost = self.evidence.gaps.entry(Run { node: number, life: node.life }).or_default();
                *lost = lost.max(broker.metric(LOST));
            }
        }
    }
}

impl Evidence {
    /// Writes the logs of all brokers into a folder.
    pub(crate) fn write_logs(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for (run, log) in &self.logs {
            fs::write(folder.join(format!("{run}.log")), log).unwrap();
        }
    }
}
