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
        let membership = Membership { messages: self.unacknowledged(key, now), ..self.describe(key)? };
        for place in &self.members.get(key)?.places {
            self.rosters[place.roster].drop_states(key);
        }
        let (_, emptied) = self.remove(key)?;
        Some((membership, emptied))
    }

    /// Everything of a reliable member but its messages. Nothing when there is none, or when it is about to end because
    /// its window had no room.
    pub fn describe(&self, key: MemberKey) -> Option<Membership> {
        let member = self.members.get(key)?;
        let window = member.outbox.window().filter(|window| !window.is_overrun())?;
        let rosters = member.places.iter().map(|place| &self.rosters[place.roster]);
        let groups = rosters.filter_map(|roster| match &roster.topic.target {
            Target::Group(group) => {
                let (shown, sight) = roster.states_of(key);
                Some(GroupMembership { group: group.clone(), shown, sight })
            }
            Target::Hub | Target::User(_) | Target::Connection(_) => None,
        });
        let groups = groups.collect();
        let (last, state_clock) = (window.last().0, self.states.last());
        Some(Membership { last, messages: Vec::new(), groups, state_clock })
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
