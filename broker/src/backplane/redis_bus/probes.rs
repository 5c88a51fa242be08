//! Whether a node hears what is published: it publishes to itself, partition by partition, and looks when that comes
//! back. Pure; the time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::backplane::Partition;

/// How often probes are sent.
pub(super) const INTERVAL: Duration = Duration::from_millis(250);
/// Partitions that are probed each time, beside those that have not answered.
const AT_ONCE: usize = 8;
/// Time without an answer after which a partition is not heard.
const DEAF_AFTER: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// When the first probe was sent that a partition has not answered.
    unanswered: BTreeMap<Partition, Instant>,
    /// The last number of each probe that may still come, by partition, and when it was sent.
    sent: BTreeMap<Partition, (u64, Instant)>,
    next: u8,
    last: u64,
}

impl Probes {
    /// Partitions to be probed now, each with the number of the probe.
    pub(super) fn next(&mut self, now: Instant) -> Vec<(Partition, u64)> {
        let mut chosen: Vec<Partition> = self.unanswered.keys().copied().collect();
        for _ in 0..AT_ONCE {
            let partition = Partition(self.next);
            self.next = self.next.wrapping_add(1);
            if !chosen.contains(&partition) {
                chosen.push(partition);
            }
        }
        let number = |partition: Partition| {
            self.last += 1;
            self.unanswered.entry(partition).or_insert(now);
            self.sent.insert(partition, (self.last, now));
            (partition, self.last)
        };
        chosen.into_iter().map(number).collect()
    }

    /// A probe has come back. How long that took, if it is the last one that was sent there.
    pub(super) fn heard(&mut self, partition: Partition, number: u64, now: Instant) -> Option<Duration> {
        self.unanswered.remove(&partition);
        let (last, sent_at) = self.sent.get(&partition).copied()?;
        if last != number {
            return None;
        }
        self.sent.remove(&partition);
        Some(now.saturating_duration_since(sent_at))
    }

    /// Partitions that have not answered for too long.
    pub(super) fn deaf(&self, now: Instant) -> usize {
        self.unanswered.values().filter(|&&since| now.saturating_duration_since(since) >= DEAF_AFTER).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_its_turn_and_answers_with_its_lag() {
        let start = Instant::now();
        let mut probes = Probes::default();
        let mut seen = vec![0; Partition::COUNT];
        for round in 0..Partition::COUNT / AT_ONCE {
            let now = start + INTERVAL * round as u32;
            for (partition, number) in probes.next(now) {
                seen[usize::from(partition.0)] += 1;
                let lag = Duration::from_millis(3);
                assert_eq!(probes.heard(partition, number, now + lag), Some(lag));
                assert_eq!(probes.heard(partition, number, now + lag), None, "twice");
            }
        }
        assert_eq!(seen, vec![1; Partition::COUNT]);
    }

    #[test]
    fn a_partition_that_does_not_answer_is_probed_again_and_deaf_after_a_second() {
        let start = Instant::now();
        let mut probes = Probes::default();
        let first = probes.next(start);
        let (silent, number) = first[0];
        for &(partition, number) in &first[1..] {
            probes.heard(partition, number, start);
        }
        let again = probes.next(start + INTERVAL);
        assert!(again.iter().any(|&(partition, other)| partition == silent && other > number));
        for &(partition, number) in again.iter().filter(|(partition, _)| *partition != silent) {
            probes.heard(partition, number, start);
        }
        assert_eq!(probes.deaf(start + DEAF_AFTER - Duration::from_millis(1)), 0);
        assert_eq!(probes.deaf(start + DEAF_AFTER), 1);
        assert_eq!(probes.heard(silent, number, start + DEAF_AFTER), None, "late, and yet a sign of life");
        assert_eq!(probes.deaf(start + DEAF_AFTER), 0);
    }
}
