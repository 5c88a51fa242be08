//! When a worker that brings its members much at once waits for what reliable clients acknowledge, and for how long.
//!
//! What is repaired, or has gathered while a node stood still, comes faster than it was published, and faster than any
//! client can acknowledge. It must not end the sessions of clients that are quick enough for what was published. But
//! whoever waits for one client delays others: so a worker waits only in the midst of a burst, only for clients that
//! have answered lately (`Shard::acknowledgement_due`), and only for so long altogether. Pure; the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::hub::WindowLimits;

/// Longest time that a worker waits at once. Clients acknowledge once a second at least (`client-protocols.md` 10.1).
const AT_ONCE: Duration = Duration::from_secs(2);
/// How much later it may wait as long again, as a multiple: a tenth of its time is all that others can lose in the end.
const RECOVERY: u32 = 10;
/// The part of a window that makes a burst, if it comes without a pause.
const BURST: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Pacing {
    limits: WindowLimits,
    /// Letters since the inbox was empty, and their weight.
    letters: usize,
    weight: usize,
    /// How long the worker might have waited at this time.
    left: (Duration, Instant),
}

impl Pacing {
    /// For windows with these limits.
    pub(super) fn new(limits: WindowLimits, now: Instant) -> Self {
        Self { limits, letters: 0, weight: 0, left: (AT_ONCE, now) }
    }

    /// The inbox is empty: the worker keeps up with what comes.
    pub(super) fn kept_up(&mut self) {
        (self.letters, self.weight) = (0, 0);
    }

    /// A letter of this weight has been dealt with.
    pub(super) fn dealt_with(&mut self, weight: usize) {
        self.letters += 1;
        self.weight += weight;
    }

    /// Whether the worker is in the midst of a burst.
    pub(super) fn is_burst(&self) -> bool {
        self.letters > self.limits.messages / BURST || self.weight > self.limits.bytes / BURST
    }

    /// How long it may wait now.
    pub(super) fn left(&self, now: Instant) -> Duration {
        let (left, at) = self.left;
        AT_ONCE.min(left + now.saturating_duration_since(at) / RECOVERY)
    }

    /// It has waited from then until now.
    pub(super) fn waited(&mut self, since: Instant, now: Instant) {
        let left = self.left(since).saturating_sub(now.saturating_duration_since(since));
        self.left = (left, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WindowLimits = WindowLimits { messages: 1000, bytes: 16 << 20 };

    #[test]
    fn what_comes_without_a_pause_is_a_burst_by_number_or_by_weight() {
        let check = |letters: usize, weight, is_burst| {
            let mut pacing = Pacing::new(LIMITS, Instant::now());
            (0..letters).for_each(|_| pacing.dealt_with(weight));
            assert_eq!(pacing.is_burst(), is_burst, "{letters} of {weight}");
            pacing.kept_up();
            assert!(!pacing.is_burst());
        };
        check(0, 0, false);
        check(250, 5000, false);
        check(251, 5000, true);
        check(4, 1 << 20, false);
        check(5, 1 << 20, true);
    }

    #[test]
    fn a_worker_waits_for_two_seconds_at_once_and_a_tenth_of_the_time_in_the_end() {
        let start = Instant::now();
        let second = |count: u32| Duration::from_secs(1) * count;
        let mut pacing = Pacing::new(LIMITS, start);
        assert_eq!(pacing.left(start + second(100)), second(2), "it saves nothing up");
        pacing.waited(start, start + second(1) / 2);
        assert_eq!(pacing.left(start + second(1) / 2), second(3) / 2);
        pacing.waited(start + second(1) / 2, start + second(3));
        assert_eq!(pacing.left(start + second(3)), Duration::ZERO);
        assert_eq!(pacing.left(start + second(8)), second(1) / 2);
        pacing.waited(start + second(8), start + second(8) + second(1) / 2);
        assert_eq!(pacing.left(start + second(8) + second(1) / 2), Duration::ZERO);
        assert_eq!(pacing.left(start + second(60)), second(2));
    }
}
