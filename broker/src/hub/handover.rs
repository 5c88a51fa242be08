//! Messages for members that are about to move between nodes.
//!
//! The node that has the member notes what it delivers to it, by the names of the messages. The node that it moves to keeps
//! what is sent to the member's topics, and later delivers of that what the first one did not. So none is lost, and none
//! comes twice.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use slotmap::SlotMap;
use tokio::time::Instant;

use super::fanout::Outgoing;
use super::member::MemberKey;
use super::shard::Shard;
use crate::model::command::{Command, Identity, Target, Topic};

/// Most messages that are noted or kept for one member, as many as its window may hold twice. More cannot be handed over.
const MAX_MESSAGES: usize = 2048;
/// Most bytes that are kept for one member.
const MAX_BYTES: usize = 32 << 20;

slotmap::new_key_type! {
    /// What a worker keeps for a member that is to come.
    pub struct HoldKey;
}

/// Which preparation of a move is meant. The last one alone counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// The moves that a shard is part of. Nearly always there are none.
#[derive(Debug, Default)]
pub(super) struct Handovers {
    records: HashMap<MemberKey, Record>,
    holds: SlotMap<HoldKey, Hold>,
    known: HashMap<MemberKey, (Known, Instant)>,
    last_ticket: u64,
}

/// What a member that has come received where it was before. It may arrive here as well, and late: the ways of messages
/// are not equally fast, and what was missed is sent again.
#[derive(Debug, Default)]
pub struct Known {
    /// These messages.
    pub delivered: HashSet<Identity>,
    /// Of each topic everything up to these.
    pub floors: HashMap<Topic, Vec<Identity>>,
}

/// What has been delivered to a member since its move was prepared.
#[derive(Debug)]
struct Record {
    ticket: Ticket,
    delivered: Vec<Identity>,
    until: Instant,
}

/// What has been sent to the topics of a member that is to come.
#[derive(Debug, Default)]
struct Hold {
    topics: HashSet<Topic>,
    held: Vec<Held>,
    bytes: usize,
    /// Something was not kept, because it was too much or was lost on its way.
    is_overfull: bool,
}

/// A message that was sent to a topic of a member that is to come.
#[derive(Debug, Clone)]
pub struct Held {
    /// What was sent.
    pub command: Arc<Command>,
    /// By what name all nodes know it; absent when only this one does.
    pub identity: Option<Identity>,
    /// When it is of no use any more.
    pub expires_at: Option<Instant>,
}

impl Handovers {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.holds.is_empty()
    }

    /// A member is no more.
    pub(super) fn forget(&mut self, key: MemberKey) {
        self.records.remove(&key);
        self.known.remove(&key);
    }

    /// Whether a member has received a message where it was before.
    #[inline]
    pub(super) fn knows(&self, key: MemberKey, command: &Command, identity: Option<&Identity>) -> bool {
        !self.known.is_empty()
            && identity.is_some_and(|identity| {
                self.known.get(&key).is_some_and(|(known, _)| known.has(command, identity))
            })
    }
}

impl Known {
    fn has(&self, command: &Command, identity: &Identity) -> bool {
        let Identity { origin, epoch, sequence } = identity;
        let is_up_to = |floor: &Identity| {
            floor.origin == *origin && floor.epoch == *epoch && *sequence <= floor.sequence
        };
        let topic = Topic { hub: command.hub.clone(), target: command.target.clone() };
        self.delivered.contains(identity)
            || self.floors.get(&topic).is_some_and(|floors| floors.iter().any(is_up_to))
    }
}

impl Shard {
    /// Notes from now on what is delivered to a member, for somebody who takes it before `until`. An earlier preparation is void.
    pub fn begin_record(&mut self, key: MemberKey, until: Instant) -> Ticket {
        self.handovers.last_ticket += 1;
        let ticket = Ticket(self.handovers.last_ticket);
        self.handovers.records.insert(key, Record { ticket, delivered: Vec::new(), until });
        ticket
    }

    /// Whether this is still the preparation that counts.
    pub fn has_record(&self, key: MemberKey, ticket: Ticket) -> bool {
        self.handovers.records.get(&key).is_some_and(|record| record.ticket == ticket)
    }

    /// Ends a preparation, if there is one; what has been delivered since. Nothing if that was too much.
    pub fn end_record(&mut self, key: MemberKey) -> Option<Vec<Identity>> {
        let record = self.handovers.records.remove(&key)?;
        (record.delivered.len() <= MAX_MESSAGES).then_some(record.delivered)
    }

    /// Keeps from now on what is sent to topics that a member is to come to.
    pub fn begin_hold(&mut self) -> HoldKey {
        self.handovers.holds.insert(Hold::default())
    }

    /// The same for one topic more. Says whether it is new.
    pub fn hold_topic(&mut self, key: HoldKey, topic: Topic) -> bool {
        self.handovers.holds.get_mut(key).is_some_and(|hold| hold.topics.insert(topic))
    }

    /// Whether something that is sent to the topic is kept.
    pub fn is_held(&self, topic: &Topic) -> bool {
        self.handovers.holds.values().any(|hold| hold.topics.contains(topic))
    }

    /// Whether all that was sent to the topics has been kept.
    pub fn is_complete(&self, key: HoldKey) -> bool {
        self.handovers.holds.get(key).is_some_and(|hold| !hold.is_overfull)
    }

    /// Messages of some topics are lost: holds that want them are of no use.
    pub fn spoil_holds(&mut self, is_lost: impl Fn(&Topic) -> bool) {
        for hold in self.handovers.holds.values_mut() {
            hold.is_overfull |= hold.topics.iter().any(&is_lost);
        }
    }

    /// Ends a hold: what was kept, if that is everything, and the topics that nobody here wants any more.
    pub fn end_hold(&mut self, key: HoldKey) -> (Option<Vec<Held>>, Vec<Topic>) {
        let Some(Hold { topics, held, is_overfull, .. }) = self.handovers.holds.remove(key) else {
            return (None, Vec::new());
        };
        let is_wanted = |topic: &Topic| {
            let directory = self.hubs.get(&topic.hub);
            let has_member = match &topic.target {
                Target::Connection(id) => {
                    directory.is_some_and(|directory| directory.connections.contains_key(id))
                }
                target => directory.is_some_and(|directory| directory.roster(target).is_some()),
            };
            has_member || self.is_held(topic)
        };
        let unwanted = topics.into_iter().filter(|topic| !is_wanted(topic)).collect();
        ((!is_overfull).then_some(held), unwanted)
    }

    /// Notes until when a member that has come may be sent what it has received before.
    pub fn know(&mut self, key: MemberKey, known: Known, until: Instant) {
        self.handovers.known.insert(key, (known, until));
    }

    /// Forgets what cannot come any more, and preparations for nobody.
    pub fn forget_moves(&mut self, now: Instant) {
        if !self.handovers.known.is_empty() {
            self.handovers.known.retain(|_, (_, until)| *until > now);
        }
        if !self.handovers.records.is_empty() {
            self.handovers.records.retain(|_, record| record.until > now);
        }
    }

    /// Delivers to a member that has come what was kept for it, as far as it is sent to a place where it is.
    pub fn deliver_held(&mut self, key: MemberKey, held: &Held) {
        let Command { hub, target, excluded, filter, .. } = &*held.command;
        let is_receiver = self.select(hub, target, excluded, filter.as_ref()).contains(&key);
        if is_receiver && !self.handovers.knows(key, &held.command, held.identity.as_ref()) {
            self.deliver_to(key, held);
        }
    }

    /// Notes a message that is being delivered, for the members and holds that it concerns.
    #[cold]
    pub(super) fn note(&mut self, outgoing: &Outgoing) {
        let command = &outgoing.command;
        let topic = Topic { hub: command.hub.clone(), target: command.target.clone() };
        if let Some(identity) = outgoing.identity() {
            let keys = self.keys_of(&topic.hub, &topic.target);
            let receivers = keys.in_rosters(&self.rosters);
            for (key, record) in &mut self.handovers.records {
                // Whether it was excluded has been said here, and must not be said again elsewhere.
                if receivers.contains(key) && record.delivered.len() <= MAX_MESSAGES {
                    record.delivered.push(identity.clone());
                }
            }
        }
        for hold in self.handovers.holds.values_mut().filter(|hold| hold.topics.contains(&topic)) {
            hold.bytes += command.body.len_bytes();
            if hold.held.len() >= MAX_MESSAGES || hold.bytes > MAX_BYTES {
                hold.is_overfull = true;
                hold.held = Vec::new();
            }
            if !hold.is_overfull {
                hold.held.push(Held {
                    command: Arc::clone(command),
                    identity: outgoing.identity().cloned(),
                    expires_at: outgoing.expires_at,
                });
            }
        }
    }
}

impl Held {
    /// The message, as it was sent.
    pub(super) fn outgoing(&self) -> Outgoing {
        let mut outgoing = Outgoing::new(Arc::clone(&self.command), Instant::now());
        outgoing.expires_at = self.expires_at;
        outgoing.known_as(self.identity.clone())
    }
}

#[cfg(test)]
mod tests;
