//! Who has joined and left which group: noted for the application, if it wants to know. A change is noted whatever caused
//! it, and only if it was one.

use codec::ids::GroupName;

use super::member::MemberKey;
use crate::model::command::Target;

/// A membership that has begun or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// Whose.
    pub key: MemberKey,
    /// Of which group.
    pub group: GroupName,
    /// Which of both.
    pub presence: Presence,
}

/// Whether a membership has begun or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It has begun.
    Joined,
    /// It has ended.
    Left,
}

/// Whether changes are noted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keeping {
    /// They are not, which is free.
    #[default]
    Off,
    /// They are, until somebody takes them.
    On,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct PresenceLog {
    keeping: Keeping,
    changes: Vec<PresenceChange>,
}

impl PresenceLog {
    pub(super) fn keep(&mut self, keeping: Keeping) {
        self.keeping = keeping;
        if keeping == Keeping::Off {
            self.changes = Vec::new();
        }
    }

    pub(super) fn note(&mut self, key: MemberKey, target: &Target, presence: Presence) {
        if let (Keeping::On, Target::Group(group)) = (self.keeping, target) {
            self.changes.push(PresenceChange { key, group: group.clone(), presence });
        }
    }

    pub(super) fn take(&mut self) -> Vec<PresenceChange> {
        std::mem::take(&mut self.changes)
    }
}
