//! One message to all members of a target, encoded once for each encoding that any of them needs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use slotmap::SlotMap;
use tokio::time::Instant;

use codec::filter::{Filter, Subject};
use codec::ids::{ConnectionId, HubName};
use codec::message::{Downstream, GroupStateExtent, Origin};
use codec::subprotocol::{Encoding, Subprotocol};
use codec::websocket::Frame;

use super::handover::Held;
use super::member::{Member, MemberKey};
use super::parcel::{NONE, Parcel};
use super::queue::{DELIVERY_KINDS, kind_of};
use super::roster::{Directory, Roster, RosterKey};
use super::run::{Run, Runs};
use super::shard::Shard;
use crate::model::command::{Body, Command, Identity, Target, Topic};

/// A message on its way to the members of this node. The first member that needs an encoding makes it, the rest share
/// the bytes, whichever worker they are on.
#[derive(Debug)]
pub struct Outgoing {
    pub(super) command: Arc<Command>,
    /// Absent when nobody is told anything.
    message: Option<Downstream>,
    frames: [OnceLock<Option<Frame>>; Encoding::COUNT],
    pub(super) expires_at: Option<Instant>,
    is_forwarded: bool,
    /// Absent when no other node can have it.
    identity: Option<Identity>,
}

impl Outgoing {
    /// The message of a command that was accepted at `now`.
    pub fn new(command: Arc<Command>, now: Instant) -> Self {
        let message = message(&command);
        let expires_at = command.time_to_live.map(|time_to_live| now + time_to_live);
        Self { command, message, frames: Default::default(), expires_at, is_forwarded: false, identity: None }
    }

    /// The same, by the name by which other nodes know it.
    pub fn known_as(self, identity: Option<Identity>) -> Self {
        Self { identity, ..self }
    }

    /// The same, after the node that the connection's id names has had it.
    pub fn forwarded(self) -> Self {
        Self { is_forwarded: true, ..self }
    }

    /// Whether that node has had it.
    pub fn is_forwarded(&self) -> bool {
        self.is_forwarded
    }

    /// What was asked for, to be handed on.
    pub fn shared_command(&self) -> Arc<Command> {
        Arc::clone(&self.command)
    }

    /// By what name other nodes know it, if they do.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// What was asked for.
    pub fn command(&self) -> &Command {
        &self.command
    }

    pub(super) fn frame(&self, encoding: Encoding) -> Option<&Frame> {
        let encode = || codec::encode(encoding, self.message.as_ref()?);
        self.frames[encoding.index()].get_or_init(encode).as_ref()
    }
}

/// What the members are told.
fn message(command: &Command) -> Option<Downstream> {
    match (&command.body, &command.target) {
        (Body::Message { from_user_id, content, stream }, target) => {
            let origin = match target {
                Target::Group(group) => {
                    Origin::Group { group: group.clone(), from_user_id: from_user_id.clone() }
                }
                Target::Hub | Target::User(_) | Target::Connection(_) => Origin::Server,
            };
            Some(Downstream::Message { origin, content: content.clone(), stream: stream.clone() })
        }
        (Body::GroupState(item), Target::Group(group)) => Some(Downstream::GroupState {
            extent: GroupStateExtent::Update,
            group: group.clone(),
            items: vec![item.clone()],
        }),
        (Body::GroupState(_), Target::Hub | Target::User(_) | Target::Connection(_)) => None,
    }
}

/// The frames of one fan-out on one worker, shared without atomic counting.
pub(super) struct Parcels<'a> {
    outgoing: &'a Outgoing,
    /// Where those that windows keep go on, if it is in the place of all that the roster is sent.
    runs: Option<&'a RefCell<Runs>>,
    made: [Option<Made>; DELIVERY_KINDS],
}

struct Made {
    parcel: Rc<Parcel>,
    /// Lives until the windows have it.
    _run: Option<Rc<Run>>,
}

impl<'a> Parcels<'a> {
    pub(super) fn of(outgoing: &'a Outgoing, runs: Option<&'a RefCell<Runs>>) -> Self {
        Self { outgoing, runs, made: Default::default() }
    }

    /// The frame for members of this kind.
    #[inline]
    pub(super) fn get(&mut self, subprotocol: Option<Subprotocol>) -> Option<&Rc<Parcel>> {
        let place = &mut self.made[kind_of(subprotocol)];
        if place.is_none() {
            *place = Some(make(self.outgoing, self.runs, subprotocol)?);
        }
        place.as_ref().map(|made| &made.parcel)
    }

    /// Bytes of the longest frame that anybody has received.
    pub(super) fn longest(&self) -> usize {
        self.made.iter().flatten().map(|made| made.parcel.len(NONE)).max().unwrap_or_default()
    }
}

fn make(outgoing: &Outgoing, runs: Option<&RefCell<Runs>>, subprotocol: Option<Subprotocol>) -> Option<Made> {
    let encoding = Encoding::of(subprotocol);
    let parcel = Rc::new(Parcel::of(encoding, outgoing.frame(encoding)?, outgoing.expires_at));
    let is_kept = subprotocol.is_some_and(Subprotocol::is_reliable);
    let run = is_kept.then(|| match runs {
        Some(runs) => runs.borrow_mut().add(encoding, &parcel),
        None => Run::alone(&parcel),
    });
    Some(Made { parcel, _run: run })
}

impl Shard {
    /// Queues a message for every member of its target, a state for those of them who see states.
    pub fn deliver(&mut self, outgoing: &Outgoing) {
        let Command { hub, target, body, excluded, filter, .. } = outgoing.command();
        if !self.handovers.is_empty() {
            self.note(outgoing);
        }
        if let Body::GroupState(item) = body {
            return self.deliver_state(outgoing, item);
        }
        let keys = self.keys_of(hub, target);
        let selected;
        let receivers = if excluded.is_empty() && filter.is_none() {
            keys.in_rosters(&self.rosters)
        } else {
            selected = self.select(hub, target, excluded, filter.as_ref());
            &selected
        };
        let mut parcels = Parcels::of(outgoing, keys.runs(&self.rosters));
        for &key in receivers {
            if self.handovers.knows(key, outgoing.command(), outgoing.identity()) {
                continue;
            }
            let Some(member) = self.members.get_mut(key) else {
                continue;
            };
            let Some(parcel) = parcels.get(member.subprotocol) else {
                continue;
            };
            self.queue.count_delivery(member);
            self.queue.send((key, member), parcel, None, Some(outgoing));
        }
        self.queue.count_message(parcels.longest());
    }

    /// Queues a message for one member that is among its receivers.
    pub(super) fn deliver_to(&mut self, key: MemberKey, held: &Held) {
        let outgoing = held.outgoing();
        if let Body::GroupState(item) = &outgoing.command().body {
            return self.deliver_state_to(&outgoing, item, |receiver| receiver == key);
        }
        if let Some(member) = self.members.get_mut(key)
            && let Some(parcel) = Parcels::of(&outgoing, None).get(member.subprotocol)
        {
            self.queue.count_delivery(member);
            self.queue.send((key, member), parcel, None, Some(&outgoing));
        }
    }

    /// The members of a target that are not excluded and match the filter, as they are now.
    pub fn select(
        &self,
        hub: &HubName,
        target: &Target,
        excluded: &[ConnectionId],
        filter: Option<&Filter>,
    ) -> Vec<MemberKey> {
        let Some(directory) = self.hubs.get(hub) else {
            return Vec::new();
        };
        let mut excluded: Vec<MemberKey> =
            excluded.iter().filter_map(|id| directory.connections.get(id).copied()).collect();
        excluded.sort_unstable();
        let is_wanted = |key: &MemberKey| {
            excluded.binary_search(key).is_err()
                && filter.is_none_or(|filter| {
                    self.members.get(*key).is_some_and(|member| matches(filter, member, directory))
                })
        };
        let keys = self.keys_of(hub, target);
        keys.in_rosters(&self.rosters).iter().copied().filter(is_wanted).collect()
    }

    /// The reliable members of a topic, or of this worker when it is absent.
    pub fn reliable_members(&self, topic: Option<&Topic>) -> Vec<MemberKey> {
        let is_reliable =
            |key: &MemberKey| self.members.get(*key).is_some_and(|member| member.outbox.window().is_some());
        match topic {
            Some(topic) => {
                let keys = self.keys_of(&topic.hub, &topic.target);
                keys.in_rosters(&self.rosters).iter().copied().filter(is_reliable).collect()
            }
            None => self.members.keys().filter(is_reliable).collect(),
        }
    }

    pub(super) fn keys_of(&self, hub: &HubName, target: &Target) -> Keys {
        let Some(directory) = self.hubs.get(hub) else {
            return Keys::None;
        };
        if let Target::Connection(id) = target {
            return directory.connections.get(id).map_or(Keys::None, |&key| Keys::One([key]));
        }
        directory.roster(target).map_or(Keys::None, Keys::Roster)
    }
}

/// The members of a target, found but not yet looked at.
pub(super) enum Keys {
    None,
    One([MemberKey; 1]),
    Roster(RosterKey),
}

impl Keys {
    pub(super) fn in_rosters<'a>(&'a self, rosters: &'a SlotMap<RosterKey, Roster>) -> &'a [MemberKey] {
        match self {
            Self::None => &[],
            Self::One(key) => key,
            Self::Roster(roster) => &rosters[*roster].members,
        }
    }

    /// What reliable members of the target keep together, if there may be several.
    fn runs<'a>(&self, rosters: &'a SlotMap<RosterKey, Roster>) -> Option<&'a RefCell<Runs>> {
        match self {
            Self::None | Self::One(_) => None,
            Self::Roster(roster) => Some(&rosters[*roster].runs),
        }
    }
}

/// Evaluates a filter on a member as it is now.
fn matches(filter: &Filter, member: &Member, directory: &Directory) -> bool {
    let in_group = |name: &str| directory.groups.get(name).is_some_and(|&roster| member.is_in(roster));
    filter.matches(&Subject {
        connection_id: member.connection_id.as_str(),
        user_id: member.user_id.as_ref().map(|user| user.as_str()),
        protocol: member.subprotocol.map(|subprotocol| subprotocol.name()),
        group_count: member.group_count(),
        in_group: &in_group,
    })
}

#[cfg(test)]
mod tests;
