//! What a node may watch, and the names by which all nodes of an installation know it.
//!
//! Names and partitions are part of the contract between nodes of different versions: they never change.

use codec::ids::NodeId;

use crate::model::command::{Target, Topic};

/// What an envelope is published to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Whoever has members of the topic.
    Topic(Topic),
    /// One node. What concerns a connection goes to the node that its id names.
    Node(NodeId),
    /// Every node.
    AllNodes,
    /// One node, as long as it runs: it publishes there what it wants to hear itself, and other buses what they tell its
    /// own.
    Probe(NodeId, Partition),
}

/// One of the fixed number of parts into which channels are divided. All channels of a partition are on the same server
/// of a cluster, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub u8);

impl Partition {
    /// How many there are.
    pub const COUNT: usize = 256;
}

impl Channel {
    /// Where it belongs.
    pub fn partition(&self) -> Partition {
        match self {
            Self::Probe(_, partition) => *partition,
            _ => Partition(fold(&self.path())),
        }
    }

    /// Its name among all that shares the servers. The number of its partition stands in braces: a Redis Cluster keeps
    /// together what has the same text there.
    pub fn name(&self, prefix: &str) -> String {
        format!("{prefix}:{{{}}}:{}", self.partition().0, self.path())
    }

    /// What tells it from every other one. A hub's name holds no colon, so what follows it may be any text.
    fn path(&self) -> String {
        match self {
            Self::Topic(Topic { hub, target }) => {
                let hub = hub.as_str();
                match target {
                    Target::Hub => format!("hub:{hub}"),
                    Target::Group(group) => format!("group:{hub}:{}", group.as_str()),
                    Target::User(user) => format!("user:{hub}:{}", user.as_str()),
                    Target::Connection(id) => format!("connection:{hub}:{}", id.as_str()),
                }
            }
            Self::Node(node) => format!("node:{}", node.as_str()),
            Self::AllNodes => "nodes".to_owned(),
            Self::Probe(node, _) => format!("probe:{}", node.as_str()),
        }
    }
}

/// FNV-1a of 32 bits, its bytes folded into one.
fn fold(path: &str) -> u8 {
    let hash =
        path.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.to_be_bytes().into_iter().fold(0, |folded, byte| folded ^ byte)
}

#[cfg(test)]
mod tests {
    use codec::ids::{ConnectionId, GroupName, HubName, UserId};

    use super::*;

    fn topic(target: Target) -> Channel {
        Channel::Topic(Topic { hub: HubName::new("chat").unwrap(), target })
    }

    #[test]
    fn names_and_partitions_are_what_other_versions_expect() {
        let check = |channel: Channel, name: &str| assert_eq!(channel.name("hubbub"), name);
        check(topic(Target::Hub), "hubbub:{214}:hub:chat");
        check(topic(Target::Group(GroupName::new("a:b}").unwrap())), "hubbub:{47}:group:chat:a:b}");
        check(topic(Target::User(UserId::new("ann").unwrap())), "hubbub:{117}:user:chat:ann");
        check(topic(Target::Connection(ConnectionId::parse("c").unwrap())), "hubbub:{128}:connection:chat:c");
        check(Channel::Node(NodeId::new("n-1").unwrap()), "hubbub:{226}:node:n-1");
        check(Channel::Probe(NodeId::new("n-1").unwrap(), Partition(7)), "hubbub:{7}:probe:n-1");
        check(Channel::AllNodes, "hubbub:{213}:nodes");
    }

    #[test]
    fn channels_are_spread_over_all_partitions() {
        let mut counts = [0; Partition::COUNT];
        for number in 0..100 * Partition::COUNT {
            let group = GroupName::new(&format!("group-{number}")).unwrap();
            counts[usize::from(topic(Target::Group(group)).partition().0)] += 1;
        }
        assert!(counts.iter().all(|count| (50..200).contains(count)), "{counts:?}");
    }
}
