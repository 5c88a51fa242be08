//! What a connection may do in groups: its roles, and what the application grants and revokes while it runs.
//!
//! State and rules of one connection, kept by its session; nothing here knows tokens or REST. Source: `auth.md` 6, 7.

mod rules;

use std::fmt;

use codec::ids::GroupName;

use super::pattern::{Coverage, InvalidPattern};
use rules::{Access, Rules};

/// Most characters of a dropped role that are shown.
const SHOWN_CHARS: usize = 100;

/// What a connection may be permitted to do in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Publish to it.
    SendToGroup,
    /// Join and leave it.
    JoinLeaveGroup,
    /// Show a state to it. Only roles permit that.
    SetGroupState,
    /// See the states that its members show. Only roles permit that.
    GetGroupState,
}

/// What a role's text after the dot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suffix {
    /// The name of a group; patterns are written with another role.
    Name,
    /// A pattern (`client-protocols.md` 11).
    Pattern,
}

impl Action {
    const ALL: [Self; 4] =
        [Self::SendToGroup, Self::JoinLeaveGroup, Self::SetGroupState, Self::GetGroupState];

    /// The role that permits it in every group; longer roles of the action start with it.
    fn role(self) -> &'static str {
        match self {
            Self::SendToGroup => "webpubsub.sendToGroup",
            Self::JoinLeaveGroup => "webpubsub.joinLeaveGroup",
            Self::SetGroupState => "webpubsub.setGroupState",
            Self::GetGroupState => "webpubsub.getGroupState",
        }
    }

    fn suffix(self) -> Suffix {
        match self {
            Self::SendToGroup | Self::JoinLeaveGroup => Suffix::Name,
            Self::SetGroupState | Self::GetGroupState => Suffix::Pattern,
        }
    }
}

/// Permissions of one connection. Two words for each action; the heap is used only once a role or a grant names groups.
#[derive(Debug, Clone, Default)]
pub struct Permissions {
    send: Rights,
    join: Rights,
    set_state: Rights,
    get_state: Rights,
}

/// What a connection may do of one kind, as another node is told it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Whether it may where nothing else is said.
    pub by_default: bool,
    /// Patterns of groups in which it may.
    pub patterns: Vec<String>,
    /// Single groups, in the order of their names, and whether it may there.
    pub exceptions: Vec<(GroupName, bool)>,
}

/// A change was refused, because the connection would have more than 1,000 exceptions for the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection has more than 1000 permissions for single groups; revoke some first")]
pub struct TooManyExceptions;

/// A role that is without effect although it looks like one of ours. Shows the start of the role, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedRole {
    role: String,
    reason: DropReason,
}

/// Why a role is without effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// Its pattern cannot be read.
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
    /// Ten others sort before it.
    #[error("a connection has at most 10 patterns for each action")]
    TooManyPatterns,
}

/// Rights for one action.
#[derive(Debug, Clone, Default)]
enum Rights {
    /// None in any group.
    #[default]
    None,
    /// In every group.
    Every,
    /// It depends on the group.
    Some(Box<Rules>),
}

impl Permissions {
    /// What the roles of a token permit. They are applied in the order of their texts; unknown ones have no effect,
    /// and those that look like ours but cannot be applied are returned for the log.
    pub fn from_roles(roles: &[String]) -> (Self, Vec<DroppedRole>) {
        let mut permissions = Self::default();
        let mut dropped = Vec::new();
        let mut sorted: Vec<&str> = roles.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        for role in sorted {
            if let Err(reason) = permissions.apply(role) {
                dropped.push(DroppedRole { role: role.to_owned(), reason });
            }
        }
        (permissions, dropped)
    }

    /// Says whether the action is permitted in the group.
    pub fn allows(&self, action: Action, group: &GroupName) -> bool {
        match self.rights(action) {
            Rights::None => false,
            Rights::Every => true,
            Rights::Some(rules) => rules.access(group.as_str()) == Access::Allowed,
        }
    }

    /// Permits the action in this one group.
    ///
    /// # Errors
    /// When the connection then had more than 1,000 exceptions. Nothing has changed.
    pub fn grant(&mut self, action: Action, group: &GroupName) -> Result<(), TooManyExceptions> {
        self.change(action, |rules| rules.set(group, Access::Allowed))
    }

    /// Denies the action in this one group.
    ///
    /// # Errors
    /// When the connection then had more than 1,000 exceptions. Nothing has changed.
    pub fn revoke(&mut self, action: Action, group: &GroupName) -> Result<(), TooManyExceptions> {
        self.change(action, |rules| rules.set(group, Access::Denied))
    }

    /// All that is permitted, for each action that is permitted anywhere.
    pub fn grants(&self) -> Vec<(Action, Grants)> {
        let of = |action| match self.rights(action) {
            Rights::None => None,
            Rights::Every => Some((action, Grants { by_default: true, ..Grants::default() })),
            Rights::Some(rules) => Some((action, rules.grants())),
        };
        Action::ALL.into_iter().filter_map(of).collect()
    }

    /// What another node says is permitted. A pattern that cannot be read permits nothing.
    pub fn from_grants(grants: Vec<(Action, Grants)>) -> Self {
        let mut permissions = Self::default();
        for (action, grants) in grants {
            let rules = Rules::from_grants(grants);
            *permissions.rights_mut(action) = match rules.plain() {
                Some(Access::Allowed) => Rights::Every,
                Some(Access::Denied) => Rights::None,
                None => Rights::Some(Box::new(rules)),
            };
        }
        permissions
    }

    fn apply(&mut self, role: &str) -> Result<(), DropReason> {
        for action in Action::ALL {
            let Some(reach) = role.strip_prefix(action.role()) else {
                continue;
            };
            let (name, pattern) = match action.suffix() {
                Suffix::Name => (reach.strip_prefix('.'), reach.strip_prefix("s.")),
                Suffix::Pattern => (None, reach.strip_prefix('.')),
            };
            if reach.is_empty() {
                *self.rights_mut(action) = Rights::Every;
            } else if let Some(name) = name {
                if let Ok(group) = GroupName::new(name) {
                    // Names beyond the limit are dropped without a word, as the service does.
                    let _ = self.grant(action, &group);
                }
            } else if let Some(pattern) = pattern {
                self.apply_pattern(action, Coverage::parse(pattern)?)?;
            }
        }
        Ok(())
    }

    fn apply_pattern(&mut self, action: Action, coverage: Coverage) -> Result<(), DropReason> {
        match coverage {
            Coverage::Everything => {
                *self.rights_mut(action) = Rights::Every;
                Ok(())
            }
            // A name that no group can have matches none.
            Coverage::Name(name) => GroupName::new(&name).map_or(Ok(()), |group| {
                self.change(action, |rules| {
                    rules.add_name(&group);
                    Ok(())
                })
            }),
            // Whoever may everywhere gains nothing, and revocations only come after all roles.
            Coverage::Names(_) if matches!(self.rights(action), Rights::Every) => Ok(()),
            Coverage::Names(pattern) => self.change(action, |rules| rules.add_pattern(pattern)),
        }
    }

    /// Changes the rules of an action, and keeps them only if they differ from none and every.
    fn change<E>(
        &mut self,
        action: Action,
        change: impl FnOnce(&mut Rules) -> Result<(), E>,
    ) -> Result<(), E> {
        let rights = self.rights_mut(action);
        match rights {
            Rights::Some(rules) => change(rules)?,
            Rights::None | Rights::Every => {
                let default = if matches!(rights, Rights::Every) { Access::Allowed } else { Access::Denied };
                let mut rules = Box::new(Rules::new(default));
                change(&mut rules)?;
                *rights = Rights::Some(rules);
            }
        }
        if let Rights::Some(rules) = rights {
            match rules.plain() {
                Some(Access::Allowed) => *rights = Rights::Every,
                Some(Access::Denied) => *rights = Rights::None,
                None => {}
            }
        }
        Ok(())
    }

    fn rights(&self, action: Action) -> &Rights {
        match action {
            Action::SendToGroup => &self.send,
            Action::JoinLeaveGroup => &self.join,
            Action::SetGroupState => &self.set_state,
            Action::GetGroupState => &self.get_state,
        }
    }

    fn rights_mut(&mut self, action: Action) -> &mut Rights {
        match action {
            Action::SendToGroup => &mut self.send,
            Action::JoinLeaveGroup => &mut self.join,
            Action::SetGroupState => &mut self.set_state,
            Action::GetGroupState => &mut self.get_state,
        }
    }
}

impl fmt::Display for DroppedRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.role.chars().take(SHOWN_CHARS).collect();
        let cut = if shown.len() < self.role.len() { "..." } else { "" };
        write!(f, "{shown:?}{cut}: {}", self.reason)
    }
}

#[cfg(test)]
mod tests;
