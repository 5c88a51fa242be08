//! A set of partitions, as bits.

use crate::backplane::Partition;

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionSet([u64; Partition::COUNT / 64]);

impl PartitionSet {
    /// Adds one.
    pub fn insert(&mut self, partition: Partition) {
        let (word, bit) = place(partition);
        self.0[word] |= bit;
    }

    /// Whether it is there.
    pub fn contains(&self, partition: Partition) -> bool {
        let (word, bit) = place(partition);
        self.0[word] & bit != 0
    }

    /// Whether none is there.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Adds all of the other set.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    /// Takes all of the other set out.
    pub fn remove(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
    }

    /// All that are there, in rising order.
    pub fn iter(&self) -> impl Iterator<Item = Partition> {
        (0..=u8::MAX).map(Partition).filter(|partition| self.contains(*partition))
    }
}

impl FromIterator<Partition> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = Partition>>(partitions: I) -> Self {
        let mut set = Self::default();
        partitions.into_iter().for_each(|partition| set.insert(partition));
        set
    }
}

fn place(Partition(number): Partition) -> (usize, u64) {
    (usize::from(number) / 64, 1 << (number % 64))
}
