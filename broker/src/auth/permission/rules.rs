//! Rules of one action of one connection: a default, patterns, and single groups that are exceptions.
//!
//! Only `permission` uses them, and only for connections whose rights differ from group to group.

use codec::ids::GroupName;

use super::{DropReason, Grants, TooManyExceptions};
use crate::auth::pattern::Pattern;

/// Most exceptions that a change may leave.
const MAX_EXCEPTIONS: usize = 1000;
/// Most patterns.
const MAX_PATTERNS: usize = 10;

/// Whether something is permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Allowed,
    Denied,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    default: Access,
    /// Each allows what it matches, so their order does not matter.
    patterns: Vec<Pattern>,
    /// Sorted by name: small in memory, and roles arrive in this order.
    exceptions: Vec<(GroupName, Access)>,
}

impl Rules {
    pub(super) fn new(default: Access) -> Self {
        Self { default, patterns: Vec::new(), exceptions: Vec::new() }
    }

    /// All of them, for another node.
    pub(super) fn grants(&self) -> Grants {
        let exceptions = self.exceptions.iter();
        Grants {
            by_default: self.default == Access::Allowed,
            patterns: self.patterns.iter().map(Pattern::text).collect(),
            exceptions: exceptions.map(|(name, access)| (name.clone(), *access == Access::Allowed)).collect(),
        }
    }

    /// Those of another node.
    pub(super) fn from_grants(grants: Grants) -> Self {
        let access = |is_allowed| if is_allowed { Access::Allowed } else { Access::Denied };
        let Grants { by_default, patterns, exceptions } = grants;
        let mut exceptions: Vec<_> =
            exceptions.into_iter().map(|(name, is_allowed)| (name, access(is_allowed))).collect();
        exceptions.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        exceptions.dedup_by(|(one, _), (other, _)| one == other);
        let patterns = patterns.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
        Self { default: access(by_default), patterns, exceptions }
    }

    /// What holds for a group.
    pub(super) fn access(&self, group: &str) -> Access {
        match self.find(group) {
            Ok(index) => self.exceptions[index].1,
            Err(_) => self.without_exceptions(group),
        }
    }

    /// What holds for every group, if there is neither a pattern nor an exception.
    pub(super) fn plain(&self) -> Option<Access> {
        (self.patterns.is_empty() && self.exceptions.is_empty()).then_some(self.default)
    }

    /// Makes `wanted` hold for one group.
    ///
    /// # Errors
    /// When more exceptions than allowed would be left, even if this change adds none. Nothing has changed.
    pub(super) fn set(&mut self, group: &GroupName, wanted: Access) -> Result<(), TooManyExceptions> {
        let place = self.find(group.as_str());
        let count = self.exceptions.len();
        let (is_change, left) = match place {
            Ok(index) if self.exceptions[index].1 == wanted => (false, count),
            Ok(_) => (true, count - 1),
            Err(_) if self.without_exceptions(group.as_str()) == wanted => (false, count),
            Err(_) => (true, count + 1),
        };
        if left > MAX_EXCEPTIONS {
            return Err(TooManyExceptions);
        }
        match place {
            Ok(index) if is_change => {
                self.exceptions.remove(index);
            }
            Err(index) if is_change => self.exceptions.insert(index, (group.clone(), wanted)),
            _ => {}
        }
        Ok(())
    }

    /// Allows one group that a role's pattern without wildcards names. The limit of exceptions does not count here.
    pub(super) fn add_name(&mut self, group: &GroupName) {
        match self.find(group.as_str()) {
            Ok(index) if self.exceptions[index].1 == Access::Denied => {
                self.exceptions.remove(index);
            }
            Err(index) if self.without_exceptions(group.as_str()) == Access::Denied => {
                self.exceptions.insert(index, (group.clone(), Access::Allowed));
            }
            _ => {}
        }
    }

    /// Allows every group that matches; exceptions that do are then none.
    ///
    /// # Errors
    /// When there are ten patterns already.
    pub(super) fn add_pattern(&mut self, pattern: Pattern) -> Result<(), DropReason> {
        if self.patterns.len() >= MAX_PATTERNS {
            return Err(DropReason::TooManyPatterns);
        }
        self.exceptions.retain(|(name, _)| !pattern.matches(name.as_str()));
        self.patterns.push(pattern);
        Ok(())
    }

    fn without_exceptions(&self, group: &str) -> Access {
        if self.default == Access::Allowed || self.patterns.iter().any(|pattern| pattern.matches(group)) {
            return Access::Allowed;
        }
        Access::Denied
    }

    fn find(&self, group: &str) -> Result<usize, usize> {
        self.exceptions.binary_search_by(|(name, _)| name.as_str().cmp(group))
    }
}
