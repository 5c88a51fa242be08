//! Group state: a small map that each member of a group may show to the others. Source: `client-protocols.md` 11.

use std::collections::BTreeMap;

use crate::ids::{ConnectionId, UserId};

/// Most bytes of keys and values together, in UTF-8 (`limits.md` 5).
pub const MAX_GROUP_STATE: usize = 512;

/// What a member shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupState(BTreeMap<String, String>);

impl GroupState {
    /// These entries, however many. Of a repeated key the last counts.
    pub fn new(entries: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(entries.into_iter().collect())
    }

    /// The entries, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Bytes of keys and values together.
    pub fn len_bytes(&self) -> usize {
        self.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

/// The state of one member, as those who subscribed to it are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStateItem {
    /// Whose.
    pub connection_id: ConnectionId,
    /// Its user, if it has one.
    pub user_id: Option<UserId>,
    /// Absent when the member shows nothing any more.
    pub state: Option<GroupState>,
    /// Milliseconds since 1970; each change of a member has a larger one than the change before.
    pub updated_at: i64,
}

/// How much of a group's states a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupStateExtent {
    /// Those of all members, up to a limit.
    Snapshot,
    /// That of one member, which has just changed.
    Update,
}
