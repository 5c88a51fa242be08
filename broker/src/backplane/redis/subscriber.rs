//! Hears one server: one connection for all its channels, made anew whenever it is lost or silent, and then subscribed
//! to everything again.
//!
//! What Redis confirms and what is published arrive in one stream: messages are taken out of it first, each before
//! whatever Redis sent after it. Steps go out in batches of
//! one command each for a channel, so that each has exactly one answer. `super::run` starts one for each server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{Pipeline, PushInfo, PushKind, RedisResult, Value, cmd};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::connection::{Connection, Ears};
use super::link::Link;
use super::wishes::Step;
use super::{LinkEvent, ServerKey, Shared};
use crate::backplane::PartitionSet;

/// Most steps of one batch.
const STEPS: usize = 1000;
/// The server is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_millis(500);
/// A server that owes an answer and says nothing at all for this long is gone.
const SILENCE: Duration = Duration::from_secs(1);
/// A connection that has lasted for so long was of use. One that is lost sooner, again and again, has a reason that goes on:
/// a server that is overloaded, or that gives up whoever reads too slowly.
const OF_USE: Duration = Duration::from_secs(1);
/// Wait before something is asked again that the server has refused.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Subscriber {
    pub(super) link: Link,
}

/// Why the connection is over.
type Reason = String;

/// What a connection's reader tells.
#[derive(Default)]
struct Signs {
    /// Whatever has arrived.
    pushes: AtomicU64,
    closed: Notify,
}

impl Subscriber {
    /// Runs for ever, whatever happens to the server.
    pub(super) async fn run(self) {
        let Link { shared, key, address, .. } = &self.link;
        let mut backoff = Backoff::new();
        let mut told = false;
        loop {
            let signs = Arc::new(Signs::default());
            match self.link.open(Some(self.ears(&signs))).await {
                Ok(connection) => {
                    if told {
                        info!(server = %address, "redis is connected for hearing again");
                    }
                    let since = Instant::now();
                    shared.wishes().up(*key);
                    let reason = self.hear(connection, &signs).await;
                    if since.elapsed() >= OF_USE {
                        backoff = Backoff::new();
                    }
                    shared.counts.lost();
                    let lost = shared.wishes().down(*key);
                    shared.deaf(lost);
                    warn!(server = %address, reason, "connection for hearing redis lost");
                    told = true;
                }
                Err(error) if told => debug!(%error, "redis cannot be heard"),
                Err(error) => {
                    warn!(%error, "redis cannot be heard");
                    told = true;
                }
            }
            shared.owners_wanted.notify_one();
            sleep(backoff.next()).await;
        }
    }

    fn ears(&self, signs: &Arc<Signs>) -> Ears {
        let Link { shared, key, .. } = &self.link;
        let reader = Reader { shared: Arc::clone(shared), key: *key, signs: Arc::clone(signs) };
        let (shared, noted, from) = (Arc::clone(shared), Arc::clone(signs), *key);
        let heard = move |channel, payload| {
            noted.pushes.fetch_add(1, Ordering::Relaxed);
            shared.counts.received();
            (shared.events)(LinkEvent::Message { channel, payload, from });
        };
        Ears { heard: Box::new(heard), pushed: Box::new(move |info| reader.read(info)) }
    }

    /// Tells the server what is wanted until the connection is lost.
    async fn hear(&self, mut connection: Connection, signs: &Signs) -> Reason {
        let Link { shared, key, address, wake } = &self.link;
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut again: Option<Instant> = None;
        let mut refusal_told = false;
        loop {
            shared.settle();
            let steps = shared.wishes().take(*key, STEPS);
            if !steps.is_empty() {
                let pipeline = pipeline(&steps);
                match exchange(connection.ask_all(&pipeline), signs).await {
                    Ok(answers) => {
                        if let Some(error) = self.refused(&steps, answers) {
                            if !std::mem::replace(&mut refusal_told, true) {
                                warn!(server = %address, error, "redis refuses a subscription, asking again");
                            }
                            shared.owners_wanted.notify_one();
                            again.get_or_insert(Instant::now() + PAUSE);
                        } else {
                            refusal_told = false;
                        }
                    }
                    Err(reason) => return reason,
                }
                continue;
            }
            tokio::select! {
                () = wake.notified() => {}
                () = signs.closed.notified() => return "closed".to_owned(),
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {
                    again = None;
                    shared.wishes().queue_again(*key);
                }
                _ = ping.tick() => {
                    if let Err(reason) = exchange(connection.ask(&cmd("PING")), signs).await {
                        return reason;
                    }
                    if shared.wishes().is_behind(*key) {
                        again.get_or_insert(Instant::now() + PAUSE);
                    }
                }
            }
        }
    }

    /// Notes what the server has refused, and gives one of the errors.
    fn refused(&self, steps: &[Step], answers: Vec<Value>) -> Option<String> {
        let mut fault = None;
        let mut wishes = self.link.shared.wishes();
        for (step, answer) in steps.iter().zip(answers) {
            if let Value::ServerError(error) = answer {
                wishes.refused(self.link.key, step);
                if matches!(step, Step::Subscribe(_)) {
                    fault = Some(error.to_string());
                }
            }
        }
        fault
    }
}

/// Takes in what the server says about subscriptions and the connection.
struct Reader {
    shared: Arc<Shared>,
    key: ServerKey,
    signs: Arc<Signs>,
}

impl Reader {
    fn read(&self, info: PushInfo) {
        self.signs.pushes.fetch_add(1, Ordering::Relaxed);
        let channel = match info.data.into_iter().next() {
            Some(Value::BulkString(channel)) => channel,
            _ => Vec::new(),
        };
        match info.kind {
            PushKind::SSubscribe => {
                if let Ok(channel) = std::str::from_utf8(&channel) {
                    self.shared.wishes().confirmed(self.key, channel);
                }
            }
            PushKind::SUnsubscribe => {
                if let Ok(channel) = std::str::from_utf8(&channel) {
                    let left = self.shared.wishes().left(self.key, channel);
                    if let Some(partition) = left {
                        self.shared.owners_wanted.notify_one();
                        self.shared.deaf(PartitionSet::from_iter([partition]));
                    }
                }
            }
            PushKind::Disconnection => self.signs.closed.notify_one(),
            _ => {}
        }
    }
}

fn pipeline(steps: &[Step]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(steps.len());
    for step in steps {
        match step {
            Step::Subscribe(channel) => pipeline.cmd("SSUBSCRIBE").arg(&**channel),
            Step::Unsubscribe(channel) => pipeline.cmd("SUNSUBSCRIBE").arg(&**channel),
        };
    }
    pipeline
}

/// Waits for an answer, as long as anything at all arrives: under a flood of messages it comes late.
async fn exchange<T>(asking: impl Future<Output = RedisResult<T>>, signs: &Signs) -> Result<T, Reason> {
    tokio::pin!(asking);
    loop {
        let before = signs.pushes.load(Ordering::Relaxed);
        tokio::select! {
            answer = &mut asking => return answer.map_err(|error| error.to_string()),
            () = signs.closed.notified() => return Err("closed".to_owned()),
            () = sleep(SILENCE) => {
                if signs.pushes.load(Ordering::Relaxed) == before {
                    return Err("silent".to_owned());
                }
            }
        }
    }
}
