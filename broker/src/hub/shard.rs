//! A worker's part of every hub. Only its worker touches it, so nothing here is locked.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Poll;

use hashbrown::HashMap;
use slotmap::SlotMap;
use tokio::time::Instant;

use codec::ids::{ConnectionId, HubName, SequenceId};
use codec::message::Downstream;

use super::group_state::StateLog;
use super::handover::Handovers;
use super::member::{Member, MemberKey, NewMember};
use super::outbox::Outbox;
use super::parcel::Parcel;
use super::presence::{Keeping, Presence, PresenceChange, PresenceLog};
use super::queue::{DELIVERY_KINDS, Queue, QueueLimits};
use super::roster::{self, Directory, Roster, RosterKey};
use crate::model::command::{Target, Topic};

/// See the module.
#[derive(Debug)]
pub struct Shard {
    pub(super) members: SlotMap<MemberKey, Member>,
    pub(super) rosters: SlotMap<RosterKey, Roster>,
    pub(super) hubs: HashMap<HubName, Directory>,
    pub(super) queue: Queue,
    pub(super) presence: PresenceLog,
    pub(super) states: StateLog,
    pub(super) handovers: Handovers,
}

/// What joining led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// The member is in the roster now and was not before.
    Newly,
    /// It was in it before.
    Already,
    /// There is no such member any more.
    Gone,
}

impl Shard {
    /// An empty shard whose members' queues have these limits.
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            members: SlotMap::default(),
            rosters: SlotMap::default(),
            hubs: HashMap::default(),
            queue: Queue::new(limits),
            presence: PresenceLog::default(),
            states: StateLog::default(),
            handovers: Handovers::default(),
        }
    }

    /// Takes in a connection: from now on its hub, its user and its id reach it.
    pub fn attach(&mut self, new: &NewMember) -> MemberKey {
        let key = self.members.insert(Member::new(new));
        let directory = self.hubs.entry(new.hub.clone()).or_default();
        directory.connections.insert(new.connection_id.clone(), key);
        self.join(key, &new.hub, &Target::Hub);
        if let Some(user) = &new.user_id {
            self.join(key, &new.hub, &Target::User(user.clone()));
        }
        key
    }

    /// Puts a member into the roster of a target.
    pub fn join(&mut self, key: MemberKey, hub: &HubName, target: &Target) -> Joined {
        let joined = self.enter(key, hub, target).map_or(Joined::Gone, |(_, joined)| joined);
        if joined == Joined::Newly {
            self.presence.note(key, target, Presence::Joined);
        }
        joined
    }

    /// The same, of which the application is not told. Nothing when there is no such member.
    pub(super) fn enter(
        &mut self,
        key: MemberKey,
        hub: &HubName,
        target: &Target,
    ) -> Option<(RosterKey, Joined)> {
        let member = self.members.get_mut(key)?;
        let directory = self.hubs.entry(hub.clone()).or_default();
        let roster_key = directory.roster(target).unwrap_or_else(|| {
            let topic = Topic { hub: hub.clone(), target: target.clone() };
            let roster = self.rosters.insert(Roster {
                topic,
                members: Vec::new(),
                states: None,
                runs: RefCell::default(),
            });
            directory.set_roster(target, roster);
            roster
        });
        if member.is_in(roster_key) {
            return Some((roster_key, Joined::Already));
        }
        roster::enter(&mut self.rosters[roster_key], roster_key, key, member);
        self.changed(key);
        Some((roster_key, Joined::Newly))
    }

    /// Takes a member out of the roster of a target. Gives the topic if nobody is left in it.
    pub fn leave(&mut self, key: MemberKey, hub: &HubName, target: &Target) -> Option<Topic> {
        let roster_key = self.hubs.get(hub)?.roster(target)?;
        let member = self.members.get_mut(key)?;
        let place = member.places.remove(member.find_place(roster_key).ok()?);
        self.presence.note(key, target, Presence::Left);
        self.changed(key);
        self.vacate(key, roster_key, place.position)
    }

    /// Forgets a member. Gives what is still queued for it, and the topics in which nobody is left.
    pub fn detach(&mut self, key: MemberKey) -> Option<(Outbox, Vec<Topic>)> {
        for place in &self.members.get(key)?.places {
            self.presence.note(key, &self.rosters[place.roster].topic.target, Presence::Left);
        }
        let (mut member, emptied) = self.remove(key)?;
        member.open_gate();
        Some((member.outbox.lose_socket(), emptied))
    }

    /// The same, of which the application is not told.
    pub(super) fn remove(&mut self, key: MemberKey) -> Option<(Member, Vec<Topic>)> {
        self.handovers.forget(key);
        let mut member = self.members.remove(key)?;
        self.queue.forget(key);
        let places = std::mem::take(&mut member.places);
        let hub = places.first().map(|place| self.rosters[place.roster].topic.hub.clone());
        let emptied =
            places.iter().filter_map(|place| self.vacate(key, place.roster, place.position)).collect();
        if let Some(hub) = hub
            && let Some(directory) = self.hubs.get_mut(&hub)
        {
            directory.connections.remove(&member.connection_id);
            if directory.connections.is_empty() {
                self.hubs.remove(&hub);
            } else if directory.connections.capacity() > 4 * directory.connections.len().max(64) {
                directory.connections.shrink_to_fit();
            }
        }
        Some((member, emptied))
    }

    fn vacate(&mut self, key: MemberKey, roster_key: RosterKey, position: u32) -> Option<Topic> {
        let roster = &mut self.rosters[roster_key];
        self.states.left(roster, key);
        roster::leave(roster, roster_key, position, &mut self.members);
        if !roster.members.is_empty() {
            return None;
        }
        let topic = self.rosters.remove(roster_key)?.topic;
        if let Some(directory) = self.hubs.get_mut(&topic.hub) {
            directory.remove_roster(&topic.target);
        }
        Some(topic)
    }

    /// The member that a connection id names.
    pub fn find(&self, hub: &HubName, connection: &ConnectionId) -> Option<MemberKey> {
        self.hubs.get(hub)?.connections.get(connection).copied()
    }

    /// The groups that a member is in.
    pub fn groups_of(&self, key: MemberKey) -> Vec<Target> {
        let mut targets = self.targets_of(key);
        targets.retain(|target| matches!(target, Target::Group(_)));
        targets
    }

    /// The targets that a member is in.
    pub fn targets_of(&self, key: MemberKey) -> Vec<Target> {
        let places = self.members.get(key).map_or(&[][..], |member| &member.places);
        places.iter().map(|place| self.rosters[place.roster].topic.target.clone()).collect()
    }

    /// Queues a message for one member, encoded for it alone. While a member has no socket, only what its window keeps
    /// is queued.
    pub fn tell(&mut self, key: MemberKey, message: &Downstream) {
        let Some(member) = self.members.get_mut(key) else {
            return;
        };
        let is_sequenced = member.outbox.window().is_some() && message.is_sequenced();
        if !is_sequenced && member.is_suspended {
            return;
        }
        let encoding = member.encoding();
        let Some(frame) = codec::encode(encoding, message) else {
            return;
        };
        let parcel = Rc::new(Parcel::of(encoding, &frame, None));
        if is_sequenced {
            self.queue.send((key, member), &parcel, None, None);
            self.queue.count_message(frame.bytes().len());
        } else {
            self.queue.push_when_written(key, member, parcel);
        }
    }

    /// Queues a frame for one member as it is, if it has a socket.
    pub fn push(&mut self, key: MemberKey, parcel: Rc<Parcel>) {
        if let Some(member) = self.members.get_mut(key)
            && !member.is_suspended
        {
            self.queue.push(key, member, parcel);
        }
    }

    /// A reliable member's client has all messages up to this one.
    pub fn acknowledge(&mut self, key: MemberKey, up_to: SequenceId) {
        if let Some(member) = self.members.get_mut(key) {
            member.outbox.acknowledge(up_to);
            self.queue.reclaim(member);
            self.queue.acknowledged(key, member);
        }
    }

    /// A reliable member has lost its socket. Gives what was still queued for it; its window keeps what the client has
    /// not acknowledged, and what comes from now on.
    pub fn suspend(&mut self, key: MemberKey) -> Option<Outbox> {
        let member = self.members.get_mut(key)?;
        member.is_suspended = true;
        member.is_blocked = false;
        member.forget_withheld();
        Some(member.outbox.lose_socket())
    }

    /// A suspended member has another socket, and is sent first a greeting, if there is one for it, and then what its
    /// client has not acknowledged.
    pub fn resume(&mut self, key: MemberKey, greeting: Option<&Downstream>, now: Instant) {
        let Some(member) = self.members.get_mut(key) else {
            return;
        };
        member.is_suspended = false;
        member.outbox.forget_expired(now);
        if let Some(frame) = greeting.and_then(|greeting| codec::encode(member.encoding(), greeting)) {
            member.outbox.push_first(Rc::new(Parcel::new(&frame, None)));
        }
        if !member.outbox.is_empty() {
            self.queue.note(key, member);
        }
    }

    /// Hands out the members that must end because their window had no room for a message.
    pub fn take_overrun(&mut self) -> Vec<MemberKey> {
        self.queue.take_overrun()
    }

    /// Whether so much is queued that it should be written, and sockets be read, before more is.
    pub fn needs_flush(&self) -> bool {
        self.queue.needs_flush()
    }

    /// The others have their turn now, and with them who reads acknowledgements.
    pub fn others_have_their_turn(&mut self) {
        self.queue.others_have_their_turn();
    }

    /// Until when it makes sense to wait for an acknowledgement before more is put in: a reliable member's window is
    /// nearly full, and its client has answered lately.
    pub fn acknowledgement_due(&self, now: Instant) -> Option<Instant> {
        self.queue.acknowledgement_due(&self.members, now)
    }

    /// Whether nothing waits to be flushed.
    pub fn is_clean(&self) -> bool {
        self.queue.is_clean()
    }

    /// How many members are to be flushed.
    pub fn dirty_len(&self) -> usize {
        self.queue.dirty_len()
    }

    /// Frames queued since the last flush.
    pub fn fresh_len(&self) -> usize {
        self.queue.fresh_len()
    }

    /// Hands out the members to be flushed, in exchange for `empty`.
    pub fn take_dirty(&mut self, empty: Vec<MemberKey>) -> Vec<MemberKey> {
        self.queue.take_dirty(empty)
    }

    /// Lets what is queued for a new member wait, and makes its socket count as blocked, until [`Shard::release`].
    pub fn hold(&mut self, key: MemberKey) {
        if let Some(member) = self.members.get_mut(key) {
            member.is_blocked = true;
        }
    }

    /// Lets the socket of a held member be written to.
    pub fn release(&mut self, key: MemberKey) {
        if let Some(member) = self.members.get_mut(key) {
            member.is_blocked = false;
            self.queue.note(key, member);
        }
    }

    /// Forgets what is queued for a held member, who is to see nothing of it.
    pub fn forget_queued(&mut self, key: MemberKey) {
        if let Some(member) = self.members.get_mut(key) {
            member.forget_withheld();
            member.outbox = Outbox::default();
        }
    }

    /// Whether a task waits for the member's socket.
    pub fn is_blocked(&self, key: MemberKey) -> bool {
        self.members.get(key).is_some_and(|member| member.is_blocked)
    }

    /// The queue of a member that is being flushed; from now on a new frame makes it dirty again. Nothing for one that
    /// has no socket.
    pub fn begin_flush(&mut self, key: MemberKey, now: Instant) -> Option<&mut Outbox> {
        let member = self.members.get_mut(key)?;
        member.is_dirty = false;
        if member.is_suspended {
            return None;
        }
        member.outbox.drop_expired(now);
        Some(&mut member.outbox)
    }

    /// Notes how a flush of a member ended: `written` is ready when the socket has taken everything. It may be pending
    /// although the outbox is empty, because TLS has a buffer of its own.
    pub fn end_flush(&mut self, key: MemberKey, written: Poll<()>) -> Flushed {
        let Some(member) = self.members.get_mut(key) else {
            return Flushed::Done;
        };
        self.queue.reclaim(member);
        if written.is_ready() {
            member.is_blocked = false;
            return Flushed::Done;
        }
        if self.queue.is_full(member) {
            return Flushed::TooSlow;
        }
        if std::mem::replace(&mut member.is_blocked, true) { Flushed::StillBlocked } else { Flushed::Blocked }
    }

    /// Begins or ends to note who joins and leaves groups.
    pub fn keep_presence(&mut self, keeping: Keeping) {
        self.presence.keep(keeping);
    }

    /// Who has joined and left groups since the last call, in this order.
    pub fn take_presence(&mut self) -> Vec<PresenceChange> {
        self.presence.take()
    }

    /// Messages queued by fan-outs since the last call, by kind of member.
    pub fn take_deliveries(&mut self) -> [u64; DELIVERY_KINDS] {
        self.queue.take_deliveries()
    }
}

/// How a flush ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing is left.
    Done,
    /// The socket takes no more for now; nobody waits for it yet.
    Blocked,
    /// The socket takes no more for now, and a task waits for it.
    StillBlocked,
    /// The socket takes no more, and more waits than is allowed.
    TooSlow,
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
