//! Whether another process runs under this node's id: it says that it is there again and again, in another epoch. What a
//! former run of this node has left behind comes at once or not at all. Pure; the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Somebody who is heard over a time like this is there.
const THERE_AFTER: Duration = Duration::from_secs(2);
/// Somebody who has not been heard for so long is there no more.
const GONE_AFTER: Duration = Duration::from_millis(3500);
/// Who differ by less are taken for equally old: words take their time.
const EQUAL: Duration = Duration::from_millis(100);
/// Processes that are known at the same time.
const KNOWN: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Namesakes {
    epoch: u64,
    since: Instant,
    known: Vec<Namesake>,
}

#[derive(Debug)]
struct Namesake {
    epoch: u64,
    first_heard: Instant,
    last_heard: Instant,
    /// When it was linked, as the word tells that came fastest.
    since: Option<Instant>,
}

/// What follows for this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// So many others run under its id.
    pub(super) count: usize,
    /// One of them is older, or may be: this node is the one too many.
    pub(super) must_yield: bool,
}

impl Namesakes {
    /// The run `epoch` of the node, which begins now, has not heard of any other.
    pub(super) fn new(epoch: u64, now: Instant) -> Self {
        Self { epoch, since: now, known: Vec::new() }
    }

    /// For how long this run has been linked, in milliseconds.
    pub(super) fn age_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX)
    }

    /// A run under this node's id says that it is there, and how old it is; 0 when it does not.
    pub(super) fn on_beat(&mut self, epoch: u64, age_ms: u64, now: Instant) {
        if epoch == self.epoch {
            return;
        }
        self.known.retain(|one| now.saturating_duration_since(one.last_heard) < GONE_AFTER);
        let age = (age_ms > 0).then_some(Duration::from_millis(age_ms));
        let since = age.and_then(|age| now.checked_sub(age));
        if let Some(one) = self.known.iter_mut().find(|one| one.epoch == epoch) {
            one.last_heard = now;
            one.since = one.since.into_iter().chain(since).min();
        } else if self.known.len() < KNOWN {
            self.known.push(Namesake { epoch, first_heard: now, last_heard: now, since });
        }
    }

    /// A run under this node's id has ended.
    pub(super) fn on_farewell(&mut self, epoch: u64) {
        self.known.retain(|one| one.epoch != epoch);
    }

    /// Who is there at the moment.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        let there = self.known.iter().filter(|one| {
            now.saturating_duration_since(one.last_heard) < GONE_AFTER
                && one.last_heard.saturating_duration_since(one.first_heard) >= THERE_AFTER
        });
        let (mut count, mut must_yield) = (0, false);
        for one in there {
            count += 1;
            must_yield |= self.is_younger_than(one);
        }
        Verdict { count, must_yield }
    }

    fn is_younger_than(&self, other: &Namesake) -> bool {
        let Some(since) = other.since else {
            return true;
        };
        let (older_by, younger_by) =
            (since.saturating_duration_since(self.since), self.since.saturating_duration_since(since));
        if older_by.max(younger_by) < EQUAL { self.epoch > other.epoch } else { younger_by > older_by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const OWN: u64 = 5;
    const NOBODY: Verdict = Verdict { count: 0, must_yield: false };

    /// Hears another run each second from `start` on, which is linked since then or so many seconds before, and gives
    /// the time of the last word.
    fn hear(namesakes: &mut Namesakes, epoch: u64, (start, age): (Instant, u64), beats: u32) -> Instant {
        for number in 0..beats {
            namesakes.on_beat(epoch, age + u64::from(number) * 1000, start + number * SECOND);
        }
        start + (beats - 1) * SECOND
    }

    /// A run that has been linked for a minute.
    fn running() -> (Namesakes, Instant) {
        let start = Instant::now() + 100 * SECOND;
        (Namesakes::new(OWN, start), start + 60 * SECOND)
    }

    #[test]
    fn whoever_speaks_again_and_again_is_there_until_it_is_silent_or_says_farewell() {
        let (mut namesakes, now) = running();
        let now = hear(&mut namesakes, 9, (now, 1), 2);
        assert_eq!(namesakes.verdict(now), NOBODY);
        let now = hear(&mut namesakes, 9, (now + SECOND, 2001), 1);
        assert_eq!(namesakes.verdict(now), Verdict { count: 1, must_yield: false });
        assert_eq!(namesakes.verdict(now + GONE_AFTER), NOBODY);
        namesakes.on_farewell(9);
        assert_eq!(namesakes.verdict(now), NOBODY);
    }

    #[test]
    fn what_a_former_run_has_left_behind_is_nobody() {
        let (mut namesakes, now) = running();
        for number in 0..20 {
            namesakes.on_beat(9, 1000 * number, now);
        }
        let now = hear(&mut namesakes, 9, (now, 20_000), 2);
        assert_eq!(namesakes.verdict(now), NOBODY);
        // Its last word, and much later the only one of another run.
        let now = hear(&mut namesakes, 4, (now + 10 * SECOND, 0), 1);
        assert_eq!(namesakes.verdict(now), NOBODY);
        hear(&mut namesakes, OWN, (now, 60_000), 10);
        assert_eq!(namesakes.verdict(now + 9 * SECOND), NOBODY, "its own words");
    }

    #[test]
    fn the_younger_one_yields_and_of_those_as_old_one_alone() {
        let check = |epoch: u64, age_ms: u64, must_yield: bool| {
            let (mut namesakes, now) = running();
            let now = hear(&mut namesakes, epoch, (now, age_ms), 3);
            assert_eq!(namesakes.verdict(now), Verdict { count: 1, must_yield }, "{epoch} {age_ms}");
        };
        check(9, 120_000, true);
        check(4, 120_000, true);
        check(9, 30_000, false);
        check(4, 30_000, false);
        check(9, 60_050, false);
        check(4, 60_050, true);
        check(9, 59_950, false);
        check(4, 59_950, true);
        check(9, u64::MAX - 10_000, true);
        // One of its words took long.
        let (mut namesakes, now) = running();
        hear(&mut namesakes, 4, (now, 61_000), 2);
        namesakes.on_beat(4, 61_500, now + 2 * SECOND);
        assert_eq!(namesakes.verdict(now + 2 * SECOND), Verdict { count: 1, must_yield: true });
        // An older version does not say.
        let (mut namesakes, now) = running();
        for number in 0..3 {
            namesakes.on_beat(9, 0, now + number * SECOND);
        }
        assert_eq!(namesakes.verdict(now + 2 * SECOND), Verdict { count: 1, must_yield: true });
    }

    #[test]
    fn several_are_told_apart_and_bounded() {
        let (mut namesakes, now) = running();
        for second in 0..4 {
            for epoch in 10..30 {
                namesakes.on_beat(epoch, 1000 * (1 + second), now + SECOND * second as u32);
            }
        }
        let verdict = namesakes.verdict(now + 3 * SECOND);
        assert_eq!(verdict, Verdict { count: KNOWN, must_yield: false });
    }
}
