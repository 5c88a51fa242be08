//! Publishes to one server.
//!
//! A batch that is not answered goes again, as `super::batches` says: whoever receives it twice knows. `super::run` starts
//! one for each server.

use std::sync::MutexGuard;
use std::time::Instant;

use redis::{Pipeline, ServerError, Value};
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::batches::{self, Batches, may_pass};
use super::link::Link;
use super::outbox::{Item, Load, Outbox};
use super::{BusError, Once, Outgoing, Settled, Through};

/// See the module.
pub(super) struct Publisher {
    pub(super) link: Link,
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
        let Link { shared, address, .. } = &self.link;
        let mut backoff = Backoff::new();
        let mut told = false;
        loop {
            match self.link.open(None).await {
                Ok(connection) => {
                    if told {
                        info!(server = %address, "redis can be published to again");
                    }
                    backoff = Backoff::new();
                    self.set_up(true);
                    let reason = batches::send(&self, connection).await;
                    shared.counts.lost();
                    self.set_up(false);
                    warn!(server = %address, reason, "connection for publishing to redis lost");
                    told = true;
                }
                Err(error) if told => debug!(%error, "redis cannot be published to"),
                Err(error) => {
                    warn!(%error, "redis cannot be published to");
                    told = true;
                }
            }
            batches::pause(&self, &mut backoff).await;
        }
    }

    /// Whether all of a batch was refused, or something taken, for the first time. A batch of which nothing is settled
    /// says neither.
    fn look_at_refusals(&self, published: u64, failed: u64) -> bool {
        if published + failed == 0 {
            return false;
        }
        let has_changed = self.queue().set_refused(self.link.key, published == 0);
        if has_changed {
            self.link.shared.look_at_state();
        }
        has_changed
    }

    fn set_up(&self, up: bool) {
        self.queue().set_up(self.link.key, up);
        self.link.shared.look_at_state();
    }
}

impl Batches for Publisher {
    type Content = Outgoing;

    fn link(&self) -> &Link {
        &self.link
    }

    fn queue(&self) -> MutexGuard<'_, Outbox<Outgoing>> {
        self.link.shared.outbox()
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
                    command.arg(&**channel).arg(&**payload).arg(&*once.name).arg(&*once.void).arg(once.term)
                }
            };
        }
        pipeline
    }

    fn read(&self, items: Vec<Item<Outgoing>>, answers: Vec<Value>) -> bool {
        let Link { shared, key, address, .. } = &self.link;
        let mut outcome = Outcome::default();
        for (item, answer) in items.into_iter().zip(answers) {
            outcome.add(item, answer);
        }
        let Outcome { done, published, failed, again, fault, settled } = outcome;
        shared.settled(settled);
        let has_changed = self.look_at_refusals(published, failed);
        if let Some(fault) = fault {
            if has_changed || published > 0 {
                warn!(server = %address, error = %fault, failed, "redis refuses what is published");
            } else {
                debug!(server = %address, error = %fault, failed, "redis refuses what is published");
            }
        }
        shared.counts.batch(published, failed);
        let must_go_again = !again.is_empty();
        let mut outbox = self.queue();
        outbox.finish(*key, done, again);
        if done.messages > 0 {
            outbox.moved(*key, Instant::now());
        }
        drop(outbox);
        shared.look_at_room();
        shared.gone.notify_waiters();
        must_go_again
    }

    fn doubt(items: &mut [Item<Outgoing>]) {
        for item in items {
            if let Some(Through { once: Some(once), .. }) = &mut item.content.through {
                once.is_tried = true;
            }
        }
    }

    fn give_up(&self, expired: Vec<Item<Outgoing>>) {
        if expired.is_empty() {
            return;
        }
        let Link { shared, address, .. } = &self.link;
        warn!(server = %address, messages = expired.len(), "dropped what redis has not taken for too long");
        shared.counts.expired(expired.len());
        shared.look_at_room();
        // What may have been published counts as published: to have it twice is better than to miss it.
        let is_tried = |outgoing: &Outgoing| {
            let once = outgoing.through.as_ref().and_then(|through| through.once.as_ref());
            once.is_some_and(|once| once.is_tried)
        };
        let given_up = expired.iter().map(|item| &item.content);
        let given_up = given_up.filter_map(|outgoing| settled(outgoing, !is_tried(outgoing)));
        shared.settled(given_up.collect());
        for receipt in expired.into_iter().filter_map(|item| item.content.receipt) {
            // Whoever wanted to know may have gone.
            let _ = receipt.send(Err(BusError));
        }
        shared.gone.notify_waiters();
    }
}

impl Outcome {
    fn add(&mut self, mut item: Item<Outgoing>, answer: Value) {
        let is_void = !matches!(answer, Value::Int(0..));
        let comes_too_late = answer == Value::Nil;
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
            // The server takes what others publish.
            Err(BusError) if comes_too_late => {}
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

/// What has become of it, if it was to be published once.
fn settled(outgoing: &Outgoing, is_void: bool) -> Option<Settled> {
    let Once { number, void, .. } = outgoing.through.as_ref()?.once.as_ref()?;
    Some(Settled { number: *number, void: is_void.then(|| void.clone()) })
}
