//! How long a handler's answer to the question whether it wants events holds. A value: time is an argument.
//!
//! Source: `event-handlers.md` 5. `Validations` keeps one for each validation URL and origin.

use std::time::Duration;

use tokio::time::Instant;

use crate::events::webhook::CallError;

/// How long a consent is used before it is asked for again.
const FRESH: Duration = Duration::from_secs(60);
/// Wait after a failure that follows a consent.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Validity {
    last: Last,
    /// Whether somebody is asking.
    asking: bool,
}

#[derive(Debug, Default)]
enum Last {
    #[default]
    Never,
    Agreed {
        at: Instant,
    },
    Failed {
        error: CallError,
        wait: Duration,
        until: Instant,
    },
}

/// What a call has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on: it agreed.
    Go,
    /// Ask anew, and go on meanwhile. Who gets this must say how it ended.
    GoAndAsk,
    /// Ask, and wait for the end. Who gets this must say how it ended.
    Ask,
    /// Wait for the end: somebody asks.
    Wait,
    /// Fail: it did not agree just now.
    Fail(CallError),
}

impl Validity {
    pub(super) fn look(&mut self, now: Instant) -> Verdict {
        let verdict = match &self.last {
            Last::Agreed { at } if self.asking || now < *at + FRESH => Verdict::Go,
            Last::Agreed { .. } => Verdict::GoAndAsk,
            Last::Never | Last::Failed { .. } if self.asking => Verdict::Wait,
            Last::Failed { error, until, .. } if now < *until => Verdict::Fail(error.clone()),
            Last::Never | Last::Failed { .. } => Verdict::Ask,
        };
        self.asking |= matches!(verdict, Verdict::GoAndAsk | Verdict::Ask);
        verdict
    }

    pub(super) fn ended(&mut self, result: Result<(), CallError>, now: Instant) {
        self.asking = false;
        self.last = match result {
            Ok(()) => Last::Agreed { at: now },
            Err(error) => {
                let wait = match &self.last {
                    Last::Agreed { .. } => FIRST_WAIT,
                    Last::Never => FIRST_WAIT * 2,
                    Last::Failed { wait, .. } => (*wait * 2).min(LONGEST_WAIT),
                };
                Last::Failed { error, wait, until: now + wait }
            }
        };
    }

    /// Whoever asked has gone without an answer.
    pub(super) fn abandoned(&mut self) {
        self.asking = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Story {
        validity: Validity,
        start: Instant,
    }

    impl Story {
        fn new() -> Self {
            Self { validity: Validity::default(), start: Instant::now() }
        }

        fn look(&mut self, millisecond: u64, expected: &Verdict) -> &mut Self {
            let now = self.start + Duration::from_millis(millisecond);
            assert_eq!(self.validity.look(now), *expected, "at {millisecond} ms");
            self
        }

        fn agreed(&mut self, millisecond: u64) -> &mut Self {
            self.validity.ended(Ok(()), self.start + Duration::from_millis(millisecond));
            self
        }

        fn failed(&mut self, millisecond: u64) -> &mut Self {
            self.validity.ended(Err(refused()), self.start + Duration::from_millis(millisecond));
            self
        }
    }

    fn refused() -> CallError {
        CallError::NotValidated("it answered 405".into())
    }

    #[test]
    fn a_consent_is_used_for_a_minute_and_then_asked_for_in_the_background() {
        Story::new()
            .look(0, &Verdict::Ask)
            .look(0, &Verdict::Wait)
            .agreed(100)
            .look(100, &Verdict::Go)
            .look(60_099, &Verdict::Go)
            .look(60_100, &Verdict::GoAndAsk)
            .look(60_101, &Verdict::Go)
            .look(500_000, &Verdict::Go)
            .agreed(500_001)
            .look(560_000, &Verdict::Go)
            .look(560_001, &Verdict::GoAndAsk);
    }

    #[test]
    fn failures_in_a_row_wait_twice_as_long_each_time() {
        let mut story = Story::new();
        let mut now = 0;
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            story.look(now, &Verdict::Ask).look(now, &Verdict::Wait).failed(now);
            let next = now + seconds * 1000;
            story.look(now, &Verdict::Fail(refused())).look(next - 1, &Verdict::Fail(refused()));
            now = next;
        }
        story.look(now, &Verdict::Ask).agreed(now).look(now, &Verdict::Go);
    }

    #[test]
    fn the_first_failure_after_a_consent_is_forgiven_after_a_second() {
        Story::new()
            .look(0, &Verdict::Ask)
            .agreed(0)
            .look(60_000, &Verdict::GoAndAsk)
            .failed(61_000)
            .look(61_999, &Verdict::Fail(refused()))
            .look(62_000, &Verdict::Ask)
            .failed(62_000)
            .look(63_999, &Verdict::Fail(refused()))
            .look(64_000, &Verdict::Ask)
            .failed(64_000)
            .look(67_999, &Verdict::Fail(refused()))
            .look(68_000, &Verdict::Ask);
    }

    #[test]
    fn who_goes_without_an_answer_changes_nothing() {
        let mut story = Story::new();
        story.look(0, &Verdict::Ask).validity.abandoned();
        story.look(0, &Verdict::Ask).agreed(0).look(60_000, &Verdict::GoAndAsk).validity.abandoned();
        story.look(60_000, &Verdict::GoAndAsk);
    }
}
