//! What a process has published of late, for those who have missed it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::backplane::{Partition, PartitionSet};

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
    /// The partitions of which it is not all that was asked for. Older envelopes are gone.
    pub(crate) lacking: PartitionSet,
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

    /// See [`super::Sent::settle`].
    pub(super) fn replace(&mut self, sequence: u64, bytes: Bytes) {
        let at = self.entries.partition_point(|entry| entry.sequence < sequence);
        if let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.sequence == sequence) {
            self.bytes -= entry.len();
            entry.published.bytes = bytes;
            self.bytes += entry.len();
        }
    }

    /// See [`super::Sent::after`].
    pub(super) fn after(
        &mut self,
        floors: &[(Partition, u64)],
        (up_to, within): (u64, Duration),
        now: Instant,
    ) -> Missed {
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
            let is_missed = entry.sequence > wanted[usize::from(entry.published.partition.0)];
            is_missed && entry.sequence <= up_to && is_young(entry.since)
        };
        let envelopes = self.entries.range(first..).filter(is_wanted);
        Missed {
            envelopes: envelopes.map(|entry| entry.published.clone()).collect(),
            lacking: floors
                .iter()
                .map(|(partition, _)| *partition)
                .filter(|partition| {
                    let at = usize::from(partition.0);
                    self.gone[at].is_some_and(|gone| gone.sequence > wanted[at] && is_young(gone.since))
                })
                .collect(),
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

    fn check(ring: &mut Ring, floors: &[(u8, u64)], now: Instant, expected: &[u8], lacking: &[u8]) {
        let floors: Vec<_> = floors.iter().map(|&(partition, floor)| (Partition(partition), floor)).collect();
        let missed = ring.after(&floors, (u64::MAX, Duration::MAX), now);
        let partitions: Vec<_> = missed.envelopes.iter().map(|published| published.partition.0).collect();
        let lacking = lacking.iter().copied().map(Partition).collect();
        assert_eq!((partitions.as_slice(), missed.lacking), (expected, lacking), "{floors:?}");
    }

    #[test]
    fn it_gives_what_was_published_to_the_partitions_after_the_numbers() {
        let (mut ring, now) = (Ring::new(LIMITS), Instant::now());
        for (sequence, partition) in [(1, 7), (2, 8), (3, 7), (4, 9), (5, 8)] {
            ring.push(sequence, published(partition, 10), now);
        }
        check(&mut ring, &[], now, &[], &[]);
        check(&mut ring, &[(7, 0)], now, &[7, 7], &[]);
        check(&mut ring, &[(7, 1), (8, 2)], now, &[7, 8], &[]);
        check(&mut ring, &[(8, 5), (9, 0)], now, &[9], &[]);
        check(&mut ring, &[(8, 2), (8, 0)], now, &[8, 8], &[]);
        check(&mut ring, &[(3, 0)], now, &[], &[]);
    }

    #[test]
    fn it_says_when_what_was_asked_for_is_too_old() {
        let (mut ring, now) = (Ring::new(LIMITS), Instant::now());
        ring.push(1, published(7, 10), now);
        ring.push(2, published(8, 10), now + Duration::from_secs(30));
        let later = now + Duration::from_secs(61);
        check(&mut ring, &[(7, 0)], later, &[], &[7]);
        check(&mut ring, &[(7, 1)], later, &[], &[]);
        // What was published elsewhere does not matter.
        check(&mut ring, &[(8, 0)], later, &[8], &[]);
        check(&mut ring, &[(7, 0), (8, 0)], later, &[8], &[7]);
    }

    #[test]
    fn what_is_older_than_is_asked_for_is_neither_given_nor_missing() {
        let (mut ring, now) = (Ring::new(LIMITS), Instant::now());
        for (sequence, seconds) in [(1, 0), (2, 30), (3, 50)] {
            ring.push(sequence, published(sequence as u8, 10), now + Duration::from_secs(seconds));
        }
        let mut check = |within: u64, expected: &[u8], lacking: &[u8]| {
            let floors = [1, 2, 3].map(|partition| (Partition(partition), 0));
            let later = now + Duration::from_secs(70);
            let missed = ring.after(&floors, (u64::MAX, Duration::from_secs(within)), later);
            let given: Vec<_> = missed.envelopes.iter().map(|published| published.partition.0).collect();
            let lacking = lacking.iter().copied().map(Partition).collect();
            assert_eq!((given.as_slice(), missed.lacking), (expected, lacking), "{within}");
        };
        check(10, &[], &[]);
        check(20, &[3], &[]);
        check(40, &[2, 3], &[]);
        // The first is not kept any more.
        check(69, &[2, 3], &[]);
        check(70, &[2, 3], &[1]);
    }

    #[test]
    fn it_says_when_there_was_no_room_for_what_was_asked_for() {
        let (mut ring, now) = (Ring::new(LIMITS), Instant::now());
        for (sequence, partition) in [(1, 7), (2, 8), (3, 7)] {
            ring.push(sequence, published(partition, 1300), now);
        }
        check(&mut ring, &[(7, 0)], now, &[7], &[7]);
        check(&mut ring, &[(7, 1)], now, &[7], &[]);
        // Larger than all the room.
        ring.push(4, published(9, 5000), now);
        check(&mut ring, &[(9, 3)], now, &[], &[9]);
        assert_eq!(ring.bytes, 0);
    }
}
