//! Members that move between nodes: here one is gone, there it is, and nobody is told of either.

use codec::message::GroupStateItem;
use tokio::time::Instant;

use super::member::{MemberKey, NewMember};
use super::outbox::Outbox;
use super::shard::Shard;
use super::window::Window;
use crate::model::command::{Target, Topic};
use crate::model::portable::{GroupMembership, Membership};

impl Shard {
    /// Gives everything of a reliable member, which is forgotten, and the topics in which nobody is left. Nothing when
    /// there is none, or when it is about to end because its window had no room.
    pub fn export(&mut self, key: MemberKey, now: Instant) -> Option<(Membership, Vec<Topic>)> {
        let member = self.members.get(key)?;
        let window = member.outbox.window().filter(|window| !window.is_overrun())?;
        let (last, messages) = window.export(now);
        let mut groups = Vec::with_capacity(member.group_count());
        for place in &member.places {
            let roster = &mut self.rosters[place.roster];
            if let Target::Group(group) = roster.topic.target.clone() {
                let (shown, sight) = roster.take_states(key);
                groups.push(GroupMembership { group, shown, sight });
            }
        }
        let (_, emptied) = self.remove(key)?;
        Some((Membership { last, messages, groups, state_clock: self.states.last() }, emptied))
    }

    /// Takes in a reliable member of another node. It has no socket yet.
    pub fn import(&mut self, new: &NewMember, membership: Membership, now: Instant) -> MemberKey {
        let Membership { last, messages, groups, state_clock } = membership;
        self.states.catch_up(state_clock);
        let key = self.attach(new);
        for GroupMembership { group, shown, sight } in groups {
            let entered = self.enter(key, &new.hub, &Target::Group(group));
            let shown = shown.map(|(state, updated_at)| GroupStateItem {
                connection_id: new.connection_id.clone(),
                user_id: new.user_id.clone(),
                state: Some(state),
                updated_at,
            });
            if let Some((roster, _)) = entered {
                self.rosters[roster].give_states(key, shown, sight);
            }
        }
        if let Some(member) = self.members.get_mut(key) {
            member.is_suspended = true;
            let window = Window::import(last, messages, member.encoding(), now);
            member.outbox = Outbox::restored(window);
        }
        key
    }
}

#[cfg(test)]
mod tests;
