//! What a bus can tell of its links and of the other nodes, at one moment.

use std::collections::BTreeMap;

use codec::ids::NodeId;

/// See the module.
#[derive(Debug, Clone)]
pub struct Outlook {
    /// Why new clients and calls are better off on another node; absent when they are welcome.
    pub fault: Option<LinkFault>,
    /// How those others stand of which something is known.
    pub others: BTreeMap<NodeId, Standing>,
    /// How every other one stands.
    pub unheard: Standing,
}

/// What is wrong with a node's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// What others publish does not arrive.
    #[error("cannot hear the other nodes")]
    Deaf,
    /// There is no connection over which to publish.
    #[error("cannot publish to the other nodes: Redis takes no connection, or does not answer")]
    Mute,
    /// Redis refuses for good what is published.
    #[error(
        "Redis refuses what this node publishes: allow its user SPUBLISH and the channels that begin with --redis-prefix"
    )]
    Refused,
    /// What is published waits too long.
    #[error(
        "what this node publishes waits for seconds until Redis takes it: Redis or the network is too slow"
    )]
    Stuck,
    /// Another node has the same id, and is older.
    #[error("another node runs under the same id: give each node a --node-id of its own")]
    SameId,
}

/// What is known of another node's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has said of late that it is there.
    Alive,
    /// It has not, and may be there all the same.
    Silent,
    /// It has ended, or is taken for it: it has said so, or nothing for long while this node would have heard it. It, or
    /// another run of it, may come back.
    Gone,
}

impl Outlook {
    /// That of a node that is alone.
    pub fn alone() -> Self {
        Self { fault: None, others: BTreeMap::new(), unheard: Standing::Gone }
    }

    /// How another node stands.
    pub fn standing(&self, node: &NodeId) -> Standing {
        self.others.get(node).copied().unwrap_or(self.unheard)
    }

    /// Whether nothing is left of another node, its connections included.
    pub fn is_gone(&self, node: &NodeId) -> bool {
        self.standing(node) == Standing::Gone
    }
}
