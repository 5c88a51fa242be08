//! A set of partitions, as small as a number. Everyone here who speaks of several partitions uses it.

use std::fmt;

use super::Partition;

/// Words of 64 bits that hold a bit for each partition.
const WORDS: usize = Partition::COUNT / 64;

/// Some of the partitions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionSet([u64; WORDS]);

impl PartitionSet {
    /// None of them.
    pub const EMPTY: Self = Self([0; WORDS]);
    /// All of them.
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    /// Adds one; whether it was not yet there.
    pub fn insert(&mut self, partition: Partition) -> bool {
        let (word, bit) = place(partition);
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    /// Adds all of the other set.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    /// Takes all of the other set out.
    pub fn subtract(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
    }

    /// Those that are not in the other set.
    pub fn without(mut self, other: &Self) -> Self {
        self.subtract(other);
        self
    }

    /// Takes one out; whether it was there.
    pub fn remove(&mut self, partition: Partition) -> bool {
        let (word, bit) = place(partition);
        let there = self.0[word] & bit != 0;
        self.0[word] &= !bit;
        there
    }

    /// Whether it is one of them.
    pub fn contains(&self, partition: Partition) -> bool {
        let (word, bit) = place(partition);
        self.0[word] & bit != 0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Them, in rising order.
    pub fn iter(&self) -> impl Iterator<Item = Partition> + '_ {
        all().filter(|partition| self.contains(*partition))
    }
}

impl FromIterator<Partition> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = Partition>>(partitions: I) -> Self {
        let mut set = Self::EMPTY;
        for partition in partitions {
            set.insert(partition);
        }
        set
    }
}

impl fmt::Debug for PartitionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|partition| partition.0)).finish()
    }
}

/// Every partition, in rising order.
pub(super) fn all() -> impl Iterator<Item = Partition> {
    (0..=u8::MAX).map(Partition)
}

fn place(partition: Partition) -> (usize, u64) {
    (usize::from(partition.0 / 64), 1 << (partition.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set: PartitionSet = [0, 63, 64, 255].map(Partition).into_iter().collect();
        assert_eq!(set.iter().map(|partition| partition.0).collect::<Vec<_>>(), [0, 63, 64, 255]);
        assert!(set.remove(Partition(64)) && !set.remove(Partition(64)) && !set.contains(Partition(64)));
        assert!(!set.insert(Partition(0)) && set.insert(Partition(1)));
        assert_eq!(set.len(), 4);
        let mut more: PartitionSet = [1, 7].map(Partition).into_iter().collect();
        more.add(&set);
        assert_eq!(more.len(), 5);
        more.subtract(&set);
        assert_eq!(more.iter().collect::<Vec<_>>(), [Partition(7)]);
        assert_eq!(all().collect::<PartitionSet>(), PartitionSet::ALL);
    }
}
