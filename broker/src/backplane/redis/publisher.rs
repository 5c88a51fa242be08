//! Publishes to one server: one connection, one batch in flight, the next batch is what was queued meanwhile.
//!
//! A batch that is not answered goes again after the next connection, unchanged and before anything else: whoever
//! receives it twice knows. `super::run` starts one for each server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Pipeline, RedisResult, ServerError, ServerErrorKind, Value, cmd};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::connection::{Connection, Manner};
use super::outbox::{Batch, Item, Load};
use super::{Address, BusError, Once, Outgoing, ServerKey, Settled, Shared, Through};

/// Longest time until a batch is answered.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// With nothing to publish, the server is asked for a sign of life this often.
pub(super) const PING_EVERY: Duration = Duration::from_secs(1);
/// Wait before something goes again that the server cannot take just now.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// See the module.
pub(super) struct Publisher {
    pub(super) shared: Arc<Shared>,
    pub(super) key: ServerKey,
    pub(super) address: Address,
    pub(super) wake: Arc<Notify>,
}

/// What became of a batch.
#[derive(Default)]
struct Outcome {
    done: Load,
    published: u64,
    failed: u64,
    again: Vec<Item<Outgoing>>,
    /// One of the errors for good.
    fault: Option<ServerError>,
    settled: Vec<Settled>,
}

impl Publisher {
    /// Runs for ever, whatever happens to the server.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new();
        let mut told = false;
        loop {
            let config = &self.shared.config;
            let manner = Manner { credentials: &config.credentials, tls: config.tls.as_ref() };
            match Connection::open(&self.address, manner, None).await {
                Ok(connection) => {
                    if told {
                        info!(server = %self.address, "redis can be published to again");
                    }
                    backoff = Backoff::new();
                    self.set_up(true);
                    let reason = self.publish(connection).await;
                    self.shared.counts.lost();
                    self.set_up(false);
                    warn!(server = %self.address, reason, "connection for publishing to redis lost");
                    told = true;
                }
                Err(error) if told => debug!(%error, "redis cannot be published to"),
                Err(error) => {
                    warn!(%error, "redis cannot be published to");
                    told = true;
                }
            }
            self.shared.owners_wanted.notify_one();
            let expired = self.shared.outbox().expire(self.key, Instant::now());
            self.give_up(expired);
            sleep(backoff.next()).await;
        }
    }

    /// Publishes what is queued until the connection is lost; says why it is.
    async fn publish(&self, mut connection: Connection) -> String {
        loop {
            let Batch { mut items, expired } = self.shared.outbox().take(self.key, Instant::now());
            self.give_up(expired);
            if items.is_empty() {
                if timeout(PING_EVERY, self.wake.notified()).await.is_err()
                    && let Err(reason) = answer(connection.ask(&cmd("PING"))).await
                {
                    return reason;
                }
                continue;
            }
            match answer(connection.ask_all(&pipeline(&items))).await {
                Ok(answers) => {
                    let again = self.read(items, answers);
                    if again {
                        self.shared.owners_wanted.notify_one();
                        sleep(PAUSE).await;
                    }
                }
                Err(reason) => {
                    for item in &mut items {
                        if let Some(Through { once: Some(once), .. }) = &mut item.content.through {
                            once.is_tried = true;
                        }
                    }
                    self.shared.outbox().finish(self.key, Load::default(), items);
                    return reason;
                }
            }
        }
    }

    /// Tells what was answered to whoever waits; whether anything must go again.
    fn read(&self, items: Vec<Item<Outgoing>>, answers: Vec<Value>) -> bool {
        let mut outcome = Outcome::default();
        for (item, answer) in items.into_iter().zip(answers) {
            outcome.add(item, answer);
        }
        let Outcome { done, published, failed, again, fault, settled } = outcome;
        self.shared.settled(settled);
        let has_changed = self.look_at_refusals(published, failed);
        if let Some(fault) = fault {
            if has_changed || published > 0 {
                warn!(server = %self.address, error = %fault, failed, "redis refuses what is published");
            } else {
                debug!(server = %self.address, error = %fault, failed, "redis refuses what is published");
            }
        }
        self.shared.counts.batch(published, failed);
        let must_go_again = !again.is_empty();
        let mut outbox = self.shared.outbox();
        outbox.finish(self.key, done, again);
        if done.messages > 0 {
            outbox.moved(self.key, Instant::now());
        }
        drop(outbox);
        self.shared.look_at_room();
        self.shared.gone.notify_waiters();
        must_go_again
    }

    /// Whether all of a batch was refused, or something taken, for the first time. A batch of which nothing is settled
    /// says neither.
    fn look_at_refusals(&self, published: u64, failed: u64) -> bool {
        if published + failed == 0 {
            return false;
        }
        let has_changed = self.shared.outbox().set_refused(self.key, published == 0);
        if has_changed {
            self.shared.look_at_state();
        }
        has_changed
    }

    /// Tells whoever waits for something that has waited too long.
    fn give_up(&self, expired: Vec<Item<Outgoing>>) {
        if expired.is_empty() {
            return;
        }
        warn!(server = %self.address, messages = expired.len(), "dropped what redis has not taken for too long");
        self.shared.counts.expired(expired.len());
        self.shared.look_at_room();
        // What may have been published counts as published: to have it twice is better than to miss it.
        let is_tried = |outgoing: &Outgoing| {
            let once = outgoing.through.as_ref().and_then(|through| through.once.as_ref());
            once.is_some_and(|once| once.is_tried)
        };
        let given_up = expired.iter().map(|item| &item.content);
        let given_up = given_up.filter_map(|outgoing| settled(outgoing, !is_tried(outgoing)));
        self.shared.settled(given_up.collect());
        for receipt in expired.into_iter().filter_map(|item| item.content.receipt) {
            // Whoever wanted to know may have gone.
            let _ = receipt.send(Err(BusError));
        }
        self.shared.gone.notify_waiters();
    }

    fn set_up(&self, up: bool) {
        self.shared.outbox().set_up(self.key, up);
        self.shared.look_at_state();
    }
}

impl Outcome {
    fn add(&mut self, mut item: Item<Outgoing>, answer: Value) {
        let is_void = !matches!(answer, Value::Int(0..));
        let result = match answer {
            // What was published before has gone where it was to go.
            Value::Int(subscribers) => Ok(u64::try_from(subscribers).unwrap_or_default()),
            Value::ServerError(error) if may_pass(&error) => {
                self.again.push(item);
                return;
            }
            Value::ServerError(error) => {
                self.fault = Some(error);
                Err(BusError)
            }
            _ => Err(BusError),
        };
        match result {
            Ok(_) => self.published += 1,
            Err(BusError) => self.failed += 1,
        }
        self.done.add(&item);
        self.settled.extend(settled(&item.content, is_void));
        if let Some(receipt) = item.content.receipt.take() {
            // Whoever wanted to know may have gone.
            let _ = receipt.send(result);
        }
    }
}

fn pipeline(items: &[Item<Outgoing>]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(items.len());
    for item in items {
        let Outgoing { channel, payload, through, .. } = &item.content;
        match through {
            None => pipeline.cmd("SPUBLISH").arg(&**channel).arg(&**payload),
            Some(Through { script, key, once: None }) => {
                pipeline.cmd("EVAL").arg(*script).arg(1).arg(&**key).arg(&**channel).arg(&**payload)
            }
            Some(Through { script, key, once: Some(once) }) => {
                let command = pipeline.cmd("EVAL").arg(*script).arg(2).arg(&**key).arg(&*once.key);
                command.arg(&**channel).arg(&**payload).arg(&*once.name).arg(&*once.void)
            }
        };
    }
    pipeline
}

/// What has become of it, if it was to be published once.
fn settled(outgoing: &Outgoing, is_void: bool) -> Option<Settled> {
    let Once { number, void, .. } = outgoing.through.as_ref()?.once.as_ref()?;
    Some(Settled { number: *number, void: is_void.then(|| void.clone()) })
}

/// The answer, or why there is none.
pub(super) async fn answer<T>(asking: impl Future<Output = RedisResult<T>>) -> Result<T, String> {
    match timeout(ANSWER_TIME, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// Whether the server, or another one, is going to take the same command soon.
pub(super) fn may_pass(error: &ServerError) -> bool {
    match error.kind() {
        Some(
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly,
        ) => true,
        _ => matches!(error.code(), "OOM" | "BUSY" | "MISCONF" | "NOREPLICAS"),
    }
}
