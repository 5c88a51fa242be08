//! Which channels a node wants to hear. A wish that ends is kept for a while: groups are often left and joined again,
//! and Redis need not hear of it. Pure; the time is an argument.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::backplane::{Channel, Partition, PartitionSet};

/// How long a channel is still heard after its wish has ended.
const LINGER: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    by_name: HashMap<Arc<str>, Wish>,
    /// In the order of their times. An entry whose wish has been renewed since means nothing.
    leaving: VecDeque<(Instant, Arc<str>)>,
}

#[derive(Debug)]
struct Wish {
    channel: Channel,
    partition: Partition,
    leaves_at: Option<Instant>,
}

impl Wishes {
    /// The channel of this name is wanted from now on. Says whether it was not heard until now.
    pub(super) fn want(&mut self, name: &Arc<str>, channel: &Channel) -> bool {
        let wish = Wish { channel: channel.clone(), partition: channel.partition(), leaves_at: None };
        self.by_name.insert(Arc::clone(name), wish).is_none()
    }

    /// It is wanted no longer.
    pub(super) fn leave(&mut self, name: &str, now: Instant) {
        let leaves_at = now + LINGER;
        if let Some((name, _)) = self.by_name.get_key_value(name) {
            self.leaving.push_back((leaves_at, Arc::clone(name)));
        }
        if let Some(wish) = self.by_name.get_mut(name) {
            wish.leaves_at = Some(leaves_at);
        }
    }

    /// Forgets the channels that have not been wanted for long enough, and hands them out.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        while let Some((at, name)) = self.leaving.pop_front_if(|(at, _)| *at <= now) {
            if self.by_name.get(&name).is_some_and(|wish| wish.leaves_at == Some(at)) {
                self.by_name.remove(&name);
                due.push(name);
            }
        }
        due
    }

    /// The partition of the channel of this name, if it is heard.
    pub(super) fn partition(&self, name: &str) -> Option<Partition> {
        self.by_name.get(name).map(|wish| wish.partition)
    }

    /// All channels of these partitions that are heard.
    pub(super) fn channels_in(&self, partitions: PartitionSet) -> impl Iterator<Item = &Channel> {
        let wishes = self.by_name.values().filter(move |wish| partitions.contains(wish.partition));
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
        assert_eq!(wishes.take_due(start + 2 * LINGER), [Arc::clone(&name)], "once");
        assert!(wishes.partition(&name).is_none());
    }
}
