//! Which channels this node wants to hear, and how far Redis has confirmed it.
//!
//! A value: it knows no socket. `super::Links` says what is wanted, `super::subscriber` takes the steps to be told to
//! Redis and says what was answered, `super::run` says who serves which partition. A wish ends only when it is taken
//! back: it outlives connections, servers and moves between servers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use super::{Partition, ServerKey};
use crate::backplane::partitions::{PartitionSet, all};

/// What is to be told to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Subscribe(Arc<str>),
    Unsubscribe(Arc<str>),
}

/// How a wish begins.
pub(super) enum Begun {
    /// It is fulfilled already.
    Live,
    /// The receiver is told when it is, or dropped when the wish is taken back.
    Pending(oneshot::Receiver<()>),
}

/// See the module.
pub(super) struct Wishes {
    channels: HashMap<Arc<str>, Wish>,
    ears: BTreeMap<ServerKey, Ear>,
    owners: [Option<ServerKey>; Partition::COUNT],
    hearing: PartitionSet,
    /// Channels of each partition that were heard before something broke, and are not heard again yet.
    recovering: [usize; Partition::COUNT],
    /// Channels that are wanted and not heard.
    pending: usize,
}

struct Wish {
    partition: Partition,
    /// False once it is taken back, until Redis has confirmed that.
    wanted: bool,
    stage: Stage,
    /// It counts in `recovering`.
    recovers: bool,
    /// Orders to unsubscribe that Redis has not confirmed.
    leaving: usize,
    waiters: Vec<oneshot::Sender<()>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody has been told.
    Wanted,
    /// A step is queued.
    Queued,
    /// Redis has been told.
    Asked,
    /// Redis has confirmed.
    Live,
}

/// The subscribing side of a server.
struct Ear {
    up: bool,
    steps: VecDeque<Step>,
    wake: Arc<Notify>,
}

impl Wish {
    fn is_pending(&self) -> bool {
        self.wanted && self.stage != Stage::Live
    }
}

impl Wishes {
    /// Nothing is wanted, nobody serves.
    pub(super) fn new() -> Self {
        Self {
            channels: HashMap::new(),
            ears: BTreeMap::new(),
            owners: [None; Partition::COUNT],
            hearing: PartitionSet::EMPTY,
            recovering: [0; Partition::COUNT],
            pending: 0,
        }
    }

    /// There is a new server, which `wake` wakes when there is something to do.
    pub(super) fn add(&mut self, key: ServerKey, wake: Arc<Notify>) {
        self.ears.insert(key, Ear { up: false, steps: VecDeque::new(), wake });
    }

    /// A server is there no more.
    pub(super) fn remove(&mut self, key: ServerKey) {
        self.ears.remove(&key);
    }

    /// Somebody wants to hear a channel.
    pub(super) fn want(&mut self, partition: Partition, channel: &Arc<str>) -> Begun {
        let wish = self.channels.entry(Arc::clone(channel)).or_insert_with(|| Wish {
            partition,
            wanted: false,
            stage: Stage::Wanted,
            recovers: false,
            leaving: 0,
            waiters: Vec::new(),
        });
        if wish.stage == Stage::Live {
            return Begun::Live;
        }
        if !wish.wanted {
            wish.wanted = true;
            self.pending += 1;
        }
        let (sender, receiver) = oneshot::channel();
        wish.waiters.retain(|waiter| !waiter.is_closed());
        wish.waiters.push(sender);
        self.queue(channel);
        Begun::Pending(receiver)
    }

    /// Nobody wants to hear it any more.
    pub(super) fn take_back(&mut self, channel: &str) {
        self.recovered(channel);
        let Some((name, wish)) = self.channels.get_key_value(channel) else { return };
        if !wish.wanted {
            return;
        }
        if wish.is_pending() {
            self.pending -= 1;
        }
        let name = Arc::clone(name);
        let ear = self.owners[usize::from(wish.partition.0)].and_then(|key| self.ears.get_mut(&key));
        let Some(wish) = self.channels.get_mut(channel) else { return };
        if let Some(ear) = ear {
            if matches!(wish.stage, Stage::Asked | Stage::Live) {
                wish.leaving += 1;
                ear.steps.push_back(Step::Unsubscribe(name));
            }
            // Whoever takes the steps also looks whether its partitions are whole again.
            ear.wake.notify_one();
        }
        wish.wanted = false;
        wish.stage = Stage::Wanted;
        wish.waiters.clear();
        if wish.leaving == 0 {
            self.channels.remove(channel);
        }
    }

    /// The next steps for a server, in their order. They are being told to it now.
    pub(super) fn take(&mut self, key: ServerKey, most: usize) -> Vec<Step> {
        let Some(ear) = self.ears.get_mut(&key) else { return Vec::new() };
        let mut steps = Vec::new();
        while ear.up
            && steps.len() < most
            && let Some(step) = ear.steps.pop_front()
        {
            match &step {
                Step::Unsubscribe(_) => steps.push(step),
                Step::Subscribe(channel) => match self.channels.get_mut(channel) {
                    Some(wish)
                        if wish.wanted
                            && wish.stage == Stage::Queued
                            && self.owners[usize::from(wish.partition.0)] == Some(key) =>
                    {
                        wish.stage = Stage::Asked;
                        steps.push(step);
                    }
                    _ => {}
                },
            }
        }
        steps
    }

    /// A server says that it sends what is published to the channel.
    pub(super) fn confirmed(&mut self, key: ServerKey, channel: &str) {
        let Some(wish) = self.wish_of(key, channel) else { return };
        // An answer to a question from before an order to unsubscribe says nothing about what follows the order.
        if wish.stage == Stage::Asked && wish.leaving == 0 {
            wish.stage = Stage::Live;
            for waiter in std::mem::take(&mut wish.waiters) {
                // Whoever waited may have gone: the wish stays.
                let _ = waiter.send(());
            }
            self.pending -= 1;
            self.recovered(channel);
        }
    }

    /// A server says that it no longer sends what is published to the channel. Gives the partition when nobody had
    /// asked for that: its slot is moving.
    pub(super) fn left(&mut self, key: ServerKey, channel: &str) -> Option<Partition> {
        let wish = self.wish_of(key, channel)?;
        if wish.leaving > 0 {
            wish.leaving -= 1;
            if wish.leaving == 0 && !wish.wanted {
                self.channels.remove(channel);
            }
            return None;
        }
        let partition = wish.partition;
        let lost = wish.stage == Stage::Live;
        wish.stage = Stage::Wanted;
        self.pending += usize::from(lost);
        self.recovers(channel);
        self.hearing.remove(partition).then_some(partition)
    }

    /// A server has answered a step with an error.
    pub(super) fn refused(&mut self, key: ServerKey, step: &Step) {
        match step {
            Step::Subscribe(channel) => {
                if let Some(wish) = self.wish_of(key, channel)
                    && wish.stage == Stage::Asked
                {
                    wish.stage = Stage::Wanted;
                }
            }
            Step::Unsubscribe(channel) => {
                self.left(key, channel);
            }
        }
    }

    /// A server can be told things again: all that is wanted of it is queued.
    pub(super) fn up(&mut self, key: ServerKey) {
        if let Some(ear) = self.ears.get_mut(&key) {
            ear.up = true;
        }
        self.queue_again(key);
    }

    /// Nothing is heard from a server any more. Gives the partitions that were heard until now.
    pub(super) fn down(&mut self, key: ServerKey) -> PartitionSet {
        if let Some(ear) = self.ears.get_mut(&key) {
            ear.up = false;
            ear.steps.clear();
        }
        self.lose(self.partitions_of(key))
    }

    /// Queues whatever is wanted of a server and not on its way.
    pub(super) fn queue_again(&mut self, key: ServerKey) {
        let partitions = self.partitions_of(key);
        let waiting = self.channels.iter().filter(|(_, wish)| {
            wish.wanted
                && partitions.contains(wish.partition)
                && matches!(wish.stage, Stage::Wanted | Stage::Asked)
        });
        let waiting: Vec<Arc<str>> = waiting.map(|(channel, _)| Arc::clone(channel)).collect();
        for channel in waiting {
            if let Some(wish) = self.channels.get_mut(&channel) {
                wish.stage = Stage::Wanted;
            }
            self.queue(&channel);
        }
    }

    /// Whether something that is wanted of a server is neither confirmed nor queued.
    pub(super) fn is_behind(&self, key: ServerKey) -> bool {
        let behind = |wish: &Wish| {
            wish.is_pending()
                && wish.stage != Stage::Queued
                && self.owners[usize::from(wish.partition.0)] == Some(key)
        };
        self.pending > 0 && self.channels.values().any(behind)
    }

    /// Says who serves each partition; nothing keeps the present owner. What was subscribed with another server is
    /// queued with the new one. Gives the partitions that were heard until now.
    pub(super) fn assign(&mut self, owner: impl Fn(Partition) -> Option<ServerKey>) -> PartitionSet {
        let mut moved = PartitionSet::EMPTY;
        let mut heirs = Vec::new();
        for partition in all() {
            let at = usize::from(partition.0);
            if let Some(next) = owner(partition)
                && self.owners[at] != Some(next)
            {
                self.owners[at] = Some(next);
                moved.insert(partition);
                heirs.push(next);
            }
        }
        let lost = self.lose(moved);
        heirs.sort_unstable();
        heirs.dedup();
        for key in heirs {
            self.queue_again(key);
            if let Some(ear) = self.ears.get(&key) {
                ear.wake.notify_one();
            }
        }
        lost
    }

    /// The partitions that are whole again since the last call: their server is up and all that was heard before has
    /// been confirmed.
    pub(super) fn settle(&mut self) -> PartitionSet {
        let mut back = PartitionSet::EMPTY;
        if self.is_hearing() {
            return back;
        }
        for partition in all() {
            let at = usize::from(partition.0);
            let up = self.owners[at].and_then(|key| self.ears.get(&key)).is_some_and(|ear| ear.up);
            if up && self.recovering[at] == 0 && self.hearing.insert(partition) {
                back.insert(partition);
            }
        }
        back
    }

    /// Whether every partition is heard.
    pub(super) fn is_hearing(&self) -> bool {
        self.hearing == PartitionSet::ALL
    }

    /// The partitions that a server serves and that are heard.
    pub(super) fn heard_from(&self, key: ServerKey) -> PartitionSet {
        self.partitions_of(key).iter().filter(|partition| self.hearing.contains(*partition)).collect()
    }

    /// How many channels are wanted, or being left.
    pub(super) fn len(&self) -> usize {
        self.channels.len()
    }

    /// Nothing of these partitions is subscribed any more.
    fn lose(&mut self, partitions: PartitionSet) -> PartitionSet {
        let mut heard = PartitionSet::EMPTY;
        for partition in partitions.iter() {
            if self.hearing.remove(partition) {
                heard.insert(partition);
            }
        }
        self.channels.retain(|_, wish| wish.wanted || !partitions.contains(wish.partition));
        for wish in self.channels.values_mut().filter(|wish| partitions.contains(wish.partition)) {
            self.pending += usize::from(wish.stage == Stage::Live);
            wish.stage = Stage::Wanted;
            wish.leaving = 0;
            if !wish.recovers {
                wish.recovers = true;
                self.recovering[usize::from(wish.partition.0)] += 1;
            }
        }
        heard
    }

    fn partitions_of(&self, key: ServerKey) -> PartitionSet {
        all().filter(|partition| self.owners[usize::from(partition.0)] == Some(key)).collect()
    }

    /// A wish, when the server is the one that serves it. Others may still say something about it.
    fn wish_of(&mut self, key: ServerKey, channel: &str) -> Option<&mut Wish> {
        let wish = self.channels.get_mut(channel)?;
        (self.owners[usize::from(wish.partition.0)] == Some(key)).then_some(wish)
    }

    /// Queues a step for a wish that has none, when its server can be told.
    fn queue(&mut self, channel: &Arc<str>) {
        let Some(wish) = self.channels.get_mut(channel) else { return };
        let ear = self.owners[usize::from(wish.partition.0)].and_then(|key| self.ears.get_mut(&key));
        if let Some(ear) = ear
            && ear.up
            && wish.stage == Stage::Wanted
        {
            wish.stage = Stage::Queued;
            ear.steps.push_back(Step::Subscribe(Arc::clone(channel)));
            ear.wake.notify_one();
        }
    }

    fn recovers(&mut self, channel: &str) {
        if let Some(wish) = self.channels.get_mut(channel)
            && wish.wanted
            && !wish.recovers
        {
            wish.recovers = true;
            self.recovering[usize::from(wish.partition.0)] += 1;
        }
    }

    fn recovered(&mut self, channel: &str) {
        if let Some(wish) = self.channels.get_mut(channel)
            && wish.recovers
        {
            wish.recovers = false;
            self.recovering[usize::from(wish.partition.0)] -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
