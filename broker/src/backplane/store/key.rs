//! Names of what is kept in Redis. The number of the partition stands in braces, so that a Redis Cluster keeps a log with
//! the channels whose messages it holds.
//!
//! They are part of the contract between nodes of different versions: they never change.

use crate::backplane::{Channel, Partition};
use crate::model::command::{Target, Topic};
use codec::ids::{ConnectionId, HubName};

/// Where the messages of a partition's channels are noted.
pub(super) fn log(prefix: &str, partition: Partition) -> String {
    format!("{prefix}:{{{}}}:log", partition.0)
}

/// The requests of a client by which messages have come into the log of a partition.
pub(super) fn said(prefix: &str, partition: Partition, (hub, id): (&HubName, &ConnectionId)) -> String {
    format!("{prefix}:{{{}}}:said:{}:{}", partition.0, hub.as_str(), id.as_str())
}

/// The topic by which a connection is reached wherever it is, and beside which its record is kept.
pub(super) fn topic(hub: &HubName, id: &ConnectionId) -> Topic {
    Topic { hub: hub.clone(), target: Target::Connection(id.clone()) }
}

/// Where the record of a connection is, and in which partition.
pub(super) fn record(prefix: &str, hub: &HubName, id: &ConnectionId) -> (Partition, String) {
    let partition = Channel::Topic(topic(hub, id)).partition();
    (partition, format!("{prefix}:{{{}}}:record:{}:{}", partition.0, hub.as_str(), id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_other_versions_expect() {
        let (hub, id) = (HubName::new("chat").unwrap(), ConnectionId::parse("c").unwrap());
        let (partition, key) = record("hubbub", &hub, &id);
        assert_eq!((partition, key.as_str()), (Partition(128), "hubbub:{128}:record:chat:c"));
        assert_eq!(log("hubbub", Partition(7)), "hubbub:{7}:log");
        assert_eq!(said("hubbub", Partition(7), (&hub, &id)), "hubbub:{7}:said:chat:c");
    }
}
