//! What waits to be published: a queue for each server, bounded, in the order of the calls for each partition.
//!
//! A value: it knows no socket. `super::Links` puts in, `super::publisher` takes out and says what became of it,
//! `super::run` says who serves which partition. The invariant: an item is queued only with the present owner of its
//! partition, and a partition changes its owner only when nothing of it is in flight.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{BusFull, Outgoing, Partition, QueueLimits, Receipt, ServerKey};
use crate::backplane::partitions::{PartitionSet, all};

/// Most messages of one batch.
const BATCH_MESSAGES: usize = 512;
/// A batch takes nothing more once it holds this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// Longest time that anything waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that waits.
pub(super) struct Item {
    pub(super) partition: Partition,
    pub(super) channel: Arc<str>,
    pub(super) payload: Bytes,
    pub(super) receipt: Option<Receipt>,
    since: Instant,
}

/// What goes out next.
#[derive(Default)]
pub(super) struct Batch {
    /// In the order in which they go out.
    pub(super) items: Vec<Item>,
    /// What has waited too long. It goes nowhere.
    pub(super) expired: Vec<Item>,
}

/// Numbers of all queues together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// See the module.
pub(super) struct Outbox {
    limits: QueueLimits,
    queues: BTreeMap<ServerKey, Queue>,
    owners: [Option<ServerKey>; Partition::COUNT],
    /// Who is to own a partition once nothing of it is in flight.
    heirs: [Option<ServerKey>; Partition::COUNT],
}

struct Queue {
    waiting: VecDeque<Item>,
    /// Waiting and in flight.
    load: Load,
    in_flight: PartitionSet,
    up: bool,
    wake: Arc<Notify>,
}

impl Item {
    fn bytes(&self) -> usize {
        self.channel.len() + self.payload.len()
    }
}

impl Outbox {
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
            wake,
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
    pub(super) fn push(&mut self, outgoing: Outgoing, now: Instant) -> Result<(), BusFull> {
        let Outgoing { partition, channel, payload, receipt } = outgoing;
        let item = Item { partition, channel, payload, receipt, since: now };
        let owner = self.owners[usize::from(partition.0)].ok_or(BusFull)?;
        let queue = self.queues.get_mut(&owner).ok_or(BusFull)?;
        let bytes = item.bytes();
        if queue.load.messages >= self.limits.messages || queue.load.bytes + bytes > self.limits.bytes {
            return Err(BusFull);
        }
        queue.load.messages += 1;
        queue.load.bytes += bytes;
        if queue.waiting.is_empty() {
            queue.wake.notify_one();
        }
        queue.waiting.push_back(item);
        Ok(())
    }

    /// Takes the next batch of a server. It is in flight until [`Outbox::finish`].
    pub(super) fn take(&mut self, key: ServerKey, now: Instant) -> Batch {
        let mut batch = Batch { items: Vec::new(), expired: self.expire(key, now) };
        let Some(queue) = self.queues.get_mut(&key) else { return batch };
        let mut bytes = 0;
        while batch.items.len() < BATCH_MESSAGES
            && bytes < BATCH_BYTES
            && let Some(item) = queue.waiting.pop_front()
        {
            bytes += item.bytes();
            queue.in_flight.insert(item.partition);
            batch.items.push(item);
        }
        batch
    }

    /// Takes out what has waited too long.
    pub(super) fn expire(&mut self, key: ServerKey, now: Instant) -> Vec<Item> {
        let Some(queue) = self.queues.get_mut(&key) else { return Vec::new() };
        let mut expired = Vec::new();
        while let Some(item) = queue.waiting.pop_front_if(|item| now.duration_since(item.since) > PATIENCE) {
            queue.load.messages -= 1;
            queue.load.bytes -= item.bytes();
            expired.push(item);
        }
        expired
    }

    /// The batch in flight is over: `done` of it has gone, and `again` must go again, before anything else.
    pub(super) fn finish(&mut self, key: ServerKey, done: Load, again: Vec<Item>) {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.load.messages -= done.messages;
            queue.load.bytes -= done.bytes;
            queue.in_flight = PartitionSet::EMPTY;
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
            let lost = |item: &Item| {
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
                queue.load.bytes -= item.bytes();
                homeless.push(item);
            }
        }
        for item in homeless {
            let owner = self.owners[usize::from(item.partition.0)];
            if let Some(queue) = owner.and_then(|key| self.queues.get_mut(&key)) {
                queue.load.messages += 1;
                queue.load.bytes += item.bytes();
                queue.waiting.push_back(item);
                queue.wake.notify_one();
            }
        }
    }
}

impl Load {
    /// Counts one more.
    pub(super) fn add(&mut self, item: &Item) {
        self.messages += 1;
        self.bytes += item.bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ServerKey = ServerKey(1);
    const B: ServerKey = ServerKey(2);

    struct Case {
        outbox: Outbox,
        now: Instant,
    }

    impl Case {
        /// A serves all.
        fn new(messages: usize) -> Self {
            let mut outbox = Outbox::new(QueueLimits { messages, bytes: 1000 });
            outbox.add(A, Arc::default());
            outbox.add(B, Arc::default());
            outbox.assign(|_| Some(A));
            Self { outbox, now: Instant::now() }
        }

        fn push(&mut self, partition: u8, channel: &str) -> Result<(), BusFull> {
            let outgoing = Outgoing {
                partition: Partition(partition),
                channel: Arc::from(channel),
                payload: Bytes::new(),
                receipt: None,
            };
            self.outbox.push(outgoing, self.now)
        }

        fn take(&mut self, key: ServerKey) -> Vec<Item> {
            self.outbox.take(key, self.now).items
        }

        /// Partition 2 is with B from now on.
        fn second_moves(&mut self) {
            self.outbox.assign(|partition| Some(if partition == Partition(2) { B } else { A }));
        }
    }

    fn names(items: &[Item]) -> Vec<&str> {
        items.iter().map(|item| &*item.channel).collect()
    }

    #[test]
    fn what_is_not_confirmed_goes_again_first() {
        let mut case = Case::new(10);
        for name in ["a", "b", "c"] {
            case.push(1, name).unwrap();
        }
        let mut batch = case.take(A);
        assert_eq!(names(&batch), ["a", "b", "c"]);
        case.push(1, "d").unwrap();
        let mut done = Load::default();
        done.add(&batch.remove(0));
        case.outbox.finish(A, done, batch);
        assert_eq!(case.outbox.load(), Load { messages: 3, bytes: 3 });
        assert_eq!(names(&case.take(A)), ["b", "c", "d"]);
    }

    #[test]
    fn a_full_queue_takes_nothing_until_something_has_gone() {
        let mut case = Case::new(2);
        case.push(1, "a").unwrap();
        case.push(2, "b").unwrap();
        assert_eq!(case.push(1, "c"), Err(BusFull));
        let batch = case.take(A);
        assert_eq!(case.push(1, "c"), Err(BusFull), "what is in flight still counts");
        let mut done = Load::default();
        batch.iter().for_each(|item| done.add(item));
        case.outbox.finish(A, done, Vec::new());
        case.push(1, "c").unwrap();
        let mut case = Case::new(10);
        assert_eq!(case.push(1, &"x".repeat(1001)), Err(BusFull));
    }

    #[test]
    fn what_waits_moves_along_with_its_partition() {
        let mut case = Case::new(10);
        for (partition, name) in [(1, "a"), (2, "b"), (1, "c"), (2, "d")] {
            case.push(partition, name).unwrap();
        }
        case.second_moves();
        case.push(2, "e").unwrap();
        assert_eq!(names(&case.take(A)), ["a", "c"]);
        assert_eq!(names(&case.take(B)), ["b", "d", "e"]);
        assert_eq!(case.outbox.load().messages, 5);
    }

    #[test]
    fn a_partition_moves_only_when_nothing_of_it_is_in_flight() {
        let mut case = Case::new(10);
        case.push(2, "a").unwrap();
        case.push(1, "b").unwrap();
        let batch = case.take(A);
        case.push(2, "c").unwrap();
        case.second_moves();
        case.push(2, "d").unwrap();
        assert_eq!(names(&case.take(B)), [""; 0]);
        assert!(!case.outbox.remove_if_unused(B));
        case.outbox.finish(A, Load::default(), batch);
        assert_eq!(names(&case.take(B)), ["a", "c", "d"]);
        assert_eq!(names(&case.take(A)), ["b"]);
    }

    #[test]
    fn nothing_waits_for_ever() {
        let mut case = Case::new(10);
        case.push(1, "a").unwrap();
        case.now += PATIENCE / 2;
        case.push(1, "b").unwrap();
        case.now += PATIENCE / 2 + Duration::from_millis(1);
        let batch = case.outbox.take(A, case.now);
        assert_eq!((names(&batch.expired), names(&batch.items)), (vec!["a"], vec!["b"]));
        assert_eq!(case.outbox.load().messages, 1);
    }

    #[test]
    fn all_owners_must_be_up() {
        let mut case = Case::new(10);
        assert!(!case.outbox.is_reachable());
        case.outbox.set_up(A, true);
        assert!(case.outbox.is_reachable());
        case.second_moves();
        assert!(!case.outbox.is_reachable());
        case.outbox.assign(|_| Some(B));
        assert!(case.outbox.remove_if_unused(A));
    }
}
