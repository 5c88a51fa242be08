//! Calls to event handlers, by hub.

use std::time::Instant;

use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram};

use super::CALL_FAILURES;

pub(super) const CALLS: &str = "hubbub_handler_calls_total";
pub(super) const SECONDS: &str = "hubbub_handler_call_seconds";
pub(super) const IN_FLIGHT: &str = "hubbub_handler_calls_in_flight";
pub(super) const WAITING: &str = "hubbub_handler_waiting";

/// Upper bounds of the histogram of calls, in seconds.
pub(super) const BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 25.0, 100.0];

const SUCCEEDED: &str = "succeeded";
const ABANDONED: &str = "abandoned";

/// Calls to the event handlers of one hub.
#[derive(Clone)]
pub struct HandlerCalls {
    outcomes: Box<[(&'static str, Counter)]>,
    seconds: Histogram,
    in_flight: Gauge,
    waiting: Gauge,
}

/// A call, counted when it is dropped.
pub struct Counted<'a> {
    calls: &'a HandlerCalls,
    begun: Instant,
    /// `succeeded`, or one of [`CALL_FAILURES`].
    pub outcome: &'static str,
}

/// One more of something, until it is dropped.
pub struct Held<'a>(&'a Gauge);

impl HandlerCalls {
    pub(super) fn labelled(hub: &str) -> Self {
        let outcomes = CALL_FAILURES.into_iter().chain([SUCCEEDED]);
        let gauge = |name: &'static str| metrics::gauge!(name, "hub" => hub.to_owned());
        Self {
            outcomes: outcomes
                .map(|outcome| (outcome, counter!(CALLS, "hub" => hub.to_owned(), "outcome" => outcome)))
                .collect(),
            seconds: metrics::histogram!(SECONDS, "hub" => hub.to_owned()),
            in_flight: gauge(IN_FLIGHT),
            waiting: gauge(WAITING),
        }
    }

    /// A call begins. Unless its outcome is set it counts as abandoned.
    pub fn begin(&self) -> Counted<'_> {
        Counted { calls: self, begun: Instant::now(), outcome: ABANDONED }
    }

    /// A call is under way.
    pub fn in_flight(&self) -> Held<'_> {
        Held::new(&self.in_flight)
    }

    /// A call waits.
    pub fn waiting(&self) -> Held<'_> {
        Held::new(&self.waiting)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some((_, counter)) = self.calls.outcomes.iter().find(|(name, _)| *name == self.outcome) {
            counter.increment(1);
        }
        self.calls.seconds.record(self.begun.elapsed().as_secs_f64());
    }
}

impl<'a> Held<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

pub(super) fn describe() {
    describe_counter!(CALLS, "Calls to event handlers, by hub (those that settings name) and outcome.");
    describe_histogram!(
        SECONDS,
        "Time from an event to its handler's answer, with all attempts, in seconds."
    );
    describe_gauge!(IN_FLIGHT, "Calls to event handlers under way, those that wait to try again among them.");
    describe_gauge!(WAITING, "Calls to event handlers that wait for a place or for the handler's consent.");
}
