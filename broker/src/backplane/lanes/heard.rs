//! What this process has heard of all others and of itself, and what it should have heard.
//!
//! Each run of a node is an origin of its own, so that late words of the one before do no harm. What is known of an origin
//! is small and stays, bounded by the number of origins: a process that was paused for long may repeat what was heard.

use codec::ids::NodeId;
use hashbrown::{Equivalent, HashMap};
use tokio::time::Instant;

use super::channels::{Channels, Run};
use super::origin::{Around, Origin};
use super::proofs::Proofs;
use super::{FORGOTTEN, GONE, Incoming, ORIGINS, Part, PartitionSet, STEADY, Step, Why};
use crate::backplane::partitions::all;
use crate::backplane::{Number, Partition, Position};

/// See the module. `T` is what an envelope brings. What is to be done is added to the `steps` of each call.
#[derive(Debug)]
pub(crate) struct Heard<T> {
    places: HashMap<Key, usize>,
    origins: Vec<Origin<T>>,
    channels: Channels,
    proofs: Proofs,
    runs: Run,
    questions: u64,
    deaf: PartitionSet,
    /// Where somebody of whom we do not know yet may have published while we were deaf.
    doubtful: PartitionSet,
    /// Since when there are such.
    doubtful_since: Option<Instant>,
    /// Since when we hear everything; absent when it has always been so.
    hearing_since: Option<Instant>,
    due_at: Option<Instant>,
    /// Whether anybody here goes on from logs.
    has_readers: bool,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    node: NodeId,
    epoch: u64,
}

#[derive(Hash)]
struct KeyRef<'a> {
    node: &'a NodeId,
    epoch: u64,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.epoch == key.epoch && *self.node == key.node
    }
}

impl<T> Default for Heard<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Heard<T> {
    /// Hears everything, and has heard nothing.
    pub(crate) fn new() -> Self {
        Self {
            places: HashMap::new(),
            origins: Vec::new(),
            channels: Channels::new(),
            proofs: Proofs::new(),
            runs: 0,
            questions: 0,
            deaf: PartitionSet::default(),
            doubtful: PartitionSet::default(),
            doubtful_since: None,
            hearing_since: None,
            due_at: None,
            has_readers: false,
        }
    }

    /// An envelope came, on a channel that is watched.
    pub(crate) fn on_envelope(&mut self, incoming: Incoming<'_, T>, now: Instant, steps: &mut Vec<Step<T>>) {
        let mark = incoming.mark;
        if mark.sequence == 0 {
            return steps.push(Step::Deliver(incoming.item));
        }
        let at = self.meet((mark.origin, mark.epoch), mark.sequence, now, steps);
        self.with(at, now, steps, |origin, around| origin.on_envelope(incoming, around));
    }

    /// A node says that it is there. `sequence` is a number up to which Redis has taken all that the process has
    /// published.
    pub(crate) fn on_beat(
        &mut self,
        node: (&NodeId, u64),
        sequence: u64,
        now: Instant,
        steps: &mut Vec<Step<T>>,
    ) {
        let at = self.meet(node, sequence, now, steps);
        self.with(at, now, steps, |origin, around| origin.on_beat(sequence, around));
    }

    /// A run of a node ends, and Redis has taken all that it has published. Says whether nothing of that is missing here.
    pub(crate) fn on_farewell(
        &mut self,
        (node, epoch): (&NodeId, u64),
        now: Instant,
        steps: &mut Vec<Step<T>>,
    ) -> bool {
        let at = self.meet((node, epoch), 0, now, steps);
        self.with(at, now, steps, Origin::on_farewell)
    }

    /// What is published to these partitions does not reach us any more. Only what was live before can become deaf.
    pub(crate) fn on_deaf(&mut self, partitions: &PartitionSet, now: Instant, steps: &mut Vec<Step<T>>) {
        let hearing_since = self.hearing_since;
        self.forget_doubts(now);
        self.deaf.add(partitions);
        self.doubtful.add(partitions);
        self.doubtful_since.get_or_insert(now);
        for at in 0..self.origins.len() {
            self.with(at, now, steps, |origin, around| origin.on_deaf(partitions, hearing_since, around));
        }
    }

    /// What is published to these partitions from now on reaches us. What came before this call and after the
    /// subscriptions has been given to [`Self::on_envelope`] or will be: it waits.
    pub(crate) fn on_hearing(&mut self, partitions: &PartitionSet, now: Instant, steps: &mut Vec<Step<T>>) {
        if self.deaf.is_empty() {
            return;
        }
        self.deaf.subtract(partitions);
        if self.deaf.is_empty() {
            self.hearing_since = Some(now);
        }
        for at in 0..self.origins.len() {
            self.with(at, now, steps, |origin, around| origin.on_hearing(partitions, around));
        }
    }

    /// What we have published ourselves at that time has come, over the connection that brings all that we hear of these
    /// partitions: so has whatever Redis took before it.
    pub(crate) fn on_proof(&mut self, partitions: &PartitionSet, at: Instant) {
        self.proofs.prove(partitions, at);
    }

    /// A part of an answer of a node came.
    pub(crate) fn on_part(
        &mut self,
        (node, epoch): (&NodeId, u64),
        part: Part<'_, T>,
        now: Instant,
        steps: &mut Vec<Step<T>>,
    ) {
        if let Some(&at) = self.places.get(&KeyRef { node, epoch }) {
            self.with(at, now, steps, |origin, around| origin.on_part(part, around));
        }
    }

    /// Time has passed. To be called when it is [`Self::due_at`], or later.
    pub(crate) fn on_time(&mut self, now: Instant, steps: &mut Vec<Step<T>>) {
        for at in 0..self.origins.len() {
            self.with(at, now, steps, Origin::on_time);
        }
        let due = self.origins.iter().filter_map(Origin::due_at);
        self.due_at = due.chain([now + FORGOTTEN]).min();
    }

    /// When [`Self::on_time`] may have something to do, never later.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Forgets the numbers of a channel, and what waits for it. To be called whenever the channel begins to be watched, so
    /// that what was published meanwhile does not count as missing, and when it ends, to save room.
    pub(crate) fn forget_channel(&mut self, channel: &str) {
        self.channels.forget_channel(channel);
        self.origins.iter_mut().for_each(|origin| origin.forget_channel(channel));
    }

    /// Up to which number each process has been heard in each of these partitions; nothing while something is missing
    /// there, or may be.
    pub(crate) fn position(&self, partitions: &PartitionSet) -> Option<Vec<Position>> {
        let for_long = self.hears_for_long();
        self.positions(partitions, |origin, partition| origin.heard(partition, for_long))
    }

    /// The same for whoever finds in logs what was missed in a deafness: a process that has been quiet since is not waited
    /// for, although it has not answered what it has been asked. All that it has published is in the logs by now. From the
    /// first call on [`Step::Behind`] says when something has to wait.
    pub(crate) fn position_with_logs(&mut self, partitions: &PartitionSet) -> Option<Vec<Position>> {
        self.has_readers = true;
        let (for_long, proven, since) = (self.hears_for_long(), self.proofs.of_all(), self.hearing_since);
        let positions = self.positions(partitions, |origin, partition| {
            let is_quiet = || origin.is_quiet(partition, proven, since);
            origin.heard(partition, for_long).or_else(|| is_quiet().then(|| origin.highest(partition)))
        })?;
        self.origins.iter_mut().for_each(|origin| origin.pass_over(partitions));
        Some(positions)
    }

    fn positions(
        &self,
        partitions: &PartitionSet,
        heard: impl Fn(&Origin<T>, Partition) -> Option<u64>,
    ) -> Option<Vec<Position>> {
        if partitions.iter().any(|partition| self.deaf.contains(partition)) {
            return None;
        }
        let mut all = Vec::new();
        for origin in &self.origins {
            for partition in partitions.iter() {
                let heard = heard(origin, partition)?;
                if heard > 0 {
                    let up_to = Number { epoch: origin.epoch(), sequence: heard };
                    all.push(Position { origin: origin.id().clone(), partition, up_to });
                }
            }
        }
        Some(all)
    }

    /// Whether nothing waits of what a node has published, because something before it is missing or may be.
    pub(crate) fn has_all_of(&self, node: &NodeId) -> bool {
        let for_long = self.hears_for_long();
        let mut runs = self.origins.iter().filter(|origin| origin.id() == node);
        runs.all(|origin| all().all(|partition| origin.heard(partition, for_long).is_some()))
    }

    /// Whether everybody who is there has been heard since we hear everything.
    fn hears_for_long(&self) -> bool {
        let proven = self.proofs.of_all();
        self.hearing_since.is_none_or(|since| proven >= Some(since + GONE))
    }

    /// Bytes that wait, of the process of which most do.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.origins.iter().map(Origin::held_bytes).max().unwrap_or(0)
    }

    fn with<R>(
        &mut self,
        at: usize,
        now: Instant,
        steps: &mut Vec<Step<T>>,
        act: impl FnOnce(&mut Origin<T>, &mut Around<'_, T>) -> R,
    ) -> R {
        let Self { origins, channels, proofs, questions, due_at, has_readers, .. } = self;
        let origin = &mut origins[at];
        let mut around = Around { channels, proofs, questions, steps, now, has_readers: *has_readers };
        let done = act(origin, &mut around);
        let due = due_at.get_or_insert_with(|| now + FORGOTTEN);
        *due = origin.due_at().map_or(*due, |at| at.min(*due));
        done
    }

    /// The place of an origin, which may be heard for the first time.
    fn meet(
        &mut self,
        (node, epoch): (&NodeId, u64),
        sequence: u64,
        now: Instant,
        steps: &mut Vec<Step<T>>,
    ) -> usize {
        match self.places.get(&KeyRef { node, epoch }) {
            Some(&at) => at,
            None => self.welcome(Key { node: node.clone(), epoch }, sequence, now, steps),
        }
    }

    /// Nothing can be said about what it published before, unless we were deaf of late: then it may have started meanwhile,
    /// and is asked for everything since. Its ring decides.
    fn welcome(&mut self, key: Key, sequence: u64, now: Instant, steps: &mut Vec<Step<T>>) -> usize {
        for at in 0..self.origins.len() {
            if *self.origins[at].id() == key.node {
                self.with(at, now, steps, Origin::end);
            }
        }
        self.forget_doubts(now);
        self.runs += 1;
        let since = self.doubtful_since.unwrap_or(now);
        let mut origin = Origin::new((key.node.clone(), key.epoch), self.runs, (sequence, since), now);
        origin.begin_deaf(&self.doubtful);
        let at = self.make_room(origin, now, steps);
        self.places.insert(key, at);
        let mut heard = self.doubtful;
        heard.subtract(&self.deaf);
        self.with(at, now, steps, |origin, around| origin.on_hearing(&heard, around));
        at
    }

    fn make_room(&mut self, origin: Origin<T>, now: Instant, steps: &mut Vec<Step<T>>) -> usize {
        if self.origins.len() < ORIGINS {
            self.origins.push(origin);
            return self.origins.len() - 1;
        }
        let longest_unheard = (0..ORIGINS).min_by_key(|at| self.origins[*at].heard_at());
        let at = longest_unheard.unwrap_or(0);
        self.with(at, now, steps, |origin, around| origin.leave(Why::Crowded, around));
        let old = &mut self.origins[at];
        old.forget(&mut self.channels);
        self.places.remove(&KeyRef { node: old.id(), epoch: old.epoch() });
        *old = origin;
        at
    }

    fn forget_doubts(&mut self, now: Instant) {
        let is_steady = self.hearing_since.is_some_and(|since| now.duration_since(since) >= STEADY);
        if self.deaf.is_empty() && is_steady {
            self.doubtful = PartitionSet::default();
            self.doubtful_since = None;
        }
    }
}
