//! Those who publish: reliable clients, which repeat under the same ack id what was not answered before they lost their
//! socket, and callers of the REST API.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::dialect::Said;
use crate::line::{Happening, Line};
use crate::record::{End, Kind, Publication, Publisher, PublisherKind};
use crate::socket::{Heard, Outcome, Tag};
use crate::world::{World, group_name};

/// Most messages of a client that wait for their acks.
const IN_FLIGHT: usize = 100;
/// Longest wait for the answer to a call. A broker answers within five seconds, unless it stands still.
const PATIENCE: Duration = Duration::from_secs(8);

/// What somebody publishes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    /// Its number among all who publish.
    pub(crate) number: u32,
    pub(crate) group: usize,
    /// Time between two messages.
    pub(crate) pace: Duration,
}

/// A reliable client that publishes.
pub(crate) struct Client {
    line: Line,
    task: Task,
    messages: Vec<Publication>,
    /// Numbers of messages that wait for their acks; they are the ack ids too.
    in_flight: VecDeque<u32>,
    session: u32,
}

impl Client {
    /// A client that is not there yet. `id` tells it from all others.
    pub(crate) fn new(world: Arc<World>, id: u64, task: Task) -> Self {
        let line = Line::new(world, Kind::Reliable, id);
        Self { line, task, messages: Vec::new(), in_flight: VecDeque::new(), session: 0 }
    }

    /// Publishes while it is ordered to, until all go home.
    pub(crate) async fn run(mut self) -> Publisher {
        let mut stays = Vec::new();
        let mut ticks = ticks(self.task.pace);
        let mut is_done = false;
        while self.line.begin().await {
            self.session += 1;
            // Nobody knows what became of these, and the new session has no memory of them.
            self.in_flight.clear();
            let end = self.session(&mut ticks, &mut is_done).await;
            let is_over = matches!(end, End::Finished | End::Missing);
            stays.push(self.line.end(end).await);
            if is_over {
                break;
            }
        }
        Publisher { group: self.task.group, kind: PublisherKind::Client, messages: self.messages, stays }
    }

    async fn session(&mut self, ticks: &mut Interval, is_done: &mut bool) -> End {
        loop {
            let orders = *self.line.world.orders.borrow();
            let may_publish = orders.publish && self.line.is_up() && self.in_flight.len() < IN_FLIGHT;
            if !orders.publish && self.has_published() && self.in_flight.is_empty() && !*is_done {
                *is_done = true;
                self.line.world.pulse.done.fetch_add(1, Ordering::Relaxed);
            }
            let happening = tokio::select! {
                happening = self.line.next() => happening,
                _ = ticks.tick(), if may_publish => {
                    self.publish().await;
                    continue;
                }
            };
            match happening {
                Happening::Heard(Heard::Ack { id, outcome }) => self.answered(id, &outcome),
                Happening::Heard(_) | Happening::Lost | Happening::Round => {}
                Happening::Back => self.repeat().await,
                Happening::Over(end) => return end,
                Happening::Orders(orders) if orders.finish => return End::Finished,
                Happening::Orders(_) => {}
            }
        }
    }

    fn has_published(&self) -> bool {
        !self.messages.is_empty()
    }

    async fn publish(&mut self) {
        let begun = self.line.world.now();
        let node = self.line.node();
        self.messages.push(Publication { scope: self.session, begun, node, acknowledged: None });
        let number = self.messages.len() as u32;
        self.in_flight.push_back(number);
        self.say(number).await;
    }

    async fn say(&mut self, number: u32) {
        let tag = Tag { publisher: self.task.number, scope: self.session, number };
        let group = group_name(self.task.group);
        self.line.say(Said::Send { group, ack: number.into(), text: tag.text() }).await;
    }

    /// Says again what was not answered, in its order.
    async fn repeat(&mut self) {
        let node = self.line.node();
        for number in self.in_flight.clone() {
            self.messages[number as usize - 1].node = node;
            self.say(number).await;
        }
    }

    fn answered(&mut self, id: u64, outcome: &Outcome) {
        let Some(index) = self.in_flight.iter().position(|number| u64::from(*number) == id) else {
            return;
        };
        self.in_flight.remove(index);
        if *outcome == Outcome::Done {
            self.messages[id as usize - 1].acknowledged = Some(self.line.world.now());
        }
    }
}

/// Sends messages to a group over REST, each to any broker, when the one before has been answered.
pub(crate) async fn call(world: Arc<World>, id: u64, task: Task) -> Publisher {
    let mut random = StdRng::seed_from_u64(world.seed.wrapping_mul(1_000_003).wrapping_add(id));
    let mut messages: Vec<Publication> = Vec::new();
    let mut ticks = ticks(task.pace);
    let mut orders = world.orders.subscribe();
    // It fails when all have gone home.
    let _ = orders.wait_for(|orders| orders.publish || orders.finish).await;
    while world.orders.borrow().publish {
        ticks.tick().await;
        let Some(door) = world.any_door(&mut random) else {
            continue;
        };
        let number = messages.len() as u32 + 1;
        let scope = (door.run.node * 10_000 + door.run.life) as u32;
        let begun = world.now();
        let (path, token) = world.send_call(door, &group_name(task.group));
        let data = Tag { publisher: task.number, scope, number }.text();
        let status = timeout(PATIENCE, post(door.address, &path, &token, &data)).await;
        let acknowledged = matches!(status, Ok(Ok(202))).then(|| world.now());
        messages.push(Publication { scope, begun, node: door.run, acknowledged });
    }
    world.pulse.done.fetch_add(1, Ordering::Relaxed);
    Publisher { group: task.group, kind: PublisherKind::Caller, messages, stays: Vec::new() }
}

async fn post(address: SocketAddr, path: &str, token: &str, body: &str) -> std::io::Result<u16> {
    let mut socket = TcpStream::connect(address).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

fn ticks(pace: Duration) -> Interval {
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
