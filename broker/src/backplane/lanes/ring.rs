//! What a process has published of late, for those who have missed it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::backplane::Partition;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingLimits {
    /// Bytes of envelopes, the names of their channels, and what it takes to keep them.
    pub(crate) bytes: usize,
    /// How long.
    pub(crate) age: Duration,
}

/// An envelope as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// The partition of its channel.
    pub(crate) partition: Partition,
    /// The channel's name.
    pub(crate) channel: Arc<str>,
    /// What was sent.
    pub(crate) bytes: Bytes,
}

/// What somebody has missed.
#[derive(Debug)]
pub(crate) struct Missed {
    /// In the order of the numbers.
    pub(crate) envelopes: Vec<Published>,
    /// Whether it is all that was asked for. Older envelopes may be gone.
    pub(crate) is_complete: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ring {
    limits: RingLimits,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// For each partition what was published to it last and is not kept any more, if there is such.
    gone: Box<[Option<Gone>; Partition::COUNT]>,
}

#[derive(Debug)]
struct Entry {
    sequence: u64,
    since: Instant,
    published: Published,
}

#[derive(Debug, Clone, Copy)]
struct Gone {
    sequence: u64,
    since: Instant,
}

impl Entry {
    fn len(&self) -> usize {
        self.published.bytes.len() + self.published.channel.len() + size_of::<Self>()
    }
}

impl Ring {
    pub(super) fn new(limits: RingLimits) -> Self {
        Self { limits, entries: VecDeque::new(), bytes: 0, gone: Box::new([None; Partition::COUNT]) }
    }

    /// Keeps one more. Numbers rise.
    pub(super) fn push(&mut self, sequence: u64, published: Published, now: Instant) {
        let entry = Entry { sequence, since: now, published };
        self.bytes += entry.len();
        self.entries.push_back(entry);
        self.drop_old(now);
    }

    /// See [`super::Sent::after`].
    pub(super) fn after(&mut self, floors: &[(Partition, u64)], within: Duration, now: Instant) -> Missed {
        self.drop_old(now);
        let mut wanted = [u64::MAX; Partition::COUNT];
        for &(partition, floor) in floors {
            let wanted = &mut wanted[usize::from(partition.0)];
            *wanted = floor.min(*wanted);
        }
        let lowest = wanted.iter().copied().min().unwrap_or(u64::MAX);
        let first = self.entries.partition_point(|entry| entry.sequence <= lowest);
        let is_young = |since: Instant| now.saturating_duration_since(since) <= within;
        let is_wanted = |entry: &&Entry| {
            entry.sequence > wanted[usize::from(entry.published.partition.0)] && is_young(entry.since)
        };
        let envelopes = self.entries.range(first..).filter(is_wanted);
        Missed {
            envelopes: envelopes.map(|entry| entry.published.clone()).collect(),
            is_complete: wanted.iter().zip(self.gone.iter()).all(|(floor, gone)| {
                gone.is_none_or(|gone| gone.sequence <= *floor || !is_young(gone.since))
            }),
        }
    }

    fn drop_old(&mut self, now: Instant) {
        while let Some(oldest) = self.entries.front() {
            if self.bytes <= self.limits.bytes && now.duration_since(oldest.since) <= self.limits.age {
                break;
            }
            let gone = Gone { sequence: oldest.sequence, since: oldest.since };
            self.gone[usize::from(oldest.published.partition.0)] = Some(gone);
            self.bytes -= oldest.len();
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RingLimits = RingLimits { bytes: 4 * 1024, age: Duration::from_secs(60) };

    fn published(partition: u8, len: usize) -> Published {
        Published {
            partition: Partition(partition),
            channel: Arc::from("c"),
            bytes: Bytes::from(vec![partition; len]),
        }
    }

    fn check(ring: &mut Ring, floors: &[(u8, u64)], now: Instant, expected: &[u8], is_complete: bool) {
        let floors: Vec<_> = floors.iter().map(|&(partition, floor)| (Partition(partition), floor)).collect();
        let missed = ring.after(&floors, Duration::MAX, now);
        let partitions: Vec<_> = missed.envelopes.iter().map(|published| published.partition.0).collect();
        assert_eq!((partitions.as_slice(), missed.is_complete), (expected, is_complete), "{floors:?}");
    }

    #[test]
    fn it_gives_what_was_published_to_the_partitions_after_the_numbers() {
        let (mut ring, now) = (Ring::new(LIMITS), Instant::now());
        for (sequence, partition) in [(1, 7), (2, 8), (3, 7), (4, 9), (5, 8)] {
            ring.push(sequence, published(partition, 10), now);
        }
        check(&mut ring, &[], now, &[], true);
        check(&mut ring, &[(7, 0)], now, &[7, 7], true);
        check(&mut ring, &[(7, 1), (8, 2)], now, &[7, 8], true);
        check(&mut ring, &[(8, 5), (9, 0)], now, &[9], true);
        check(&mut ring, &[(8, 2), (8, 0)], now, &[8, 8], true);
        check(&mut ring, &[(3, 0)], now, &[], true);
    }

    #[test]
    fn it_says_when_what_was_asked_for_is_too_old() {
        let (mut ring, now) = (Ring::new(LIMITS), Instant::now());
        ring.push(1, published(7, 10), now);
        ring.push(2, published(8, 10), now + Duration::from_secs(30));
        let later = now + Duration::from_secs(61);
        check(&mut ring, &[(7, 0)], later, &[], false);
        check(&mut ring, &[(7, 1)], later, &[], true);
        // What was published elsewhere does not matter.
        check(&mut ring, &[(8, 0)], later, &[8], true);
        check(&mut ring, &[(7, 0), (8, 0)], later, &[8], false);
    }

    #[test]
    fn what_is_older_than_is_asked_for_is_neither_given_nor_missing() {
        let (mut ring, now) = (Ring::new(LIMITS), Instant::now());
        for (sequence, seconds) in [(1, 0), (2, 30), (3, 50)] {
            ring.push(sequence, published(sequence as u8, 10), now + Duration::from_secs(seconds));
        }
        let mut check = |within: u64, expected: &[u8], is_complete: bool| {
            let floors = [1, 2, 3].map(|partition| (Partition(partition), 0));
            let later = now + Duration::from_secs(70);
            let missed = ring.after(&floors, Duration::from_secs(within), later);
            let given: Vec<_> = missed.envelopes.iter().map(|published| published.partition.0).collect();
            assert_eq!((given.as_slice(), missed.is_complete), (expected, is_complete), "{within}");
        };
        check(10, &[], true);
        check(20, &[3], true);
        check(40, &[2, 3], true);
        // The first is not kept any more.
        check(69, &[2, 3], true);
        check(70, &[2, 3], false);
    }

    #[test]
    fn it_says_when_there_was_no_room_for_what_was_asked_for() {
        let (mut ring, now) = (Ring::new(LIMITS), Instant::now());
        for (sequence, partition) in [(1, 7), (2, 8), (3, 7)] {
            ring.push(sequence, published(partition, 1300), now);
        }
        check(&mut ring, &[(7, 0)], now, &[7], false);
        check(&mut ring, &[(7, 1)], now, &[7], true);
        // Larger than all the room.
        ring.push(4, published(9, 5000), now);
        check(&mut ring, &[(9, 3)], now, &[], false);
        assert_eq!(ring.bytes, 0);
    }
}
