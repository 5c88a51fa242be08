//! When a reliable member acknowledges: once per second what has come since, as the published SDKs do, and at once when
//! more than 300 messages have, because a window is filled within a fraction of a second at saturation. Pure.
//! Source: `client-protocols.md` 10.1.

use std::time::{Duration, Instant};

use codec::ids::SequenceId;

/// Messages that may come before they are acknowledged at once.
const MOST_UNACKNOWLEDGED: u64 = 300;
/// How often a member looks whether there is something to acknowledge.
const INTERVAL: Duration = Duration::from_secs(1);
/// Parts into which the members are divided. Each has its own turn in the interval, as clients do not beat in time.
const PARTS: u32 = 20;

/// How far one reliable member has come.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    seen: u64,
    acknowledged: u64,
}

impl Sequence {
    /// Takes the id of a delivery and tells whether it follows the one before.
    pub(super) fn take(&mut self, id: u64) -> bool {
        let follows = id == self.seen + 1;
        self.seen = self.seen.max(id);
        follows
    }

    /// What is to be acknowledged without waiting.
    pub(super) fn due_at_once(&mut self) -> Option<SequenceId> {
        if self.seen - self.acknowledged > MOST_UNACKNOWLEDGED { self.due() } else { None }
    }

    /// What is to be acknowledged when the interval is over.
    pub(super) fn due(&mut self) -> Option<SequenceId> {
        let is_new = self.seen > self.acknowledged;
        self.acknowledged = self.seen;
        is_new.then_some(SequenceId(self.seen))
    }
}

/// Tells which members' interval is over.
#[derive(Debug)]
pub(super) struct Clock {
    next: Instant,
    part: u32,
}

/// Members whose index leaves this rest are to acknowledge what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    part: u32,
}

impl Clock {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now, part: 0 }
    }

    /// Time until somebody's interval is over.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// Whose turn it is, if it is anybody's.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Turn> {
        if now < self.next {
            return None;
        }
        self.next += INTERVAL / PARTS;
        let turn = Turn { part: self.part };
        self.part = (self.part + 1) % PARTS;
        Some(turn)
    }
}

impl Turn {
    /// The indices of these members among so many.
    pub(super) fn indices(self, members: usize) -> impl Iterator<Item = usize> {
        (self.part as usize..members).step_by(PARTS as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_acknowledges_each_second_and_after_three_hundred() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.due(), None, "nothing has come");
        for id in 1..=300 {
            assert!(sequence.take(id));
            assert_eq!(sequence.due_at_once(), None);
        }
        assert!(sequence.take(301));
        assert_eq!(sequence.due_at_once(), Some(SequenceId(301)));
        assert_eq!(sequence.due(), None, "it has not changed");
        assert!(sequence.take(302));
        assert_eq!(sequence.due(), Some(SequenceId(302)));
    }

    #[test]
    fn gaps_and_repetitions_do_not_follow() {
        let mut sequence = Sequence::default();
        let follows: Vec<bool> = [1, 2, 2, 4, 5, 3].into_iter().map(|id| sequence.take(id)).collect();
        assert_eq!(follows, [true, true, false, false, true, false]);
    }

    #[test]
    fn everybody_has_a_turn_each_second() {
        let start = Instant::now();
        let mut clock = Clock::new(start);
        let mut turns = Vec::new();
        for millis in 0..1_000 {
            let now = start + Duration::from_millis(millis);
            turns.extend(clock.turn(now).into_iter().flat_map(|turn| turn.indices(50)));
        }
        turns.sort_unstable();
        assert_eq!(turns, (0..50).collect::<Vec<_>>());
        assert_eq!(clock.turn(start + INTERVAL), Some(Turn { part: 0 }));
    }
}
