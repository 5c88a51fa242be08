//! Which channels a node wants to hear. A wish that ends is kept for a while: groups are often left and joined again,
//! and Redis need not hear of it. Pure; the time is an argument.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::backplane::{Channel, Partition, PartitionSet};

/// How long a channel is still heard after its wish has ended.
const LINGER: Duration = Duration::from_secs(1);
/// How long something may be under way that Redis has handed over before it learned that the channel is not wanted any
/// more. Whoever published it has counted this node, and may wait for its answer.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    by_name: HashMap<Arc<str>, Wish>,
    /// In the order of their times. An entry whose wish has been renewed since means nothing.
    leaving: VecDeque<(Instant, Arc<str>)>,
    /// The same of those that Redis has been told to end.
    ended: VecDeque<(Instant, Arc<str>)>,
}

#[derive(Debug)]
struct Wish {
    channel: Channel,
    partition: Partition,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Wanted,
    /// Nobody wants it, and it is heard until then.
    Leaving(Instant),
    /// It is heard no more, but for what is under way until then.
    Ended(Instant),
}

impl Wishes {
    /// The channel of this name is wanted from now on. Says whether it was not heard until now.
    pub(super) fn want(&mut self, name: &Arc<str>, channel: &Channel) -> bool {
        let wish = Wish { channel: channel.clone(), partition: channel.partition(), stage: Stage::Wanted };
        let before = self.by_name.insert(Arc::clone(name), wish);
        before.is_none_or(|before| matches!(before.stage, Stage::Ended(_)))
    }

    /// It is wanted no longer.
    pub(super) fn leave(&mut self, name: &Arc<str>, now: Instant) {
        if let Some(wish) = self.by_name.get_mut(name)
            && !matches!(wish.stage, Stage::Ended(_))
        {
            let at = now + LINGER;
            wish.stage = Stage::Leaving(at);
            self.leaving.push_back((at, Arc::clone(name)));
        }
    }

    /// Channels that have not been wanted for long enough, each once: Redis is to be told.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        while let Some((at, name)) = self.leaving.pop_front_if(|(at, _)| *at <= now) {
            if let Some(wish) = self.by_name.get_mut(&name)
                && wish.stage == Stage::Leaving(at)
            {
                let until = now + LAST_WORDS;
                wish.stage = Stage::Ended(until);
                self.ended.push_back((until, Arc::clone(&name)));
                due.push(name);
            }
        }
        due
    }

    /// Forgets the channels of which nothing is under way any more, and hands them out.
    pub(super) fn take_silent(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut silent = Vec::new();
        while let Some((at, name)) = self.ended.pop_front_if(|(at, _)| *at <= now) {
            if self.by_name.get(&name).is_some_and(|wish| wish.stage == Stage::Ended(at)) {
                self.by_name.remove(&name);
                silent.push(name);
            }
        }
        silent
    }

    /// The partition of the channel of this name, if something may come of it.
    pub(super) fn partition(&self, name: &str) -> Option<Partition> {
        self.by_name.get(name).map(|wish| wish.partition)
    }

    /// All channels of these partitions that are heard.
    pub(super) fn channels_in(&self, partitions: PartitionSet) -> impl Iterator<Item = &Channel> {
        let heard = self.by_name.values().filter(|wish| !matches!(wish.stage, Stage::Ended(_)));
        let wishes = heard.filter(move |wish| partitions.contains(wish.partition));
        wishes.map(|wish| &wish.channel)
    }
}

#[cfg(test)]
mod tests {
    use codec::ids::NodeId;

    use super::*;

    #[test]
    fn a_channel_is_heard_for_a_while_after_its_wish_has_ended_unless_it_is_renewed() {
        let start = Instant::now();
        let channel = Channel::Node(NodeId::new("n").unwrap());
        let name: Arc<str> = channel.name("h").into();
        let mut wishes = Wishes::default();
        wishes.leave(&name, start);
        assert!(wishes.take_due(start + LINGER).is_empty(), "nobody wanted it");
        assert!(wishes.want(&name, &channel), "it is new");
        wishes.leave(&name, start);
        assert!(!wishes.want(&name, &channel), "it is still heard");
        assert!(wishes.take_due(start + LINGER).is_empty(), "it is wanted again");
        wishes.leave(&name, start + LINGER);
        wishes.leave(&name, start + LINGER);
        assert!(wishes.take_due(start + LINGER).is_empty());
        assert_eq!(wishes.partition(&name), Some(channel.partition()));
        assert_eq!(wishes.channels_in(PartitionSet::ALL).collect::<Vec<_>>(), [&channel]);
        assert_eq!(wishes.channels_in(PartitionSet::EMPTY).next(), None);
        let left = start + 2 * LINGER;
        assert_eq!(wishes.take_due(left), [Arc::clone(&name)], "once");
        assert!(wishes.channels_in(PartitionSet::ALL).next().is_none());
        wishes.leave(&name, left);
        assert!(wishes.take_due(left + LINGER).is_empty(), "it is over already");
    }

    #[test]
    fn what_is_under_way_is_known_for_a_while_after_a_channel_is_heard_no_more() {
        let start = Instant::now();
        let channel = Channel::Node(NodeId::new("n").unwrap());
        let name: Arc<str> = channel.name("h").into();
        let mut wishes = Wishes::default();
        let end = |wishes: &mut Wishes, at: Instant| {
            wishes.leave(&name, at);
            assert_eq!(wishes.take_due(at + LINGER), [Arc::clone(&name)]);
            at + LINGER + LAST_WORDS
        };
        wishes.want(&name, &channel);
        let over = end(&mut wishes, start);
        assert_eq!(wishes.partition(&name), Some(channel.partition()));
        assert!(wishes.want(&name, &channel), "it must be subscribed again");
        assert!(wishes.take_silent(over).is_empty(), "it is wanted again");
        let over = end(&mut wishes, over);
        assert!(wishes.take_silent(over - Duration::from_millis(1)).is_empty());
        assert_eq!(wishes.take_silent(over), [Arc::clone(&name)]);
        assert_eq!(wishes.partition(&name), None);
        assert!(wishes.want(&name, &channel), "it is new");
    }
}
