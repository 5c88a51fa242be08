//! Which requests of a connection have been carried out, so that a repeated one is not carried out twice.

use std::collections::VecDeque;

use codec::ids::AckId;

/// Most ids that are remembered; the oldest goes first. Source: `limits.md` 3.
const MAX_IDS: usize = 1000;

/// The ids of the last successful requests.
///
/// Clients count their ids upwards, so they are kept as runs: the usual connection needs one, however much it sends.
#[derive(Debug, Default)]
pub(super) struct AckCache {
    runs: VecDeque<Run>,
    count: usize,
}

/// Ids that follow each other, remembered in this order.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: u64,
    last: u64,
}

impl AckCache {
    /// Whether the request has been carried out.
    pub(super) fn contains(&self, AckId(id): AckId) -> bool {
        self.runs.iter().any(|run| (run.first..=run.last).contains(&id))
    }

    /// Notes that the request has been carried out. The id must not be remembered yet.
    pub(super) fn remember(&mut self, AckId(id): AckId) {
        match self.runs.back_mut() {
            Some(run) if run.last.checked_add(1) == Some(id) => run.last = id,
            _ => self.runs.push_back(Run { first: id, last: id }),
        }
        self.count += 1;
        if self.count > MAX_IDS {
            self.forget_oldest();
        }
    }

    /// First and last of ids that follow each other, the oldest first.
    pub(super) fn export(&self) -> Vec<(u64, u64)> {
        self.runs.iter().map(|run| (run.first, run.last)).collect()
    }

    /// Remembers what another node did, as far as there is room for it.
    pub(super) fn import(&mut self, runs: &[(u64, u64)]) {
        for &(first, last) in runs {
            // No more than so many can be remembered, whatever is said.
            let from = first.max(last.saturating_sub(MAX_IDS as u64 - 1));
            (from..=last).map(AckId).for_each(|id| {
                if !self.contains(id) {
                    self.remember(id);
                }
            });
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.runs.front_mut() else {
            return;
        };
        if oldest.first == oldest.last {
            self.runs.pop_front();
        } else {
            oldest.first += 1;
        }
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_1001st_id_pushes_out_the_first() {
        let mut cache = AckCache::default();
        (1..=1000).for_each(|id| cache.remember(AckId(id)));
        assert!(cache.contains(AckId(1)) && cache.runs.len() == 1);
        cache.remember(AckId(1001));
        assert!(!cache.contains(AckId(1)));
        assert!(cache.contains(AckId(2)) && cache.contains(AckId(1001)));
    }

    #[test]
    fn the_ends_of_the_range_are_ordinary_ids() {
        let mut cache = AckCache::default();
        for id in [u64::MAX - 1, u64::MAX, 0] {
            assert!(!cache.contains(AckId(id)));
            cache.remember(AckId(id));
            assert!(cache.contains(AckId(id)));
        }
    }

    proptest! {
        #[test]
        fn runs_remember_what_a_plain_list_would(ids in proptest::collection::vec(0_u64..1500, 0..3000)) {
            let mut cache = AckCache::default();
            let mut list = VecDeque::new();
            for id in ids {
                prop_assert_eq!(cache.contains(AckId(id)), list.contains(&id));
                if !list.contains(&id) {
                    cache.remember(AckId(id));
                    list.push_back(id);
                    if list.len() > MAX_IDS {
                        list.pop_front();
                    }
                }
            }
        }
    }
}
