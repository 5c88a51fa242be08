//! What a reliable connection has been sent and has not acknowledged.
//!
//! The window is a value: the shard puts messages in, the client's acknowledgements take them out, and a socket that
//! takes the place of a lost one is sent what is left. Source: `client-protocols.md` 10.1.
//!
//! An empty window owns no memory but its counters.

use std::collections::VecDeque;
use std::rc::Rc;

use codec::ids::SequenceId;
use tokio::time::Instant;

use super::outbox::{Delivery, Parcel};
use states::StateFrames;
pub(super) use states::StateSlot;

mod states;

/// What a window may hold.
#[derive(Debug, Clone, Copy)]
pub struct WindowLimits {
    /// Most messages.
    pub messages: usize,
    /// Most bytes, frame headers included.
    pub bytes: usize,
}

/// Steps into which a window is divided, to tell how full it is.
const STEPS: usize = 8;

/// A message would have exceeded the limits. The connection must end: it could not be told that one is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overrun;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Number of the last message, 0 before the first.
    last: u64,
    /// Sorted by number; those that have expired may be missing in between.
    kept: VecDeque<Delivery>,
    bytes: usize,
    is_overrun: bool,
    /// Which of them may be replaced and give way; absent while there are none.
    states: Option<Box<StateFrames>>,
}

impl Window {
    /// Gives a message the next number and keeps it. What comes back is for the outbox.
    ///
    /// # Errors
    /// When it does not fit; from then on the window takes nothing.
    pub(super) fn push(&mut self, parcel: &Rc<Parcel>, limits: WindowLimits) -> Result<Delivery, Overrun> {
        let delivery = Delivery::sequenced(parcel, SequenceId(self.last + 1));
        let len = delivery.len();
        if !self.fits(len, limits) {
            // Seldom enough to ask for the time only here.
            self.drop_expired(Instant::now());
            self.make_room(len, limits);
            self.is_overrun = self.is_overrun || !self.fits(len, limits);
        }
        if self.is_overrun {
            return Err(Overrun);
        }
        self.last += 1;
        self.bytes += len;
        self.kept.push_back(delivery.clone());
        Ok(delivery)
    }

    /// Whether there is room for a message of `len` bytes.
    fn fits(&self, len: usize, limits: WindowLimits) -> bool {
        self.kept.len() < limits.messages && self.bytes + len <= limits.bytes
    }

    /// Whether the last message has filled another step of the upper half. Acknowledgements that have arrived should be
    /// read before more is put in.
    pub(super) fn is_filling(&self, limits: WindowLimits) -> bool {
        let last = self.kept.back().map_or(0, Delivery::len);
        enters_step(self.kept.len(), 1, limits.messages) || enters_step(self.bytes, last, limits.bytes)
    }

    /// Whether a message did not fit.
    pub(super) fn is_overrun(&self) -> bool {
        self.is_overrun
    }

    /// The client has all messages up to this number. One that it has acknowledged before changes nothing, one beyond
    /// the last means all.
    pub(super) fn acknowledge(&mut self, up_to: SequenceId) {
        while let Some(delivery) = self.kept.pop_front_if(|delivery| delivery.id() <= up_to) {
            self.bytes -= delivery.len();
        }
        if let Some(states) = &mut self.states {
            states.acknowledge(up_to);
        }
        self.release_if_empty();
    }

    /// Forgets messages that are of no use any more. The gap in the numbers does no harm: clients only look for the
    /// largest.
    pub(super) fn drop_expired(&mut self, now: Instant) {
        self.kept.retain(|delivery| !delivery.has_expired(now));
        self.bytes = self.kept.iter().map(Delivery::len).sum();
        self.release_if_empty();
    }

    /// What has not been acknowledged, in the order of its numbers.
    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = &Delivery> {
        self.kept.iter()
    }

    fn release_if_empty(&mut self) {
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
            self.states = None;
        }
    }
}

/// Whether the last `added` of `held` led from one step of the upper half into the next.
fn enters_step(held: usize, added: usize, limit: usize) -> bool {
    let step = (limit / STEPS).max(1);
    held / step >= STEPS / 2 && held / step > (held - added) / step
}

#[cfg(test)]
mod tests;
