//! What all actors of a run share: the clock, the doors of the brokers that are there, orders, and a pulse.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::watch;

use crate::record::Run;
use crate::support::Token;

/// The hub of all clients.
pub(crate) const HUB: &str = "chat";

/// Seconds.
const DAY: f64 = 86_400.0;

/// See the module.
pub(crate) struct World {
    pub(crate) seed: u64,
    /// How long sessions are kept, and their clients try to come back.
    pub(crate) window: Duration,
    beginning: Instant,
    /// The same by the clock that logs use.
    beginning_by_clock: SystemTime,
    doors: Mutex<Vec<Option<Door>>>,
    tokens: Mutex<HashMap<String, String>>,
    pub(crate) orders: watch::Sender<Orders>,
    pub(crate) pulse: Pulse,
}

/// A broker that clients may go to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    pub(crate) run: Run,
    pub(crate) address: SocketAddr,
}

/// What actors are to do.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Orders {
    /// Publishers publish.
    pub(crate) publish: bool,
    /// All go home.
    pub(crate) finish: bool,
    /// How often sockets were to be dropped.
    pub(crate) drops: u32,
    /// Of how many of a hundred clients, the last time.
    pub(crate) percent: u32,
}

/// What the run can see of its actors while they are at work.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Clients that are connected, and members of all of their groups.
    pub(crate) present: AtomicUsize,
    /// Messages that arrived.
    pub(crate) received: AtomicUsize,
    /// Publishers that have nothing more to publish, and no answer to wait for.
    pub(crate) done: AtomicUsize,
}

impl World {
    pub(crate) fn new(seed: u64, nodes: usize, window: Duration) -> Self {
        Self {
            seed,
            window,
            beginning: Instant::now(),
            beginning_by_clock: SystemTime::now(),
            doors: Mutex::new(vec![None; nodes]),
            tokens: Mutex::default(),
            orders: watch::Sender::new(Orders::default()),
            pulse: Pulse::default(),
        }
    }

    /// Time since the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.beginning.elapsed()
    }

    /// When a broker wrote a line of its log with this time of day, `2026-01-31T12:34:56.789Z`. A run is shorter than a day.
    pub(crate) fn time_of(&self, timestamp: &str) -> Duration {
        let (_, time) = timestamp.trim_end_matches('Z').split_once('T').expect("a date and a time");
        let of_day = time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap());
        let beginning = self.beginning_by_clock.duration_since(UNIX_EPOCH).unwrap().as_secs_f64() % DAY;
        Duration::from_secs_f64((of_day - beginning).rem_euclid(DAY))
    }

    /// A broker that is there now, any of them. One that stands still or is cut off is there.
    pub(crate) fn any_door(&self, random: &mut StdRng) -> Option<Door> {
        let doors = self.doors.lock().unwrap();
        let open: Vec<Door> = doors.iter().flatten().copied().collect();
        let choice: u32 = random.random();
        open.get(choice as usize % open.len().max(1)).copied()
    }

    /// Whether clients may go to this node.
    pub(crate) fn has_door(&self, node: usize) -> bool {
        self.doors.lock().unwrap()[node].is_some()
    }

    /// A node has a broker now, or none.
    pub(crate) fn set_door(&self, node: usize, door: Option<Door>) {
        self.doors.lock().unwrap()[node] = door;
    }

    /// Path and query by which a client connects for the first time.
    pub(crate) fn client_path(&self, door: Door) -> String {
        let audience = format!("http://{}/client/hubs/{HUB}", door.address);
        let roles = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"];
        let token = self.token(&audience, |token| token.roles(roles));
        format!("/client/hubs/{HUB}?access_token={token}")
    }

    /// Path of a call that sends to a group, and its token.
    pub(crate) fn send_call(&self, door: Door, group: &str) -> (String, String) {
        let path = format!("/api/hubs/{HUB}/groups/{group}/:send?api-version=2024-12-01");
        let token = self.token(&format!("http://{}{path}", door.address), |token| token);
        (path, token)
    }

    fn token(&self, audience: &str, finish: impl Fn(Token) -> Token) -> String {
        let make = || finish(Token::for_audience(audience)).sign();
        self.tokens.lock().unwrap().entry(audience.to_owned()).or_insert_with(make).clone()
    }

    /// Changes the orders.
    pub(crate) fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.orders.send_modify(change);
    }
}

impl Pulse {
    pub(crate) fn present(&self) -> usize {
        self.present.load(Ordering::Relaxed)
    }

    pub(crate) fn received(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }
}

/// The name of a group.
pub(crate) fn group_name(group: usize) -> String {
    format!("group-{group}")
}
