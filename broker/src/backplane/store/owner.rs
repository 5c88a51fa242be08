//! Who may write a record. Redis compares this name with every write, so that two nodes can never both go on with a
//! connection.

use std::fmt;
use std::time::Duration;

use codec::ids::NodeId;

/// A run of a node that has a record; the name is used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Which node.
    pub node: NodeId,
    /// Which run of it.
    pub epoch: u64,
    /// How many owners the record has had before.
    pub term: u64,
}

/// What Redis says to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Done,
    /// The record belongs to another, or has been ended by another.
    Fenced,
    /// There is no record.
    Absent,
}

/// What becomes of a connection after a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// All is well.
    Stays,
    /// Redis has lost the record, which is to be written as a whole.
    Anew,
    /// Another node may have it: it ends here without a word, and nothing more is written to its client.
    Ends,
}

impl Owner {
    /// Whoever takes the record from this one.
    pub fn successor(&self, node: NodeId, epoch: u64) -> Self {
        Self { node, epoch, term: self.term + 1 }
    }

    /// Reads what `Display` writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let term = parts.next()?.parse().ok()?;
        let epoch = u64::from_str_radix(parts.next()?, 16).ok()?;
        Some(Self { node: NodeId::new(parts.next()?).ok()?, epoch, term })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:x}:{}", self.term, self.epoch, self.node)
    }
}

impl Verdict {
    /// What follows from it, when the last write before was confirmed as long ago as `since`, and records live for
    /// `lifetime` after a write.
    ///
    /// A record that has been taken or ended leaves a trace for its lifetime. One that is absent earlier has been lost by
    /// Redis, together with any trace that another had it: whoever writes it first has it then.
    pub fn fate(self, since: Duration, lifetime: Duration) -> Fate {
        match self {
            Self::Done => Fate::Stays,
            Self::Absent if since < lifetime => Fate::Anew,
            Self::Absent | Self::Fenced => Fate::Ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_read_as_it_was_written(node in "[A-Za-z0-9_-]{1,32}", epoch: u64, term: u64) {
            let owner = Owner { node: NodeId::new(&node).unwrap(), epoch, term };
            prop_assert_eq!(Owner::parse(&owner.to_string()), Some(owner));
        }

        #[test]
        fn what_nobody_writes_is_no_name(text in ".{0,40}") {
            if let Some(owner) = Owner::parse(&text) {
                prop_assert_eq!(Owner::parse(&owner.to_string()), Some(owner));
            }
        }
    }

    #[test]
    fn a_connection_ends_as_soon_as_another_node_may_have_it() {
        let check = |verdict: Verdict, seconds, fate| {
            let since = Duration::from_secs(seconds);
            assert_eq!(verdict.fate(since, Duration::from_secs(90)), fate, "{verdict:?} after {seconds} s");
        };
        check(Verdict::Done, 1000, Fate::Stays);
        check(Verdict::Fenced, 0, Fate::Ends);
        check(Verdict::Absent, 89, Fate::Anew);
        check(Verdict::Absent, 90, Fate::Ends);
    }
}
