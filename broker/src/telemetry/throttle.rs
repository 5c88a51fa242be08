//! Log lines that anybody can cause as often as they like: a few of them are written, the rest are counted.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// In such a time ...
const SPAN: Duration = Duration::from_secs(1);
/// ... so many lines are written.
const LINES: u32 = 10;

/// Lets ten lines a second pass, for one thread.
#[derive(Debug)]
pub struct Throttle {
    since: Cell<Instant>,
    seen: Cell<u32>,
}

/// A line that may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Lines like it that were not written in the second before.
    pub withheld: u32,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { since: Cell::new(Instant::now()), seen: Cell::new(0) }
    }
}

impl Throttle {
    /// Asks whether a line may be written.
    pub fn pass(&self) -> Option<Pass> {
        let now = Instant::now();
        let mut withheld = 0;
        if now.duration_since(self.since.get()) >= SPAN {
            withheld = self.seen.replace(0).saturating_sub(LINES);
            self.since.set(now);
        }
        self.seen.set(self.seen.get().saturating_add(1));
        (self.seen.get() <= LINES).then_some(Pass { withheld })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_lines_a_second_are_written_and_the_rest_is_counted() {
        let throttle = Throttle::default();
        let written = (0..25).filter(|_| throttle.pass().is_some()).count();
        assert_eq!(written, 10);
        tokio::time::advance(SPAN).await;
        assert_eq!(throttle.pass(), Some(Pass { withheld: 15 }));
        assert_eq!(throttle.pass(), Some(Pass { withheld: 0 }));
    }
}
