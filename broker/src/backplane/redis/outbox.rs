//! What waits for the servers: a queue for each of them, bounded, in the order of the calls for each partition.
//!
//! A value: it knows no socket. `super::Links` puts in, `super::batches` takes out for `super::publisher` or
//! `super::caller`, who says what became of it, `super::run` says who serves which partition. The invariant: an item is
//! queued only with the present owner of its partition, and a partition changes its owner only when nothing of it is in
//! flight.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{BusFull, Partition, QueueLimits, ServerKey};
use crate::backplane::partitions::{PartitionSet, all};

/// Most messages of one batch.
const BATCH_MESSAGES: usize = 512;
/// A batch takes nothing more once it holds this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// Longest time that anything waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// A queue that is this full, in eighths of its limits, is crowded: whoever can wait should.
const CROWDED: usize = 4;
/// It is so until it is less full than this.
const ROOMY: usize = 3;
/// A server that takes nothing for so long is not slow but away, and waiting for it makes no sense.
const AWAY: Duration = Duration::from_secs(5);

/// Something that waits.
pub(super) struct Item<T> {
    pub(super) partition: Partition,
    /// As the limits count it.
    bytes: usize,
    since: Instant,
    pub(super) content: T,
}

/// What goes out next.
pub(super) struct Batch<T> {
    /// In the order in which they go out.
    pub(super) items: Vec<Item<T>>,
    /// What has waited too long. It goes nowhere.
    pub(super) expired: Vec<Item<T>>,
}

/// Numbers of all queues together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// See the module.
pub(super) struct Outbox<T> {
    limits: QueueLimits,
    queues: BTreeMap<ServerKey, Queue<T>>,
    owners: [Option<ServerKey>; Partition::COUNT],
    /// Who is to own a partition once nothing of it is in flight.
    heirs: [Option<ServerKey>; Partition::COUNT],
}

struct Queue<T> {
    waiting: VecDeque<Item<T>>,
    /// Waiting and in flight.
    load: Load,
    in_flight: PartitionSet,
    up: bool,
    /// The server has refused all of the last batch.
    refused: bool,
    wake: Arc<Notify>,
    /// So much waits that whoever can wait should.
    is_crowded: bool,
    /// When the server took something last, or something began to wait.
    moved: Instant,
}

impl<T> Queue<T> {
    /// Looks whether it is crowded, when something has come or gone.
    fn look(&mut self, limits: QueueLimits) {
        let eighths = if self.is_crowded { ROOMY } else { CROWDED };
        let is_above = |load: usize, limit: usize| load * 8 >= limit * eighths;
        self.is_crowded =
            is_above(self.load.messages, limits.messages) || is_above(self.load.bytes, limits.bytes);
    }
}

impl<T> Item<T> {
    /// It begins to wait now, and counts as so many bytes.
    pub(super) fn new(partition: Partition, bytes: usize, content: T, now: Instant) -> Self {
        Self { partition, bytes, since: now, content }
    }
}

impl<T> Outbox<T> {
    /// Nothing waits, nobody serves.
    pub(super) fn new(limits: QueueLimits) -> Self {
        let nobody = [None; Partition::COUNT];
        Self { limits, queues: BTreeMap::new(), owners: nobody, heirs: nobody }
    }

    /// There is a new server, which `wake` wakes when there is something to take.
    pub(super) fn add(&mut self, key: ServerKey, wake: Arc<Notify>) {
        let queue = Queue {
            waiting: VecDeque::new(),
            load: Load::default(),
            in_flight: PartitionSet::EMPTY,
            up: false,
            refused: false,
            wake,
            is_crowded: false,
            moved: Instant::now(),
        };
        self.queues.insert(key, queue);
    }

    /// Takes away a server that owns nothing; false when it still has partitions.
    pub(super) fn remove_if_unused(&mut self, key: ServerKey) -> bool {
        let unused = self.owners.iter().chain(&self.heirs).all(|owner| *owner != Some(key));
        if unused {
            self.queues.remove(&key);
        }
        unused
    }

    /// Queues behind whatever waits.
    pub(super) fn push(&mut self, item: Item<T>) -> Result<(), BusFull> {
        let owner = self.owners[usize::from(item.partition.0)].ok_or(BusFull)?;
        let queue = self.queues.get_mut(&owner).ok_or(BusFull)?;
        let bytes = item.bytes;
        if queue.load.messages >= self.limits.messages || queue.load.bytes + bytes > self.limits.bytes {
            return Err(BusFull);
        }
        if queue.load.messages == 0 {
            queue.moved = item.since;
        }
        queue.load.messages += 1;
        queue.load.bytes += bytes;
        queue.look(self.limits);
        if queue.waiting.is_empty() {
            queue.wake.notify_one();
        }
        queue.waiting.push_back(item);
        Ok(())
    }

    /// Whether a server's queue is crowded.
    pub(super) fn is_crowded(&self) -> bool {
        self.queues.values().any(|queue| queue.is_crowded)
    }

    /// Until when it makes sense to wait for room: a queue is crowded, and its server takes something now and then.
    pub(super) fn crowded_until(&self, now: Instant) -> Option<Instant> {
        let crowded = self.queues.values().filter(|queue| queue.is_crowded);
        crowded.map(|queue| queue.moved + AWAY).filter(|until| *until > now).max()
    }

    /// A server has taken something.
    pub(super) fn moved(&mut self, key: ServerKey, now: Instant) {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.moved = now;
        }
    }

    /// Takes the next batch of a server. It is in flight until [`Outbox::finish`].
    pub(super) fn take(&mut self, key: ServerKey, now: Instant) -> Batch<T> {
        let mut batch = Batch { items: Vec::new(), expired: self.expire(key, now) };
        let Some(queue) = self.queues.get_mut(&key) else { return batch };
        let mut bytes = 0;
        while batch.items.len() < BATCH_MESSAGES
            && bytes < BATCH_BYTES
            && let Some(item) = queue.waiting.pop_front()
        {
            bytes += item.bytes;
            queue.in_flight.insert(item.partition);
            batch.items.push(item);
        }
        batch
    }

    /// Takes out what has waited too long.
    pub(super) fn expire(&mut self, key: ServerKey, now: Instant) -> Vec<Item<T>> {
        let Some(queue) = self.queues.get_mut(&key) else { return Vec::new() };
        let mut expired = Vec::new();
        while let Some(item) = queue.waiting.pop_front_if(|item| now.duration_since(item.since) > PATIENCE) {
            queue.load.messages -= 1;
            queue.load.bytes -= item.bytes;
            expired.push(item);
        }
        queue.look(self.limits);
        expired
    }

    /// Whether something waits for a server.
    pub(super) fn is_waiting(&self, key: ServerKey) -> bool {
        self.queues.get(&key).is_some_and(|queue| !queue.waiting.is_empty())
    }

    /// The batch in flight is over: `done` of it has gone, and `again` must go again, before anything else.
    pub(super) fn finish(&mut self, key: ServerKey, done: Load, again: Vec<Item<T>>) {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.load.messages -= done.messages;
            queue.load.bytes -= done.bytes;
            queue.in_flight = PartitionSet::EMPTY;
            queue.look(self.limits);
            for item in again.into_iter().rev() {
                queue.waiting.push_front(item);
            }
        }
        if self.heirs.iter().any(Option::is_some) {
            let heirs = self.heirs;
            self.assign(|partition| heirs[usize::from(partition.0)]);
        }
    }

    /// Says who serves each partition; nothing keeps the present owner. What waits moves along, in its order.
    pub(super) fn assign(&mut self, owner: impl Fn(Partition) -> Option<ServerKey>) {
        let mut moved = PartitionSet::EMPTY;
        for partition in all() {
            let at = usize::from(partition.0);
            let (present, next) = (self.owners[at], owner(partition));
            if next.is_none() || next == present {
                self.heirs[at] = None;
            } else if present
                .and_then(|key| self.queues.get(&key))
                .is_some_and(|queue| queue.in_flight.contains(partition))
            {
                self.heirs[at] = next;
            } else {
                self.heirs[at] = None;
                self.owners[at] = next;
                if present.is_some() {
                    moved.insert(partition);
                }
            }
        }
        if !moved.is_empty() {
            self.reroute(moved);
        }
    }

    /// Whether every partition has a server that can be published to.
    pub(super) fn is_reachable(&self) -> bool {
        let up = |key: &ServerKey| self.queues.get(key).is_some_and(|queue| queue.up);
        self.owners.iter().all(|owner| owner.as_ref().is_some_and(up))
    }

    /// A server can, or can no longer, be published to.
    pub(super) fn set_up(&mut self, key: ServerKey, up: bool) {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.up = up;
        }
    }

    /// Whether a server refuses what is published to it.
    pub(super) fn is_refused(&self) -> bool {
        self.queues.values().any(|queue| queue.refused)
    }

    /// A server has refused all of a batch, or not. Says whether that has changed.
    pub(super) fn set_refused(&mut self, key: ServerKey, refused: bool) -> bool {
        let queue = self.queues.get_mut(&key);
        queue.is_some_and(|queue| std::mem::replace(&mut queue.refused, refused) != refused)
    }

    /// How long the oldest of what waits has been waiting.
    pub(super) fn waiting(&self, now: Instant) -> Duration {
        let oldest = self.queues.values().filter_map(|queue| queue.waiting.front()).map(|item| item.since);
        oldest.min().map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// What waits or is in flight.
    pub(super) fn load(&self) -> Load {
        self.queues.values().fold(Load::default(), |sum, queue| Load {
            messages: sum.messages + queue.load.messages,
            bytes: sum.bytes + queue.load.bytes,
        })
    }

    /// Brings what waits with a former owner to the present one. It may be more than the limits there: what was taken
    /// in once is not thrown away for a move.
    fn reroute(&mut self, moved: PartitionSet) {
        let mut homeless = Vec::new();
        for (key, queue) in &mut self.queues {
            let lost = |item: &Item<T>| {
                moved.contains(item.partition) && self.owners[usize::from(item.partition.0)] != Some(*key)
            };
            if !queue.waiting.iter().any(lost) {
                continue;
            }
            let (leaving, staying): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(&mut queue.waiting).into_iter().partition(lost);
            queue.waiting = staying;
            for item in leaving {
                queue.load.messages -= 1;
                queue.load.bytes -= item.bytes;
                homeless.push(item);
            }
        }
        for item in homeless {
            let owner = self.owners[usize::from(item.partition.0)];
            if let Some(queue) = owner.and_then(|key| self.queues.get_mut(&key)) {
                queue.load.messages += 1;
                queue.load.bytes += item.bytes;
                queue.waiting.push_back(item);
                queue.wake.notify_one();
            }
        }
        self.queues.values_mut().for_each(|queue| queue.look(self.limits));
    }
}

impl Load {
    /// Counts one more.
    pub(super) fn add<T>(&mut self, item: &Item<T>) {
        self.messages += 1;
        self.bytes += item.bytes;
    }
}

#[cfg(test)]
mod tests;
