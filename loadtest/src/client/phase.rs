//! What members need to know of a phase: how messages are checked, when each was due, whom to tell of progress.
//!
//! Shared by the reading threads and the publisher; holds no sockets.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// One stretch of publishing. Messages of each group are numbered from 0 anew.
#[derive(Debug, Default)]
pub(crate) struct Phase {
    /// How a delivery is checked.
    pub(crate) check: Check,
    /// Present when latencies are wanted.
    pub(crate) schedule: Option<Schedule>,
    /// Present when the publisher is kept within a window.
    pub(crate) progress: Option<Progress>,
}

/// How a member checks what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Check {
    /// Each message carries the number that follows the last one's.
    #[default]
    Numbers,
    /// Messages are only counted: the limit server sends one prebuilt frame.
    Counts,
}

/// When each message is due: all groups in turn, at equal distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) start: Instant,
    /// Between one message and the next.
    pub(crate) interval: Duration,
    /// How many groups take turns.
    pub(crate) groups: u32,
}

impl Schedule {
    /// When the message with this place among all messages is due.
    pub(crate) fn due(&self, place: u64) -> Instant {
        self.start + Duration::from_nanos((self.interval.as_nanos() as u64).saturating_mul(place))
    }

    /// Time from when message `number` of `group` was due until `now`, in microseconds.
    pub(crate) fn latency(&self, group: u32, number: u32, now: Instant) -> u32 {
        let place = u64::from(number) * u64::from(self.groups) + u64::from(group);
        let latency = now.saturating_duration_since(self.due(place));
        u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)
    }
}

/// Tells the publisher which groups have received a whole batch, so that it may send the next one.
#[derive(Debug)]
pub(crate) struct Progress {
    window: Window,
    members: u32,
    /// For each group and each batch that may be on its way, how many members still lack it.
    lacking: Vec<AtomicU32>,
    ready: Sender<u32>,
}

/// How far the publisher may be ahead of a group's slowest member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Messages of a batch: a power of two.
    pub(crate) batch: u32,
    /// Batches of a group that may be on their way.
    pub(crate) depth: u32,
}

impl Window {
    /// Splits a window of at least 4 messages into at least four batches.
    pub(crate) fn new(messages: u32) -> Self {
        let quarter = (messages / 4).max(1);
        let batch = 1 << quarter.ilog2();
        Self { batch, depth: (messages / batch).max(1) }
    }
}

impl Progress {
    /// `members` is the number of members of each group. The index of a group is sent to `ready` as often as one of
    /// its batches has reached all of them.
    pub(crate) fn new(window: Window, groups: u32, members: u32, ready: Sender<u32>) -> Self {
        let slots = groups as usize * window.depth as usize;
        let lacking = (0..slots).map(|_| AtomicU32::new(members)).collect();
        Self { window, members, lacking, ready }
    }

    /// A member of `group` has received `received` messages in all.
    #[inline]
    pub(crate) fn received(&self, group: u32, received: u32) {
        if received & (self.window.batch - 1) == 0 {
            self.finish_batch(group, received / self.window.batch - 1);
        }
    }

    fn finish_batch(&self, group: u32, batch: u32) {
        let slot = group as usize * self.window.depth as usize + (batch % self.window.depth) as usize;
        if self.lacking[slot].fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // The next batch in this slot leaves only after the publisher has heard of this one.
        self.lacking[slot].store(self.members, Ordering::Release);
        // The publisher may have stopped.
        let _ = self.ready.send(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_window_has_batches_of_a_power_of_two() {
        let check = |messages, batch, depth| assert_eq!(Window::new(messages), Window { batch, depth });
        check(4, 1, 4);
        check(51, 8, 6);
        check(256, 64, 4);
    }

    #[test]
    fn the_slowest_member_decides() {
        let (ready, heard) = mpsc::channel();
        let progress = Progress::new(Window { batch: 2, depth: 2 }, 2, 2, ready);
        let receive = |group, range: std::ops::RangeInclusive<u32>| {
            range.for_each(|received| progress.received(group, received));
        };
        receive(1, 1..=4);
        assert!(heard.try_iter().next().is_none());
        receive(1, 1..=3);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1]);
        receive(1, 4..=6);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1]);
        receive(1, 5..=6);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn latency_counts_from_when_a_message_was_due() {
        let start = Instant::now();
        let schedule = Schedule { start, interval: Duration::from_millis(10), groups: 5 };
        let now = start + Duration::from_millis(200);
        // The third message of the third group is number 12 of all.
        assert_eq!(schedule.latency(2, 2, now), 80_000);
        assert_eq!(schedule.latency(2, 20, now), 0);
    }
}
