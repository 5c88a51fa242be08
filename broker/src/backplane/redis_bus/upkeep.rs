//! What a node does now and then for its links: say that it is there, probe, ask again, forget.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::probes;
use super::{Inner, lock};
use crate::backplane::wire::LinkMessage;
use crate::backplane::{Channel, LinkFault, Standing};

/// How often a node says that it is there, in probe intervals.
const BEAT: u32 = Duration::from_secs(1).as_millis() as u32 / probes::INTERVAL.as_millis() as u32;

/// What the log says is wrong.
#[derive(Default)]
struct Told {
    fault: Option<LinkFault>,
    namesakes: usize,
}

/// Goes on until the bus is gone.
pub(super) async fn keep_up(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(probes::INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Told::default();
    for number in 0_u32.. {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        inner.probe();
        inner.look_at_nodes();
        inner.look_at_faults(&mut told);
        if number % BEAT == 0 {
            inner.beat();
        }
        inner.leave_channels();
        inner.look_at_time();
        inner.count();
    }
}

impl Inner {
    /// Looks how far the node hears, in some of the partitions.
    pub(super) fn probe(&self) {
        // While nothing can be published the queue would fill with them.
        let is_publishing = self.links.get().is_some_and(|(_, state)| state.borrow().publishing);
        if !is_publishing {
            return;
        }
        let due = lock(&self.probes).next(Instant::now());
        for (partition, number) in due {
            let channel = Channel::Probe(self.node.clone(), partition);
            self.tell(&channel, LinkMessage::Probe { number });
        }
    }

    /// Says that the node is there, and up to which number Redis has taken what it has published, as far as is known.
    pub(super) fn beat(&self) {
        if self.has_left.load(Ordering::SeqCst) {
            return;
        }
        let sent = lock(&self.sent);
        let is_taken = self.links.get().is_some_and(|(links, _)| links.numbers().queued_messages == 0);
        if is_taken {
            self.confirmed.store(sent.last(), Ordering::Relaxed);
        }
        drop(sent);
        let sequence = self.confirmed.load(Ordering::Relaxed);
        let age_ms = lock(&self.namesakes).age_ms(Instant::now());
        self.tell(&Channel::AllNodes, LinkMessage::Beat { sequence, age_ms });
    }

    fn look_at_nodes(&self) {
        let is_hearing = self.is_hearing();
        let mut nodes = lock(&self.nodes);
        nodes.look(is_hearing, Instant::now());
        let (others, _) = nodes.standings();
        self.metrics.nodes(others.values().filter(|standing| **standing == Standing::Alive).count());
    }

    /// Says in the log what has changed.
    fn look_at_faults(&self, told: &mut Told) {
        let fault = self.fault();
        if fault != told.fault {
            match fault {
                Some(fault) => tracing::warn!("not ready: {fault}"),
                None => tracing::info!("ready again"),
            }
            told.fault = fault;
        }
        let namesakes = lock(&self.namesakes).verdict(Instant::now()).count;
        if namesakes != told.namesakes {
            match namesakes {
                0 => tracing::info!(node = %self.node, "no other node runs under the same id any more"),
                others => tracing::error!(node = %self.node, others, "{}", LinkFault::SameId),
            }
            self.metrics.namesakes(namesakes);
            told.namesakes = namesakes;
        }
    }

    fn leave_channels(&self) {
        let Some((links, _)) = self.links.get() else {
            return;
        };
        // Under the lock, so that a wish that is renewed meanwhile comes after it.
        let mut wishes = lock(&self.wishes);
        let now = Instant::now();
        let due = wishes.take_due(now);
        due.iter().for_each(|name| links.unsubscribe(name));
        let silent = wishes.take_silent(now);
        lock(&self.forgotten).extend(silent);
    }

    fn look_at_time(&self) {
        let now = Instant::now();
        self.step(|heard, steps| {
            if heard.due_at().is_some_and(|at| at <= now) {
                heard.on_time(now, steps);
            }
        });
    }

    fn count(&self) {
        if let Some((links, state)) = self.links.get() {
            let deaf = lock(&self.probes).deaf(Instant::now());
            self.metrics.state(state.borrow().hearing && deaf == 0, state.borrow().publishing);
            self.metrics.links(&links.numbers());
        }
    }
}
