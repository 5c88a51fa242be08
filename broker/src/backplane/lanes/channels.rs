//! The last number that was heard on each channel, of each process that publishes there.

use lru::LruCache;

/// Numbers that are known, of all channels together. A node hears only what it watches, and says which channels it does
/// not watch any more, so this is more than it takes.
const NUMBERS: usize = 1 << 20;
/// Bytes of the names of the channels.
const NAMES: usize = 128 << 20;

/// Stands for one process among all that have been heard. Never used twice.
pub(super) type Run = u64;

/// See the module.
#[derive(Debug)]
pub(super) struct Channels {
    lasts: LruCache<Box<str>, Vec<Last>>,
    numbers: usize,
    names: usize,
}

#[derive(Debug)]
struct Last {
    run: Run,
    sequence: u64,
}

impl Channels {
    pub(super) fn new() -> Self {
        Self { lasts: LruCache::unbounded(), numbers: 0, names: 0 }
    }

    /// The last number of the process on the channel, unless nothing is known.
    pub(super) fn last_mut(&mut self, channel: &str, run: Run) -> Option<&mut u64> {
        let lasts = self.lasts.get_mut(channel)?;
        lasts.iter_mut().find(|last| last.run == run).map(|last| &mut last.sequence)
    }

    /// Notes the first number of the process on the channel.
    pub(super) fn insert(&mut self, channel: &str, run: Run, sequence: u64) {
        let last = Last { run, sequence };
        self.numbers += 1;
        if let Some(lasts) = self.lasts.get_mut(channel) {
            lasts.push(last);
        } else {
            self.names += channel.len();
            self.lasts.put(channel.into(), vec![last]);
        }
        while self.numbers > NUMBERS || self.names > NAMES {
            let Some((name, lasts)) = self.lasts.pop_lru() else {
                break;
            };
            self.names -= name.len();
            self.numbers -= lasts.len();
        }
    }

    pub(super) fn forget_channel(&mut self, channel: &str) {
        if let Some(lasts) = self.lasts.pop(channel) {
            self.names -= channel.len();
            self.numbers -= lasts.len();
        }
    }

    /// Forgets all numbers of a process.
    pub(super) fn forget_run(&mut self, run: Run) {
        for (_, lasts) in self.lasts.iter_mut() {
            let before = lasts.len();
            lasts.retain(|last| last.run != run);
            self.numbers -= before - lasts.len();
        }
        let names = &mut self.names;
        self.lasts.retain(|name, lasts| {
            if lasts.is_empty() {
                *names -= name.len();
            }
            !lasts.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_known_by_channel_and_process_until_they_are_forgotten() {
        let mut channels = Channels::new();
        channels.insert("a", 1, 10);
        channels.insert("a", 2, 20);
        channels.insert("b", 1, 30);
        assert_eq!(channels.last_mut("a", 2), Some(&mut 20));
        *channels.last_mut("a", 2).unwrap() = 21;
        assert_eq!(channels.last_mut("b", 2), None);
        channels.forget_run(1);
        assert_eq!(channels.last_mut("a", 1), None);
        assert_eq!(channels.last_mut("a", 2), Some(&mut 21));
        assert_eq!((channels.lasts.len(), channels.numbers, channels.names), (1, 1, 1));
        channels.forget_channel("a");
        assert_eq!(channels.last_mut("a", 2), None);
        assert_eq!((channels.numbers, channels.names), (0, 0));
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let mut channels = Channels::new();
        channels.insert("old", 0, 1);
        for run in 0..NUMBERS as Run {
            channels.insert("busy", run, 1);
        }
        assert_eq!(channels.last_mut("old", 0), None);
        assert_eq!(channels.numbers, NUMBERS);
        let long = "x".repeat(NAMES / 2);
        channels.insert(&format!("{long}a"), 0, 1);
        channels.insert(&format!("{long}b"), 0, 1);
        assert_eq!((channels.lasts.len(), channels.names), (1, NAMES / 2 + 1));
    }
}
