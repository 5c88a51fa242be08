//! A client's way to the brokers: it connects to any of them, and comes back to any when it has lost its socket, as the
//! SDKs do. What it does there is the business of members and publishers.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::dialect::{Dialect, Said};
use crate::record::{End, Kind, Run, Stay};
use crate::socket::{Heard, Socket};
use crate::world::{Door, HUB, Orders, World};

/// How long it waits for the first thing over a new socket.
const GREETING: Duration = Duration::from_secs(5);
/// Milliseconds between two attempts, at first and at most.
const BACKOFF: [u64; 2] = [50, 1000];
/// How often a client looks after what it does now and then.
const ROUND: Duration = Duration::from_secs(1);
/// The close code by which a client is told that there is no way back.
const NO_WAY_BACK: u16 = 1008;

/// See the module.
pub(crate) struct Line {
    pub(crate) world: Arc<World>,
    pub(crate) kind: Kind,
    pub(crate) dialect: Dialect,
    random: StdRng,
    orders: watch::Receiver<Orders>,
    drops: u32,
    socket: Option<(Socket, Door)>,
    token: Option<String>,
    /// The latest number in the connection, and the latest that was acknowledged.
    sequence: [u64; 2],
    stay: Stay,
    next_round: Instant,
    /// What came first over a new socket of the session.
    early: Option<Heard>,
}

/// What happens to a client that has a socket.
#[derive(Debug)]
pub(crate) enum Happening {
    Heard(Heard),
    /// The socket is gone, and the session may go on.
    Lost,
    /// There is a new socket for the same session. Whatever was not answered may be said again.
    Back,
    /// The session is over.
    Over(End),
    /// A second has passed.
    Round,
    /// Orders have changed.
    Orders(Orders),
}

impl Line {
    /// A client without a connection. `id` makes its choices differ from those of others.
    pub(crate) fn new(world: Arc<World>, kind: Kind, id: u64) -> Self {
        let orders = world.orders.subscribe();
        let random = StdRng::seed_from_u64(world.seed.wrapping_mul(1_000_003).wrapping_add(id));
        Self {
            world,
            kind,
            dialect: Dialect::of(kind, id),
            random,
            orders,
            drops: 0,
            socket: None,
            token: None,
            sequence: [0; 2],
            stay: Stay::none(),
            next_round: Instant::now(),
            early: None,
        }
    }

    /// Begins a new session. Says whether it has; it has not when all go home.
    pub(crate) async fn begin(&mut self) -> bool {
        let mut wait = BACKOFF[0];
        loop {
            if self.orders.borrow_and_update().finish {
                return false;
            }
            if let Some(door) = self.world.any_door(&mut self.random) {
                let path = self.world.client_path(door);
                if let Some(mut socket) = Socket::open(door, &path, (self.kind, self.dialect)).await
                    && let Ok(Heard::Connected { connection, token }) = timeout(GREETING, socket.hear()).await
                {
                    let now = self.world.now();
                    self.stay = Stay { connection, ..Stay::none() };
                    self.stay.sockets.push((door.run, now));
                    self.socket = Some((socket, door));
                    self.token = token;
                    self.sequence = [0; 2];
                    self.next_round = Instant::now() + ROUND;
                    self.drops = self.orders.borrow().drops;
                    return true;
                }
            }
            self.pause(&mut wait).await;
        }
    }

    /// Whether it has a socket.
    pub(crate) fn is_up(&self) -> bool {
        self.socket.is_some()
    }

    /// What happens next. While the client is up, nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Happening {
        if let Some(heard) = self.early.take() {
            return Happening::Heard(heard);
        }
        let Some((socket, _)) = &mut self.socket else {
            return self.come_back().await;
        };
        tokio::select! {
            heard = socket.hear() => match heard {
                Heard::Closed(NO_WAY_BACK) => self.over(End::Refused),
                Heard::Closed(_) | Heard::Ended => {
                    self.socket = None;
                    self.lost()
                }
                heard => Happening::Heard(heard),
            },
            () = sleep_until(self.next_round) => {
                self.next_round = Instant::now() + ROUND;
                self.acknowledge().await;
                Happening::Round
            }
            Ok(()) = self.orders.changed() => {
                let orders = *self.orders.borrow_and_update();
                if self.is_to_be_dropped(orders) && let Some((socket, _)) = self.socket.take() {
                    socket.drop_as(self.random.random());
                    return self.lost();
                }
                Happening::Orders(orders)
            }
        }
    }

    /// Sends a message, if there is a socket.
    pub(crate) async fn say(&mut self, said: Said) {
        if let Some((socket, _)) = &mut self.socket {
            socket.say(said).await;
        }
    }

    /// Where it has its socket, or had its last one.
    pub(crate) fn node(&self) -> Run {
        self.stay.sockets.last().map_or(Run { node: 0, life: 0 }, |(run, _)| *run)
    }

    /// What is known of the session so far.
    pub(crate) fn stay(&mut self) -> &mut Stay {
        &mut self.stay
    }

    /// Whether a message with this number in the connection is new. It is acknowledged within a second, or at once if
    /// many are not.
    pub(crate) async fn is_new(&mut self, sequence: Option<u64>) -> bool {
        let Some(sequence) = sequence else {
            return true;
        };
        if sequence <= self.sequence[0] {
            self.stay.repeats += 1;
            return false;
        }
        self.sequence[0] = sequence;
        if sequence >= self.sequence[1] + 300 {
            self.acknowledge().await;
        }
        true
    }

    /// Takes leave, and gives what was seen. Whoever finishes tells the broker.
    pub(crate) async fn end(&mut self, end: End) -> Stay {
        let mut stay = std::mem::replace(&mut self.stay, Stay::none());
        stay.end = end;
        stay.ended = self.world.now();
        if let Some((socket, _)) = self.socket.take() {
            socket.leave().await;
        }
        stay
    }

    async fn acknowledge(&mut self) {
        let [latest, acknowledged] = self.sequence;
        if latest > acknowledged {
            self.sequence[1] = latest;
            self.say(Said::SequenceAck(latest)).await;
        }
    }

    fn is_to_be_dropped(&mut self, orders: Orders) -> bool {
        if orders.drops == self.drops {
            return false;
        }
        self.drops = orders.drops;
        self.random.random_range(0..100) < orders.percent
    }

    /// The socket is gone.
    fn lost(&mut self) -> Happening {
        match self.kind {
            Kind::Plain => self.over(End::Lost),
            Kind::Reliable => Happening::Lost,
        }
    }

    fn over(&mut self, end: End) -> Happening {
        self.socket = None;
        Happening::Over(end)
    }

    /// Tries to get a new socket for the session, at any broker that is there.
    async fn come_back(&mut self) -> Happening {
        let end = Instant::now() + self.world.window;
        let mut wait = BACKOFF[0];
        let path = format!(
            "/client/hubs/{HUB}?awps_connection_id={}&awps_reconnection_token={}",
            self.stay.connection,
            self.token.as_deref().unwrap_or_default()
        );
        while Instant::now() < end {
            if self.orders.borrow_and_update().finish {
                return Happening::Over(End::Missing);
            }
            self.drops = self.orders.borrow().drops;
            if let Some(door) = self.world.any_door(&mut self.random) {
                self.stay.asked.push(door.run);
                if let Some(socket) = Socket::open(door, &path, (self.kind, self.dialect)).await
                    && let Some(happening) = self.welcome(socket, door).await
                {
                    return happening;
                }
            }
            self.pause(&mut wait).await;
        }
        self.over(End::GaveUp)
    }

    /// A broker has taken the client in, or tells it in a moment that it cannot. Nothing if the socket has ended again.
    async fn welcome(&mut self, mut socket: Socket, door: Door) -> Option<Happening> {
        // Something that is answered at once shows that the session goes on.
        socket.say(Said::Ping).await;
        let first = timeout(GREETING, socket.hear()).await;
        match first {
            Ok(Heard::Closed(NO_WAY_BACK)) => return Some(self.over(End::Refused)),
            Ok(Heard::Closed(_) | Heard::Ended) | Err(_) => return None,
            Ok(heard) => self.early = Some(heard),
        }
        let elsewhere = usize::from(self.node().node != door.run.node);
        self.stay.recoveries[elsewhere] += 1;
        self.stay.sockets.push((door.run, self.world.now()));
        self.stay.asked.clear();
        self.socket = Some((socket, door));
        self.next_round = Instant::now() + ROUND;
        Some(Happening::Back)
    }

    async fn pause(&mut self, wait: &mut u64) {
        let jitter = self.random.random_range(0..=*wait / 2);
        sleep(Duration::from_millis(*wait + jitter)).await;
        *wait = (*wait * 2).min(BACKOFF[1]);
    }
}

impl Stay {
    fn none() -> Self {
        Self {
            connection: String::new(),
            joined: Vec::new(),
            received: Vec::new(),
            sockets: Vec::new(),
            asked: Vec::new(),
            recoveries: [0; 2],
            repeats: 0,
            end: End::Missing,
            ended: Duration::ZERO,
        }
    }
}
