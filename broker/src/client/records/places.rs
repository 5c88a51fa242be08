//! Up to where the logs need not be read for a connection, as its record says.

use std::collections::BTreeMap;

use crate::backplane::store::Place;
use crate::backplane::{Partition, PartitionSet};

/// By partition.
pub(super) type Places = BTreeMap<Partition, Place>;

/// What the record of a connection that is sent what goes to these partitions says next. `own` is what it says now, `common`
/// up to where everything that was noted has reached all members of its worker that have not fallen behind.
pub(super) fn move_on(own: &mut Places, common: &Places, partitions: &PartitionSet, is_behind: bool) {
    own.retain(|partition, _| partitions.contains(*partition));
    for (&partition, &place) in common.iter().filter(|(partition, _)| partitions.contains(**partition)) {
        let known = own.entry(partition).or_insert(place);
        // What one that is behind has not been sent since still has to be read.
        if !is_behind {
            *known = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: &[(u8, u64)]) -> Places {
        let place = |added| Place { added, ..Place::default() };
        all.iter().map(|&(partition, added)| (Partition(partition), place(added))).collect()
    }

    #[test]
    fn places_follow_the_worker_unless_the_connection_is_behind() {
        let all: PartitionSet = [1, 2].map(Partition).into_iter().collect();
        let common = places(&[(1, 10), (2, 20), (3, 30)]);
        let cases = [
            (places(&[]), false, places(&[(1, 10), (2, 20)])),
            (places(&[(1, 5), (3, 5)]), false, places(&[(1, 10), (2, 20)])),
            (places(&[(1, 5), (3, 5)]), true, places(&[(1, 5), (2, 20)])),
        ];
        for (mut own, is_behind, expected) in cases {
            let before = own.clone();
            move_on(&mut own, &common, &all, is_behind);
            assert_eq!(own, expected, "{before:?}, behind: {is_behind}");
        }
    }
}
