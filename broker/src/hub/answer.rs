//! What a shard knows when it is asked about a target.

use codec::ids::{ConnectionId, GroupName, HubName};

use super::shard::Shard;
use crate::model::command::Target;
use crate::model::survey::Member;

impl Shard {
    /// How many connections the target has here.
    pub fn count(&self, hub: &HubName, target: &Target) -> u64 {
        self.keys_of(hub, target).in_rosters(&self.rosters).len() as u64
    }

    /// The first `limit` members of a group in the order of their connection ids, of those after `after`.
    pub fn list(
        &self,
        hub: &HubName,
        group: &GroupName,
        after: Option<&ConnectionId>,
        limit: usize,
    ) -> Vec<Member> {
        let keys = self.keys_of(hub, &Target::Group(group.clone()));
        let members = keys.in_rosters(&self.rosters).iter().filter_map(|&key| self.members.get(key));
        let mut found: Vec<_> =
            members.filter(|member| after.is_none_or(|after| member.connection_id > *after)).collect();
        // The group may be much larger than the page: only the page is sorted.
        if found.len() > limit {
            found.select_nth_unstable_by(limit, |a, b| a.connection_id.cmp(&b.connection_id));
            found.truncate(limit);
        }
        found.sort_unstable_by(|a, b| a.connection_id.cmp(&b.connection_id));
        let listed = found.into_iter().map(|member| Member {
            connection_id: member.connection_id.clone(),
            user_id: member.user_id.clone(),
        });
        listed.collect()
    }
}
