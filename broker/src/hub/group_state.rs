//! What members of a group show, and which of them see it. Source: `client-protocols.md` 11.
//!
//! A state lives with its owner's membership, in the roster of the owner's worker; a subscription likewise. So both end
//! with the membership, however that ends. An update reaches subscribers like any message to the group, and those that
//! wait for a snapshot are told it after that: a snapshot is put together from what several workers answer, and must not
//! take back what came meanwhile.

use std::collections::BTreeMap;
use std::rc::Rc;

use codec::ids::{ConnectionId, GroupName, HubName};
use codec::message::{Downstream, GroupState, GroupStateExtent, GroupStateItem};
use hashbrown::HashMap;

use super::fanout::{Outgoing, Parcels};
use super::member::MemberKey;
use super::parcel::Parcel;
use super::roster::{Roster, RosterKey};
use super::shard::Shard;
use super::window::StateSlot;
use crate::model::command::{Target, Topic};
use crate::model::portable::Sight;

/// What concerns states in one roster. Rosters of which nobody shows or sees anything have none.
#[derive(Debug, Default)]
pub(super) struct RosterStates {
    shown: HashMap<MemberKey, GroupStateItem>,
    subscribers: HashMap<MemberKey, Subscription>,
}

#[derive(Debug)]
enum Subscription {
    /// Told each update as it comes.
    Current,
    /// Told a snapshot first, and then these: the last update of each owner.
    AwaitsSnapshot(BTreeMap<ConnectionId, GroupStateItem>),
}

/// The clock of a shard's states, and the states whose owners have left and of whom nobody has been told yet.
#[derive(Debug, Default)]
pub(super) struct StateLog {
    last: i64,
    cleared: Vec<(Topic, GroupStateItem)>,
}

/// The connection is not a member of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is not a member of the group")]
pub struct NotMember;

impl StateLog {
    /// The time of a change: `now`, unless the one before was later. An owner never changes its shard, so that its
    /// changes are strictly in order.
    fn tick(&mut self, now: i64) -> i64 {
        self.last = now.max(self.last + 1);
        self.last
    }

    /// The time of the last change.
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    /// An owner has come from another node: its next change must have a later time than those that it had there.
    pub(super) fn catch_up(&mut self, last: i64) {
        self.last = self.last.max(last);
    }

    /// A member has left a roster.
    pub(super) fn left(&mut self, roster: &mut Roster, key: MemberKey) {
        let Some(states) = roster.states.as_mut() else {
            return;
        };
        states.subscribers.remove(&key);
        if let Some(item) = states.shown.remove(&key) {
            self.cleared.push((roster.topic.clone(), item));
        }
        roster.drop_unused_states();
    }
}

impl Roster {
    /// What a member shows and sees.
    pub(super) fn states_of(&self, key: MemberKey) -> (Option<(GroupState, i64)>, Sight) {
        let Some(states) = self.states.as_ref() else {
            return Default::default();
        };
        let sight = match states.subscribers.get(&key) {
            None => Sight::None,
            Some(Subscription::Current) => Sight::Current,
            Some(Subscription::AwaitsSnapshot(_)) => Sight::AwaitsSnapshot,
        };
        let shown = states.shown.get(&key);
        (shown.and_then(|item| item.state.clone().map(|state| (state, item.updated_at))), sight)
    }

    /// A member shows and sees nothing any longer; nobody is to be told that.
    pub(super) fn drop_states(&mut self, key: MemberKey) {
        if let Some(states) = self.states.as_mut() {
            states.shown.remove(&key);
            states.subscribers.remove(&key);
            self.drop_unused_states();
        }
    }

    /// Gives a member what it showed and saw before.
    pub(super) fn give_states(&mut self, key: MemberKey, shown: Option<GroupStateItem>, sight: Sight) {
        if shown.is_none() && sight == Sight::None {
            return;
        }
        let states = self.states.get_or_insert_default();
        states.shown.extend(shown.map(|item| (key, item)));
        let subscription = match sight {
            Sight::None => None,
            Sight::Current => Some(Subscription::Current),
            Sight::AwaitsSnapshot => Some(Subscription::AwaitsSnapshot(BTreeMap::new())),
        };
        states.subscribers.extend(subscription.map(|subscription| (key, subscription)));
    }

    fn drop_unused_states(&mut self) {
        let is_unused = |states: &RosterStates| states.shown.is_empty() && states.subscribers.is_empty();
        if self.states.as_deref().is_some_and(is_unused) {
            self.states = None;
        } else if let Some(states) = &mut self.states {
            shrink(&mut states.shown);
            shrink(&mut states.subscribers);
        }
    }
}

/// What a large group once needed must not stay for ever.
fn shrink<V>(map: &mut HashMap<MemberKey, V>) {
    if map.capacity() > 4 * map.len().max(64) {
        map.shrink_to_fit();
    }
}

impl Shard {
    /// Notes what a member shows to the group `topic`, nothing when `state` is absent. Gives what subscribers are to be
    /// told. `now` is in milliseconds since 1970.
    ///
    /// # Errors
    /// When it is not in the group.
    pub fn show(
        &mut self,
        key: MemberKey,
        topic: &Topic,
        state: Option<GroupState>,
        now: i64,
    ) -> Result<GroupStateItem, NotMember> {
        let roster = self.place_of(key, topic).ok_or(NotMember)?;
        let (member, roster) = (self.members.get(key).ok_or(NotMember)?, &mut self.rosters[roster]);
        let item = GroupStateItem {
            connection_id: member.connection_id.clone(),
            user_id: member.user_id.clone(),
            state,
            updated_at: self.states.tick(now),
        };
        if item.state.is_some() {
            roster.states.get_or_insert_default().shown.insert(key, item.clone());
        } else if let Some(states) = roster.states.as_mut() {
            states.shown.remove(&key);
            roster.drop_unused_states();
        }
        self.changed(key);
        Ok(item)
    }

    /// Lets a member see what the members of the group `topic` show. Updates wait until [`Shard::tell_snapshot`].
    ///
    /// # Errors
    /// When it is not in the group.
    pub fn subscribe_states(&mut self, key: MemberKey, topic: &Topic) -> Result<(), NotMember> {
        let roster = self.place_of(key, topic).ok_or(NotMember)?;
        let states = self.rosters[roster].states.get_or_insert_default();
        states.subscribers.insert(key, Subscription::AwaitsSnapshot(BTreeMap::new()));
        self.changed(key);
        Ok(())
    }

    /// Lets it see that no longer.
    pub fn unsubscribe_states(&mut self, key: MemberKey, topic: &Topic) {
        if let Some(roster) = self.place_of(key, topic)
            && let Some(states) = self.rosters[roster].states.as_mut()
        {
            states.subscribers.remove(&key);
            self.rosters[roster].drop_unused_states();
            self.changed(key);
        }
    }

    /// Lets members that are about to end see no states any more. Each would be told of the end of all before it, which is
    /// much in a large group and helps nobody.
    pub fn end_subscriptions(&mut self, keys: &[MemberKey]) {
        for &key in keys {
            let places = self.members.get(key).map_or(&[][..], |member| &member.places);
            for place in places {
                let roster = &mut self.rosters[place.roster];
                if let Some(states) = roster.states.as_mut() {
                    states.subscribers.remove(&key);
                    roster.drop_unused_states();
                }
            }
        }
    }

    /// Tells a subscriber what it waits for: the snapshot, unless it could not be put together, then what came
    /// meanwhile and is newer. Nothing happens if it subscribes no longer.
    pub fn tell_snapshot(&mut self, key: MemberKey, topic: &Topic, items: Option<Vec<GroupStateItem>>) {
        let Target::Group(group) = &topic.target else {
            return;
        };
        let Some(mut updates) = self.end_wait(key, topic) else {
            return;
        };
        if let Some(items) = items {
            for item in &items {
                let is_known = |update: &GroupStateItem| update.updated_at <= item.updated_at;
                if updates.get(&item.connection_id).is_some_and(is_known) {
                    updates.remove(&item.connection_id);
                }
            }
            self.tell_states(key, group, None, items);
        }
        for (owner, update) in updates {
            self.tell_states(key, group, Some(owner), vec![update]);
        }
    }

    fn end_wait(&mut self, key: MemberKey, topic: &Topic) -> Option<BTreeMap<ConnectionId, GroupStateItem>> {
        let roster = self.place_of(key, topic)?;
        let subscription = self.rosters[roster].states.as_mut()?.subscribers.get_mut(&key)?;
        match std::mem::replace(subscription, Subscription::Current) {
            Subscription::AwaitsSnapshot(updates) => Some(updates),
            Subscription::Current => None,
        }
    }

    /// Tells one subscriber of one member, or of all when there is no `owner`.
    fn tell_states(
        &mut self,
        key: MemberKey,
        group: &GroupName,
        owner: Option<ConnectionId>,
        items: Vec<GroupStateItem>,
    ) {
        let Some(member) = self.members.get_mut(key) else {
            return;
        };
        let extent = if owner.is_some() { GroupStateExtent::Update } else { GroupStateExtent::Snapshot };
        let message = Downstream::GroupState { extent, group: group.clone(), items };
        let Some(frame) = codec::encode(member.encoding(), &message) else {
            return;
        };
        let parcel = Rc::new(Parcel::of(member.encoding(), &frame, None));
        let slot = StateSlot { group: group.clone(), owner };
        self.queue.send((key, member), &parcel, Some(&slot), None);
        self.queue.count_message(frame.bytes().len());
    }

    /// Queues an update for those who see what the group's members show.
    pub(super) fn deliver_state(&mut self, outgoing: &Outgoing, item: &GroupStateItem) {
        self.deliver_state_to(outgoing, item, |_| true);
    }

    /// The same for some of them.
    pub(super) fn deliver_state_to(
        &mut self,
        outgoing: &Outgoing,
        item: &GroupStateItem,
        is_meant: impl Fn(MemberKey) -> bool,
    ) {
        let command = outgoing.command();
        let Target::Group(group) = &command.target else {
            return;
        };
        let roster = self.hubs.get(&command.hub).and_then(|directory| directory.roster(&command.target));
        let Some(states) = roster.and_then(|roster| self.rosters[roster].states.as_mut()) else {
            return;
        };
        let slot = StateSlot { group: group.clone(), owner: Some(item.connection_id.clone()) };
        let mut parcels = Parcels::of(outgoing, None);
        for (&key, subscription) in states.subscribers.iter_mut().filter(|(key, _)| is_meant(**key)) {
            if self.handovers.knows(key, command, outgoing.identity()) {
                continue;
            }
            if let Subscription::AwaitsSnapshot(updates) = subscription {
                updates.insert(item.connection_id.clone(), item.clone());
                continue;
            }
            let Some(member) = self.members.get_mut(key) else {
                continue;
            };
            let Some(parcel) = parcels.get(member.subprotocol) else {
                continue;
            };
            self.queue.count_delivery(member);
            self.queue.send((key, member), parcel, Some(&slot), Some(outgoing));
        }
        self.queue.count_message(parcels.longest());
    }

    /// What the members of a group show: the first `limit` in the order of their connection ids.
    pub fn states(&self, hub: &HubName, group: &GroupName, limit: usize) -> Vec<GroupStateItem> {
        let roster = self.hubs.get(hub).and_then(|directory| directory.groups.get(group));
        let Some(states) = roster.and_then(|&roster| self.rosters[roster].states.as_ref()) else {
            return Vec::new();
        };
        let mut found: Vec<&GroupStateItem> = states.shown.values().collect();
        // The group may be much larger than the snapshot: only what is told is sorted.
        if found.len() > limit {
            found.select_nth_unstable_by(limit, |a, b| a.connection_id.cmp(&b.connection_id));
            found.truncate(limit);
        }
        found.sort_unstable_by(|a, b| a.connection_id.cmp(&b.connection_id));
        found.into_iter().cloned().collect()
    }

    /// Hands out the groups whose members have left with a state, and what subscribers are to be told of each. `now` is
    /// in milliseconds since 1970, and is asked for only if there is something.
    pub fn take_cleared_states(&mut self, now: impl FnOnce() -> i64) -> Vec<(Topic, GroupStateItem)> {
        let mut cleared = std::mem::take(&mut self.states.cleared);
        if !cleared.is_empty() {
            let now = now();
            for (_, item) in &mut cleared {
                item.state = None;
                item.updated_at = self.states.tick(now);
            }
        }
        cleared
    }

    /// The roster of a topic, if the member is in it.
    fn place_of(&self, key: MemberKey, topic: &Topic) -> Option<RosterKey> {
        let roster = self.hubs.get(&topic.hub)?.roster(&topic.target)?;
        self.members.get(key)?.is_in(roster).then_some(roster)
    }
}

#[cfg(test)]
mod tests;
