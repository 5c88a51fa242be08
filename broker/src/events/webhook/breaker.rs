//! When a handler that fails again and again is left alone. A value: time is an argument, nothing waits here.
//!
//! Closed until [`TOLERATED`] attempts in a row have failed, then open; one attempt is let through in each [`PAUSE`],
//! whether or not the one before has ended, and the first that is answered closes it. `handlers` keeps one for each
//! handler.

use std::time::Duration;

use tokio::time::Instant;

/// Attempts in a row that may fail.
const TOLERATED: u32 = 20;
/// How long a handler is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
}

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    /// Left alone until then.
    Open {
        until: Instant,
    },
}

/// What may be attempted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// As every day.
    Ordinary,
    /// As the one that finds out. Whoever has it must say how it ended.
    Probe,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The handler is there, whatever it said.
    Answered,
    /// It is not there, or says that it cannot answer now.
    Failed,
    /// Nobody waited for the end.
    Unknown,
}

/// What an end has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that others need to know.
    None,
    /// It was closed and is open.
    Opened,
    /// It was open and is closed.
    Closed,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Asks for an attempt. Nothing means that the handler is left alone.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Pass> {
        match self.state {
            State::Closed { .. } => Some(Pass::Ordinary),
            State::Open { until } if now >= until => {
                // This one may wait for very long, and the handler be well again in the meantime.
                self.state = State::Open { until: now + PAUSE };
                Some(Pass::Probe)
            }
            State::Open { .. } => None,
        }
    }

    /// Whether [`Self::admit`] would give nothing.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { until } => now < until,
        }
    }

    /// Takes note of the end of an attempt.
    pub(super) fn ended(&mut self, pass: Pass, ended: Ended, now: Instant) -> Change {
        match (ended, pass, &mut self.state) {
            (Ended::Answered, _, State::Closed { failures }) => *failures = 0,
            (Ended::Answered, ..) => {
                self.state = State::default();
                return Change::Closed;
            }
            (Ended::Failed, _, State::Closed { failures }) => {
                *failures += 1;
                if *failures >= TOLERATED {
                    self.state = State::Open { until: now + PAUSE };
                    return Change::Opened;
                }
            }
            (Ended::Failed, Pass::Probe, State::Open { until }) => *until = now + PAUSE,
            // The next one may find out.
            (Ended::Unknown, Pass::Probe, State::Open { until }) => *until = now,
            // An attempt from before it opened says nothing new.
            (Ended::Failed | Ended::Unknown, ..) => {}
        }
        Change::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Story {
        breaker: Breaker,
        start: Instant,
    }

    impl Story {
        fn new(failures: u32) -> Self {
            let mut story = Self { breaker: Breaker::default(), start: Instant::now() };
            for number in 1..=failures {
                let expected = if number == TOLERATED { Change::Opened } else { Change::None };
                story.ended(0, Pass::Ordinary, Ended::Failed, expected);
            }
            story
        }

        fn admit(&mut self, second: u64, expected: Option<Pass>) {
            let now = self.start + Duration::from_secs(second);
            assert_eq!(self.breaker.is_open(now), expected.is_none(), "at {second} s");
            assert_eq!(self.breaker.admit(now), expected, "at {second} s");
        }

        fn ended(&mut self, second: u64, pass: Pass, ended: Ended, expected: Change) {
            let now = self.start + Duration::from_secs(second);
            assert_eq!(self.breaker.ended(pass, ended, now), expected, "at {second} s");
        }
    }

    #[test]
    fn it_opens_at_the_twentieth_failure_in_a_row() {
        let mut story = Story::new(19);
        story.admit(0, Some(Pass::Ordinary));
        story.ended(0, Pass::Ordinary, Ended::Answered, Change::None);
        for _ in 0..19 {
            story.ended(0, Pass::Ordinary, Ended::Failed, Change::None);
        }
        story.admit(0, Some(Pass::Ordinary));
        story.ended(0, Pass::Ordinary, Ended::Failed, Change::Opened);
        story.admit(0, None);
        story.admit(4, None);
    }

    #[test]
    fn one_probe_in_each_pause_finds_out() {
        let mut story = Story::new(20);
        story.admit(5, Some(Pass::Probe));
        story.admit(5, None);
        story.admit(9, None);
        story.ended(9, Pass::Probe, Ended::Failed, Change::None);
        story.admit(13, None);
        story.admit(14, Some(Pass::Probe));
        story.admit(18, None);
        // The one before is still waiting for its answer.
        story.admit(65, Some(Pass::Probe));
        story.ended(65, Pass::Probe, Ended::Unknown, Change::None);
        story.admit(65, Some(Pass::Probe));
        story.ended(66, Pass::Probe, Ended::Answered, Change::Closed);
        story.admit(66, Some(Pass::Ordinary));
        story.ended(66, Pass::Ordinary, Ended::Failed, Change::None);
        story.admit(66, Some(Pass::Ordinary));
    }

    #[test]
    fn attempts_from_before_may_close_it_but_do_not_keep_it_open() {
        let mut story = Story::new(20);
        story.ended(4, Pass::Ordinary, Ended::Failed, Change::None);
        story.ended(4, Pass::Ordinary, Ended::Unknown, Change::None);
        story.admit(5, Some(Pass::Probe));
        story.ended(5, Pass::Ordinary, Ended::Failed, Change::None);
        story.admit(5, None);
        story.ended(6, Pass::Ordinary, Ended::Answered, Change::Closed);
        story.ended(7, Pass::Probe, Ended::Failed, Change::None);
        story.admit(7, Some(Pass::Ordinary));
    }
}
