//! Which workers have members of which target, and whether the other nodes know that this one wants the target's
//! messages. Shared by all workers; an entry exists while a worker has a member.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};

use codec::ids::HubName;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use hashbrown::{Equivalent, HashMap};

use crate::model::command::{Target, Topic};

/// Locks of the index, so that workers seldom meet at one.
const STRIPES: usize = 64;

/// The node's wish for a topic could not be made known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other nodes could not be told that this node wants the messages of a topic")]
pub struct WatchFailed;

/// Resolves once whatever any node publishes to a topic will reach this one.
pub type Watch = BoxFuture<'static, Result<(), WatchFailed>>;

/// A [`Watch`] that everyone who needs it waits for together.
pub type Watching = Shared<Watch>;

/// A set of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Workers(u64);

/// See the module.
#[derive(Debug)]
pub struct Index {
    stripes: Box<[Stripe]>,
    hasher: RandomState,
}

type Stripe = Mutex<HashMap<Topic, Entry, RandomState>>;

#[derive(Debug)]
struct Entry {
    workers: Workers,
    /// Present until the watch has resolved.
    watching: Option<Watching>,
}

/// A topic by reference, so that looking it up copies no names. Hashes as [`Topic`] does.
#[derive(Hash)]
struct TopicRef<'a> {
    hub: &'a HubName,
    target: &'a Target,
}

impl Equivalent<Topic> for TopicRef<'_> {
    fn equivalent(&self, topic: &Topic) -> bool {
        *self.hub == topic.hub && *self.target == topic.target
    }
}

impl Index {
    /// Notes that `worker` has a member of the topic. The first worker's call starts the `watch`. The result is what
    /// has to be waited for before the member is told that it will miss nothing; it is absent when that is so already.
    pub fn add(&self, topic: &Topic, worker: usize, watch: impl FnOnce() -> Watch) -> Option<Watching> {
        let mut stripe = self.stripe(&topic.hub, &topic.target);
        if let Some(entry) = stripe.get_mut(topic) {
            entry.workers.insert(worker);
            return entry.watching.clone();
        }
        // Begun while the lock is held, so that no other member can take the topic for watched.
        let mut watch = watch();
        let watching = match (&mut watch).now_or_never() {
            Some(Ok(())) => None,
            Some(Err(failed)) => Some(std::future::ready(Err(failed)).boxed().shared()),
            None => Some(watch.shared()),
        };
        let entry = Entry { workers: Workers::only(worker), watching: watching.clone() };
        stripe.insert(topic.clone(), entry);
        watching
    }

    /// Notes that this watch of the topic has resolved. Meanwhile the topic may have been given up and be watched anew.
    pub fn watched(&self, topic: &Topic, watching: &Watching) {
        if let Some(entry) = self.stripe(&topic.hub, &topic.target).get_mut(topic)
            && entry.watching.as_ref().is_some_and(|current| current.ptr_eq(watching))
        {
            entry.watching = None;
        }
    }

    /// Notes that `worker` has no member of the topic any more. The last worker's call does `unwatch`.
    pub fn remove(&self, topic: &Topic, worker: usize, unwatch: impl FnOnce()) {
        let mut stripe = self.stripe(&topic.hub, &topic.target);
        let Some(entry) = stripe.get_mut(topic) else {
            return;
        };
        entry.workers.remove(worker);
        if entry.workers == Workers::default() {
            stripe.remove(topic);
            unwatch();
        }
    }

    /// Which workers have a member of the target.
    pub fn workers_of(&self, hub: &HubName, target: &Target) -> Workers {
        let stripe = self.stripe(hub, target);
        stripe.get(&TopicRef { hub, target }).map_or(Workers::default(), |entry| entry.workers)
    }

    fn stripe(&self, hub: &HubName, target: &Target) -> MutexGuard<'_, HashMap<Topic, Entry, RandomState>> {
        let hash = self.hasher.hash_one(TopicRef { hub, target });
        let stripe = &self.stripes[hash as usize % STRIPES];
        // Nothing that runs under the lock leaves an entry half changed.
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Index {
    fn default() -> Self {
        let hasher = RandomState::new();
        let stripes = (0..STRIPES).map(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))).collect();
        Self { stripes, hasher }
    }
}

impl Workers {
    /// One worker.
    pub fn only(worker: usize) -> Self {
        Self(1 << worker)
    }

    /// The first `count` workers, 64 at most.
    pub fn first(count: usize) -> Self {
        Self(u64::MAX.checked_shr(64_u32.saturating_sub(count as u32)).unwrap_or_default())
    }

    /// The set without `worker`.
    pub fn without(mut self, worker: usize) -> Self {
        self.remove(worker);
        self
    }

    /// Whether `worker` is in the set.
    pub fn contains(self, worker: usize) -> bool {
        self.0 & (1 << worker) != 0
    }

    fn insert(&mut self, worker: usize) {
        self.0 |= 1 << worker;
    }

    fn remove(&mut self, worker: usize) {
        self.0 &= !(1 << worker);
    }
}

impl Iterator for Workers {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let worker = self.0.trailing_zeros() as usize;
        self.remove(worker);
        Some(worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::ids::GroupName;
    use futures_util::future::{pending, ready};

    fn topic(group: &str) -> Topic {
        Topic { hub: HubName::new("h").unwrap(), target: Target::Group(GroupName::new(group).unwrap()) }
    }

    fn workers(index: &Index, topic: &Topic) -> Vec<usize> {
        index.workers_of(&topic.hub, &topic.target).collect()
    }

    #[test]
    fn a_topic_names_its_workers_and_is_watched_while_it_has_one() {
        let (index, topic) = (Index::default(), topic("g"));
        assert!(workers(&index, &topic).is_empty());
        assert!(index.add(&topic, 3, || ready(Ok(())).boxed()).is_none());
        assert!(index.add(&topic, 63, || unreachable!("watched already")).is_none());
        assert_eq!(workers(&index, &topic), [3, 63]);
        index.remove(&topic, 3, || unreachable!("still a member"));
        let mut unwatched = false;
        index.remove(&topic, 63, || unwatched = true);
        assert!(unwatched && workers(&index, &topic).is_empty());
    }

    #[test]
    fn the_first_workers_are_those_with_the_lowest_numbers() {
        let check =
            |count, expected: &[usize]| assert_eq!(Workers::first(count).collect::<Vec<_>>(), expected);
        check(0, &[]);
        check(3, &[0, 1, 2]);
        check(64, &(0..64).collect::<Vec<_>>());
    }

    #[test]
    fn everyone_waits_for_a_watch_that_is_under_way() {
        let (index, topic) = (Index::default(), topic("g"));
        let watching = index.add(&topic, 0, || pending().boxed()).unwrap();
        assert!(index.add(&topic, 1, || unreachable!("under way")).is_some());
        index.watched(&topic, &watching);
        assert!(index.add(&topic, 2, || unreachable!("watched already")).is_none());
    }

    #[test]
    fn an_old_watch_does_not_stand_for_a_new_one() {
        let (index, topic) = (Index::default(), topic("g"));
        let old = index.add(&topic, 0, || pending().boxed()).unwrap();
        index.remove(&topic, 0, || {});
        assert!(index.add(&topic, 1, || pending().boxed()).is_some());
        index.watched(&topic, &old);
        assert!(index.add(&topic, 2, || unreachable!("under way")).is_some());
    }
}
