//! What is wrong with a node's links, as one fault: the one whose cure is known best. Pure.

use std::time::Duration;

use crate::backplane::LinkFault;
use crate::backplane::redis::LinkState;

/// What waits for so long does not go out as it should.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// What can be seen of the links.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    /// What the links say.
    pub(super) state: LinkState,
    /// Partitions whose probes do not come back.
    pub(super) deaf: usize,
    /// How long the oldest message has been waiting.
    pub(super) waiting: Duration,
    /// Another node has this one's id, and the better right to it.
    pub(super) must_yield: bool,
}

impl Signs {
    /// What they mean, if anything is wrong.
    pub(super) fn fault(&self) -> Option<LinkFault> {
        let LinkState { publishing, hearing, refused } = self.state;
        let faults = [
            (self.must_yield, LinkFault::SameId),
            (refused, LinkFault::Refused),
            (!hearing, LinkFault::Deaf),
            (!publishing, LinkFault::Mute),
            // Probes wait too, and do not come back then.
            (self.waiting >= STUCK_AFTER, LinkFault::Stuck),
            (self.deaf > 0, LinkFault::Deaf),
        ];
        faults.into_iter().find(|(is_there, _)| *is_there).map(|(_, fault)| fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fault_is_the_one_whose_cure_is_known_best() {
        let well = Signs {
            state: LinkState { publishing: true, hearing: true, refused: false },
            deaf: 0,
            waiting: STUCK_AFTER - Duration::from_millis(1),
            must_yield: false,
        };
        let check = |change: fn(&mut Signs), expected| {
            let mut signs = well;
            change(&mut signs);
            assert_eq!(signs.fault(), expected, "{signs:?}");
        };
        check(|_| {}, None);
        check(|signs| signs.deaf = 1, Some(LinkFault::Deaf));
        check(|signs| signs.state.hearing = false, Some(LinkFault::Deaf));
        check(|signs| signs.state.publishing = false, Some(LinkFault::Mute));
        check(|signs| signs.state = LinkState::default(), Some(LinkFault::Deaf));
        check(|signs| (signs.waiting, signs.deaf) = (STUCK_AFTER, 8), Some(LinkFault::Stuck));
        check(|signs| (signs.state.refused, signs.deaf) = (true, 8), Some(LinkFault::Refused));
        check(|signs| (signs.must_yield, signs.deaf) = (true, 8), Some(LinkFault::SameId));
    }
}
