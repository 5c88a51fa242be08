//! Members that move between nodes: their places, and the wishes of their nodes for what is sent to these.

use tokio::time::Instant;

use super::{Pending, Router};
use crate::hub::{MemberKey, NewMember};
use crate::model::command::Target;
use crate::model::portable::Membership;

impl Router {
    /// Takes a reliable connection out of this node. Its groups are told nothing. Nothing when there is none, or when it
    /// is about to end.
    pub fn export(&self, key: MemberKey) -> Option<Membership> {
        let (membership, emptied) = self.shard().export(key, Instant::now())?;
        emptied.iter().for_each(|topic| self.unwatch(topic));
        Some(membership)
    }

    /// Takes in a reliable connection of another node, which has no socket yet. It may miss what is published before
    /// the result is settled.
    pub fn import(&self, new: &NewMember, membership: Membership) -> (MemberKey, Pending) {
        let groups: Vec<_> = membership.groups.iter().map(|membership| membership.group.clone()).collect();
        let key = self.shard().import(new, membership, Instant::now());
        let mut pending = Pending::default();
        self.watch(&new.hub, Target::Hub, &mut pending);
        if let Some(user) = new.user_id.clone() {
            self.watch(&new.hub, Target::User(user), &mut pending);
        }
        self.watch_own(&new.hub, &new.connection_id, &mut pending);
        groups.into_iter().for_each(|group| self.watch(&new.hub, Target::Group(group), &mut pending));
        (key, pending)
    }
}
