//! When which connection is to be looked at, for a ping or because it has been without a socket for long, without a timer for each: a wheel with a slot for every second.
//!
//! Times are whole seconds since the worker's start. The wheel is a value; the worker turns it once a second.

use crate::hub::MemberKey;

/// Longest interval between pings in seconds (`limits.md` 4), which is as far as the wheel has to look ahead.
const MAX_INTERVAL: u32 = 120;
/// Grace that a silent connection has after two missed intervals.
const GRACE: u32 = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<MemberKey>>,
    now: u32,
}

/// What is due for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A ping; look again at this time.
    Ping { next: u32 },
    /// Nothing; look again at this time.
    Later { next: u32 },
    /// The end: it has been silent for too long.
    Timeout,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { slots: vec![Vec::new(); MAX_INTERVAL as usize + 1], now: 0 }
    }
}

impl Wheel {
    /// The time.
    pub(super) fn now(&self) -> u32 {
        self.now
    }

    /// Looks at a connection at this time, or at the next turn if that has passed, or as late as possible. Gives the time
    /// at which it will be.
    pub(super) fn add(&mut self, key: MemberKey, at: u32) -> u32 {
        let at = at.clamp(self.now + 1, self.now + MAX_INTERVAL);
        let slot = self.slot(at);
        self.slots[slot].push(key);
        at
    }

    /// Turns the wheel by one second and gives the connections to look at.
    pub(super) fn turn(&mut self) -> Vec<MemberKey> {
        self.now += 1;
        let slot = self.slot(self.now);
        std::mem::take(&mut self.slots[slot])
    }

    fn slot(&self, at: u32) -> usize {
        at as usize % self.slots.len()
    }
}

/// What is due at `now` for a connection that was pinged every `interval` seconds and heard last at `last_seen`.
pub(super) fn due(now: u32, last_seen: u32, interval: u32) -> Due {
    let deadline = last_seen + 2 * interval + GRACE;
    if now >= deadline {
        return Due::Timeout;
    }
    let next = (now + interval).min(deadline);
    // Close to the deadline the next look is early; a ping too many would do no harm, but none is due.
    if now > last_seen + 2 * interval { Due::Later { next } } else { Due::Ping { next } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::SlotMap;

    #[test]
    fn a_connection_is_looked_at_when_asked() {
        let mut keys = SlotMap::<MemberKey, ()>::default();
        let mut wheel = Wheel::default();
        for (at, expected) in [(1, 1), (120, 120), (0, 1), (500, 120)] {
            let key = keys.insert(());
            let start = wheel.now();
            assert_eq!(wheel.add(key, start + at), start + expected);
            let turned = (1..=200).find(|_| wheel.turn().contains(&key));
            assert_eq!(turned, Some(expected), "asked for {at}");
        }
    }

    #[test]
    fn silence_ends_after_two_intervals_and_ten_seconds() {
        let check = |now, last_seen, interval, expected| assert_eq!(due(now, last_seen, interval), expected);
        check(20, 0, 20, Due::Ping { next: 40 });
        check(40, 0, 20, Due::Ping { next: 50 });
        check(50, 0, 20, Due::Timeout);
        check(49, 0, 20, Due::Later { next: 50 });
        check(40, 39, 20, Due::Ping { next: 60 });
        check(3, 0, 1, Due::Later { next: 4 });
        check(12, 0, 1, Due::Timeout);
    }
}
