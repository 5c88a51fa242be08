//! What this process has published: which number comes next, and what others may still ask for.
//!
//! It belongs behind one lock together with the queue to Redis, so that the numbers leave in their order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lru::LruCache;
use tokio::time::Instant;

use super::ring::{Missed, Published, Ring, RingLimits};
use crate::backplane::Partition;

/// Channels whose last number is known.
const CHANNELS: usize = 65_536;
/// Bytes of their names.
const NAMES: usize = 16 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Sent {
    last: u64,
    channels: LruCache<Box<str>, u64>,
    names: usize,
    ring: Ring,
    /// Numbers of which it is not known yet what is published under them.
    unsettled: BTreeMap<u64, Partition>,
}

/// What an envelope says of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Its number.
    pub(crate) sequence: u64,
    /// The number of the last one to the same channel, 0 when it is not known.
    pub(crate) previous: u64,
}

impl Sent {
    /// Nothing has been published.
    pub(crate) fn new(limits: RingLimits) -> Self {
        let (channels, ring) = (LruCache::unbounded(), Ring::new(limits));
        Self { last: 0, channels, names: 0, ring, unsettled: BTreeMap::new() }
    }

    /// Numbers an envelope to the channel of that name.
    pub(crate) fn stamp(&mut self, channel: &str) -> Stamp {
        self.last += 1;
        let sequence = self.last;
        if let Some(last) = self.channels.get_mut(channel) {
            return Stamp { sequence, previous: std::mem::replace(last, sequence) };
        }
        self.names += channel.len();
        self.channels.put(channel.into(), sequence);
        while self.channels.len() > CHANNELS || self.names > NAMES {
            let Some((name, _)) = self.channels.pop_lru() else {
                break;
            };
            self.names -= name.len();
        }
        Stamp { sequence, previous: 0 }
    }

    /// Takes the last stamp back: nothing was sent under it. A number that nobody ever sees would look like a loss.
    pub(crate) fn take_back(&mut self, channel: &str, stamp: Stamp) {
        self.last = stamp.sequence - 1;
        if stamp.previous > 0 {
            if let Some(last) = self.channels.get_mut(channel) {
                *last = stamp.previous;
            }
        } else if self.channels.pop(channel).is_some() {
            self.names -= channel.len();
        }
    }

    /// Keeps what was sent under a number, for those who miss it.
    pub(crate) fn keep(
        &mut self,
        sequence: u64,
        (partition, channel): (Partition, Arc<str>),
        bytes: Bytes,
        now: Instant,
    ) {
        self.ring.push(sequence, Published { partition, channel, bytes }, now);
    }

    /// It is not known yet whether what was sent under a number is published, or something in its place.
    pub(crate) fn unsettle(&mut self, sequence: u64, partition: Partition) {
        self.unsettled.insert(sequence, partition);
    }

    /// Now it is; `void` has its place if there is one.
    pub(crate) fn settle(&mut self, sequence: u64, void: Option<Bytes>) {
        self.unsettled.remove(&sequence);
        if let Some(void) = void {
            self.ring.replace(sequence, void);
        }
    }

    /// Whether it is known what was published to these partitions up to a number.
    pub(crate) fn is_settled(&self, floors: &[(Partition, u64)], up_to: u64) -> bool {
        let is_wanted = |partition| floors.iter().any(|(wanted, _)| *wanted == partition);
        !self.unsettled.range(..=up_to).any(|(_, partition)| is_wanted(*partition))
    }

    /// The last number that was given, 0 when there is none.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// What was published to these partitions after these numbers, up to a number and not longer ago than this, oldest
    /// first. At most what the limits let it keep.
    pub(crate) fn after(
        &mut self,
        floors: &[(Partition, u64)],
        (up_to, within): (u64, Duration),
        now: Instant,
    ) -> Missed {
        self.ring.after(floors, (up_to, within), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Sent {
        Sent::new(RingLimits { bytes: 1024, age: Duration::from_secs(60) })
    }

    #[test]
    fn each_envelope_names_the_one_before_it_on_its_channel() {
        let mut sent = sent();
        for (channel, sequence, previous) in [("a", 1, 0), ("b", 2, 0), ("a", 3, 1), ("a", 4, 3), ("b", 5, 2)]
        {
            assert_eq!(sent.stamp(channel), Stamp { sequence, previous });
            assert_eq!(sent.last(), sequence);
        }
    }

    #[test]
    fn a_stamp_that_is_taken_back_leaves_no_gap() {
        let mut sent = sent();
        sent.stamp("a");
        for _ in 0..2 {
            for (channel, previous) in [("a", 1), ("b", 0)] {
                let stamp = sent.stamp(channel);
                assert_eq!(stamp, Stamp { sequence: 2, previous });
                sent.take_back(channel, stamp);
            }
        }
        assert_eq!((sent.last(), sent.names), (1, 1));
    }

    #[test]
    fn the_channels_not_used_for_longest_are_forgotten() {
        let mut sent = sent();
        for number in 0..=CHANNELS {
            sent.stamp(&number.to_string());
            sent.stamp("busy");
        }
        assert_eq!(sent.channels.len(), CHANNELS);
        assert_eq!(sent.stamp("0").previous, 0);
        assert_ne!(sent.stamp("busy").previous, 0);
        assert_ne!(sent.stamp(&CHANNELS.to_string()).previous, 0);
        let long = "x".repeat(NAMES / 2);
        for tail in ["a", "b"] {
            sent.stamp(&format!("{long}{tail}"));
        }
        assert_eq!((sent.channels.len(), sent.names), (1, NAMES / 2 + 1));
    }

    #[test]
    fn what_was_sent_can_be_asked_for() {
        let (mut sent, now) = (sent(), Instant::now());
        let stamp = sent.stamp("a");
        sent.keep(stamp.sequence, (Partition(7), "a".into()), Bytes::from_static(b"one"), now);
        let missed = sent.after(&[(Partition(7), 0)], (u64::MAX, Duration::MAX), now);
        assert_eq!(missed.envelopes[0].bytes, "one");
        assert!(missed.lacking.is_empty());
        let second = sent.stamp("a");
        sent.keep(second.sequence, (Partition(7), "a".into()), Bytes::from_static(b"two"), now);
        sent.unsettle(stamp.sequence, Partition(7));
        let is_settled = |sent: &Sent, partition, up_to| sent.is_settled(&[(Partition(partition), 0)], up_to);
        assert!(!is_settled(&sent, 7, stamp.sequence));
        assert!(is_settled(&sent, 8, stamp.sequence) && is_settled(&sent, 7, stamp.sequence - 1));
        for (sequence, void) in [(0, "nobody's"), (stamp.sequence, "void"), (second.sequence + 1, "nobody's")]
        {
            sent.settle(sequence, Some(void.into()));
        }
        assert!(is_settled(&sent, 7, stamp.sequence));
        sent.unsettle(second.sequence, Partition(7));
        sent.settle(second.sequence, None);
        for (up_to, expected) in
            [(stamp.sequence, &[&b"void"[..]][..]), (second.sequence, &[b"void", b"two"])]
        {
            let missed = sent.after(&[(Partition(7), 0)], (up_to, Duration::MAX), now);
            let bytes: Vec<_> = missed.envelopes.iter().map(|published| &published.bytes[..]).collect();
            assert_eq!(bytes, expected);
        }
    }
}
