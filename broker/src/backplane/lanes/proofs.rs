//! Until when everything has certainly come that Redis had taken. A node that hears what it has published itself knows that
//! it has heard whatever Redis took before that, on all channels that come over the same connection.

use tokio::time::Instant;

use crate::backplane::{Partition, PartitionSet};

/// See the module. One time for each partition.
#[derive(Debug)]
pub(super) struct Proofs {
    until: Box<[Option<Instant>; Partition::COUNT]>,
}

impl Proofs {
    /// Nothing is proven.
    pub(super) fn new() -> Self {
        Self { until: Box::new([None; Partition::COUNT]) }
    }

    /// Whatever Redis had taken of these partitions at that time has come, where it could be heard.
    pub(super) fn prove(&mut self, partitions: &PartitionSet, at: Instant) {
        for partition in partitions.iter() {
            let until = &mut self.until[usize::from(partition.0)];
            *until = (*until).max(Some(at));
        }
    }

    /// The partitions of these of which it is not proven that what Redis had taken at that time has come.
    pub(super) fn lacking(&self, partitions: &PartitionSet, at: Instant) -> PartitionSet {
        partitions.iter().filter(|partition| self.until[usize::from(partition.0)] < Some(at)).collect()
    }

    /// Until when it is proven of every partition; nothing when there is one of which nothing is.
    pub(super) fn of_all(&self) -> Option<Instant> {
        self.until.iter().copied().min().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_proof_holds_for_its_partitions_and_for_what_was_before_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let set = |numbers: &[u8]| numbers.iter().copied().map(Partition).collect::<PartitionSet>();
        let mut proofs = Proofs::new();
        assert_eq!(proofs.lacking(&set(&[1, 2]), at(0)), set(&[1, 2]));
        proofs.prove(&set(&[1]), at(5));
        // One that was slower on its way back.
        proofs.prove(&set(&[1]), at(4));
        assert_eq!(proofs.lacking(&set(&[1, 2]), at(5)), set(&[2]));
        assert_eq!(proofs.lacking(&set(&[1]), at(6)), set(&[1]));
        assert_eq!(proofs.of_all(), None);
        proofs.prove(&PartitionSet::ALL, at(3));
        assert_eq!(proofs.of_all(), Some(at(3)));
        proofs.prove(&PartitionSet::ALL, at(7));
        assert_eq!(proofs.of_all(), Some(at(7)));
    }
}
