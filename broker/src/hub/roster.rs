//! Lists of members: everyone of a hub, of a user, of a group. One kind of list serves all three.
//!
//! A roster is a dense array, so that a fan-out walks it straight; each member knows its position in every roster, so
//! that leaving costs no search.

use std::cell::RefCell;

use hashbrown::HashMap;
use slotmap::SlotMap;

use codec::ids::{ConnectionId, GroupName, UserId};

use super::group_state::RosterStates;
use super::member::{Member, MemberKey};
use super::run::Runs;
use crate::model::command::{Target, Topic};

slotmap::new_key_type! {
    /// A roster of a worker's shard.
    pub(super) struct RosterKey;
}

/// Where a member stands in a roster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) roster: RosterKey,
    pub(super) position: u32,
}

/// The members of one target. It exists while it has one.
#[derive(Debug)]
pub(super) struct Roster {
    pub(super) topic: Topic,
    pub(super) members: Vec<MemberKey>,
    /// What they show and see, if any of them does.
    pub(super) states: Option<Box<RosterStates>>,
    /// What reliable members of it keep together.
    pub(super) runs: RefCell<Runs>,
}

/// The rosters of one hub by name, and its connections by id.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) everyone: Option<RosterKey>,
    pub(super) users: HashMap<UserId, RosterKey>,
    pub(super) groups: HashMap<GroupName, RosterKey>,
    pub(super) connections: HashMap<ConnectionId, MemberKey>,
}

impl Directory {
    pub(super) fn roster(&self, target: &Target) -> Option<RosterKey> {
        match target {
            Target::Hub => self.everyone,
            Target::User(user) => self.users.get(user).copied(),
            Target::Group(group) => self.groups.get(group).copied(),
            Target::Connection(_) => None,
        }
    }

    pub(super) fn set_roster(&mut self, target: &Target, roster: RosterKey) {
        match target {
            Target::Hub => self.everyone = Some(roster),
            Target::User(user) => drop(self.users.insert(user.clone(), roster)),
            Target::Group(group) => drop(self.groups.insert(group.clone(), roster)),
            Target::Connection(_) => {}
        }
    }

    pub(super) fn remove_roster(&mut self, target: &Target) {
        match target {
            Target::Hub => self.everyone = None,
            Target::User(user) => drop(self.users.remove(user)),
            Target::Group(group) => drop(self.groups.remove(group)),
            Target::Connection(_) => {}
        }
    }
}

/// Puts a member at the end of a roster. Whoever calls knows that it is not in it.
pub(super) fn enter(roster: &mut Roster, roster_key: RosterKey, key: MemberKey, member: &mut Member) {
    let position = roster.members.len() as u32;
    roster.members.push(key);
    let at = member.find_place(roster_key).unwrap_or_else(|at| at);
    member.places.insert(at, Place { roster: roster_key, position });
}

/// Takes the member at `position` out of a roster; the last one moves into the gap.
pub(super) fn leave(
    roster: &mut Roster,
    roster_key: RosterKey,
    position: u32,
    members: &mut SlotMap<MemberKey, Member>,
) {
    let position = position as usize;
    roster.members.swap_remove(position);
    let moved = roster.members.get(position).and_then(|&moved| members.get_mut(moved));
    if let Some(moved) = moved
        && let Ok(at) = moved.find_place(roster_key)
    {
        moved.places[at].position = position as u32;
    }
    // A group that was large once must not keep its room for ever.
    if roster.members.capacity() > 64 && roster.members.len() * 4 < roster.members.capacity() {
        roster.members.shrink_to(roster.members.len() * 2);
    }
}
