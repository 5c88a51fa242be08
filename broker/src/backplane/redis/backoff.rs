//! How long to wait before the next attempt: longer each time, and never the same for all nodes.

use std::time::Duration;

/// Wait after a first failure.
const FIRST: Duration = Duration::from_millis(50);
/// Longest wait.
const LAST: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Backoff(Duration);

impl Backoff {
    /// Nothing has failed yet.
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// The wait after one more failure: between half and all of what doubles each time.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.0.mul_f64(rand::random_range(0.5..=1.0));
        self.0 = (self.0 * 2).min(LAST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit() {
        let mut backoff = Backoff::new();
        let first = backoff.next();
        assert!(first >= FIRST / 2 && first <= FIRST);
        let waits: Vec<Duration> = (0..20).map(|_| backoff.next()).collect();
        assert!(waits.iter().all(|wait| *wait <= LAST) && waits[19] >= LAST / 2);
    }
}
