//! Which other nodes there are: who says each second that it is there, who has said farewell, and who has fallen silent
//! although this node would have heard it. Pure; the time is an argument.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use codec::ids::NodeId;
use tokio::time::Instant;

use crate::backplane::Standing;

/// After so long without a sign of life a node is not counted on. Longer than two beats take.
const SILENT_AFTER: Duration = Duration::from_millis(2500);
/// After so long without a sign of life it is gone, if this node has been hearing all the while.
const GONE_AFTER: Duration = Duration::from_secs(6);
/// Looks are taken more often than this. Whoever misses that has been paused, and may have missed anything.
const PAUSED: Duration = Duration::from_secs(1);
/// Nodes that are known at the same time.
const KNOWN: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Nodes {
    own: NodeId,
    known: HashMap<NodeId, Known>,
    /// Since when this node has been hearing without a break; absent while it does not.
    hearing_since: Option<Instant>,
    looked_at: Instant,
}

#[derive(Debug)]
struct Known {
    epoch: u64,
    heard_at: Instant,
    run: Run,
}

/// What is known of a node's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// It has not said farewell.
    Lasts,
    /// It has, and no other one can have begun unheard.
    Ended,
    /// It has, and another one may have begun unheard.
    Doubtful,
}

/// Whether a run of a node was known before it spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// It may not know this node either.
    New,
    /// It was, or there is no room for it.
    Before,
}

impl Nodes {
    /// Nobody has been heard of yet.
    pub(super) fn new(own: NodeId, now: Instant) -> Self {
        Self { own, known: HashMap::new(), hearing_since: None, looked_at: now }
    }

    /// A node says that it is there. A run that has said farewell does not come back: that is a repetition.
    pub(super) fn on_beat(&mut self, (node, epoch): (&NodeId, u64), now: Instant) -> Met {
        if *node == self.own {
            return Met::Before;
        }
        let alive = Known { epoch, heard_at: now, run: Run::Lasts };
        match self.known.get_mut(node) {
            Some(known) => {
                let met = if known.epoch == epoch { Met::Before } else { Met::New };
                if known.run == Run::Lasts || met == Met::New {
                    *known = alive;
                }
                met
            }
            None => self.meet(node, alive, now),
        }
    }

    /// How many are known.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    /// A node's run has ended. What comes late of a run before the present one says nothing.
    pub(super) fn on_farewell(&mut self, (node, epoch): (&NodeId, u64), now: Instant) {
        if *node == self.own {
            return;
        }
        let run = if self.hearing_since.is_some() { Run::Ended } else { Run::Doubtful };
        let left = Known { epoch, heard_at: now, run };
        match self.known.get_mut(node) {
            Some(known) if known.epoch != epoch => {}
            Some(known) => *known = left,
            None => drop(self.meet(node, left, now)),
        }
    }

    /// Says whether this node hears the others. To be called when that ends, and several times a second.
    pub(super) fn look(&mut self, is_hearing: bool, now: Instant) {
        let was_paused = now.saturating_duration_since(self.looked_at) > PAUSED;
        self.looked_at = now;
        if is_hearing && !was_paused {
            self.hearing_since.get_or_insert(now);
        } else {
            self.hearing_since = is_hearing.then_some(now);
            // Another run of the same node may have begun meanwhile.
            let ended = self.known.values_mut().filter(|known| known.run == Run::Ended);
            ended.for_each(|known| known.run = Run::Doubtful);
        }
        // Whoever is gone need not be remembered once everyone is gone who has not been heard.
        if self.unheard() == Standing::Gone {
            self.known.retain(|_, known| now.saturating_duration_since(known.heard_at) < GONE_AFTER);
        }
    }

    /// How the others stand that are known, and how everyone else does. As of the last look: whoever has been paused
    /// since has not heard those who spoke meanwhile.
    pub(super) fn standings(&self) -> (BTreeMap<NodeId, Standing>, Standing) {
        let known = self.known.iter().map(|(node, known)| (node.clone(), self.standing(known)));
        (known.collect(), self.unheard())
    }

    /// Those who may be there.
    pub(super) fn there(&self) -> Vec<NodeId> {
        let there = self.known.iter().filter(|(_, known)| self.standing(known) != Standing::Gone);
        there.map(|(node, _)| node.clone()).collect()
    }

    /// Those of them who have not said farewell: whoever has needs nothing more. Another run of the same node may have
    /// begun unheard; it is like any other node of which nothing is known.
    pub(super) fn staying(&self) -> Vec<NodeId> {
        let mut there = self.there();
        there.retain(|node| self.known.get(node).is_some_and(|known| known.run == Run::Lasts));
        there
    }

    fn standing(&self, known: &Known) -> Standing {
        let unheard = self.looked_at.saturating_duration_since(known.heard_at);
        let heard_at = self.hearing_since.map(|since| since.max(known.heard_at));
        if known.run == Run::Ended || self.is_long_ago(heard_at) {
            Standing::Gone
        } else if unheard >= SILENT_AFTER {
            Standing::Silent
        } else {
            Standing::Alive
        }
    }

    /// The standing of whoever has never been heard.
    fn unheard(&self) -> Standing {
        if self.is_long_ago(self.hearing_since) { Standing::Gone } else { Standing::Silent }
    }

    fn is_long_ago(&self, since: Option<Instant>) -> bool {
        since.is_some_and(|since| self.looked_at.saturating_duration_since(since) >= GONE_AFTER)
    }

    fn meet(&mut self, node: &NodeId, known: Known, now: Instant) -> Met {
        if self.known.len() == KNOWN {
            // More than can be known: nobody is gone for being unheard.
            self.hearing_since = self.hearing_since.map(|_| now);
            let unheard = |known: &Known| now.saturating_duration_since(known.heard_at);
            self.known.retain(|_, known| unheard(known) < GONE_AFTER);
        }
        if self.known.len() == KNOWN {
            return Met::Before;
        }
        self.known.insert(node.clone(), known);
        Met::New
    }
}

#[cfg(test)]
mod tests;
