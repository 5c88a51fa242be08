//! Everything of a reliable connection as a value, for another node that goes on with it.
//!
//! Each room gives its own part and takes it in again: the hub what the connection is sent and where it is a member, the
//! session what it may do and has done, the client what it is to the application. Points in time are written as what is
//! left until then, because the clocks of nodes differ. The backplane carries it and knows nothing of what it means.

use std::time::Duration;

use bytes::Bytes;
use codec::ids::{ConnectionId, GroupName, HubName, InvocationId, NodeId, StreamId, UserId};
use codec::message::{GroupState, StreamClosedError};
use codec::subprotocol::Subprotocol;

// Part of a connection, so whoever carries connections knows them from here.
pub use crate::auth::permission::Grants;

use super::command::Identity;
use crate::auth::permission::Action;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portable {
    /// Where it belongs.
    pub hub: HubName,
    /// Its id, which stays.
    pub connection_id: ConnectionId,
    /// Its user, if it has one.
    pub user_id: Option<UserId>,
    /// What was agreed on; a reliable one.
    pub subprotocol: Subprotocol,
    /// The hub's part.
    pub membership: Membership,
    /// The session's part.
    pub conduct: Conduct,
    /// What events have in common.
    pub letters: Letters,
    /// Seconds between pings.
    pub keep_alive: u8,
    /// The client has been greeted, so that the application hears of its end.
    pub is_active: bool,
    /// Seconds until it ends unless its client comes back.
    pub seconds_left: u32,
}

/// A connection that is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// Everything of it.
    pub portable: Portable,
    /// What it has been delivered since its move was prepared.
    pub delivered: Vec<Identity>,
    /// What it had been delivered before: of each partition of channels everything up to these.
    pub floors: Vec<(u8, Identity)>,
    /// Absent unless it is durable.
    pub record: Option<RecordState>,
}

impl HandedOver {
    /// All that it had been delivered before: of each partition of channels everything up to any of these. What a durable
    /// connection has found in logs may be missing from what its node has heard.
    pub fn known_floors(&self) -> Vec<(u8, Identity)> {
        let served = self.record.iter().flat_map(|record| &record.served);
        self.floors.iter().chain(served).cloned().collect()
    }
}

/// How far the record of a durable connection is, for the node that goes on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordState {
    /// Whose the record is: the node, the number of its run, and how many had it before.
    pub owner: (NodeId, u64, u64),
    /// What the connection has been served: of each partition of channels everything up to these.
    pub served: Vec<(u8, Identity)>,
}

/// What a connection is to be sent, and where it is a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// Number of the last message that there was, 0 before the first.
    pub last: u64,
    /// The messages that its client has not acknowledged, in the order of their numbers.
    pub messages: Vec<KeptMessage>,
    /// Its groups, each once.
    pub groups: Vec<GroupMembership>,
    /// No change of a group state at the former node has a later time than this, in milliseconds since 1970.
    pub state_clock: i64,
}

/// A message that a client has not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMessage {
    /// Its number.
    pub number: u64,
    /// Content of its frame, without a number.
    pub content: Bytes,
    /// For how long it is of use; absent means for ever.
    pub time_left: Option<Duration>,
    /// Which group state it tells, if it does: that of the group's member, or of all when there is no member.
    pub state_of: Option<(GroupName, Option<ConnectionId>)>,
}

/// One group of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMembership {
    /// Which.
    pub group: GroupName,
    /// What it shows there, and since when, in milliseconds since 1970.
    pub shown: Option<(GroupState, i64)>,
    /// Whether it sees what the members show.
    pub sight: Sight,
}

/// Whether a member sees what the members of its group show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sight {
    /// It does not.
    #[default]
    None,
    /// It is told each change.
    Current,
    /// It is still to be told what all show.
    AwaitsSnapshot,
}

/// What a session may do and has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conduct {
    /// What it may do, for each action at most once; nothing for those that are absent.
    pub permissions: Vec<(Action, Grants)>,
    /// The requests that have been carried out: first and last of ids that follow each other, the oldest first.
    pub acks: Vec<(u64, u64)>,
    /// Invocations that wait for the application's answer, which does not come any more.
    pub invocations: Vec<InvocationId>,
    /// Absent unless the client has begun a stream.
    pub streams: Option<StreamTable>,
}

/// The streams that a client publishes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamTable {
    /// Those that run, each id once.
    pub active: Vec<RunningStream>,
    /// How others have ended, the oldest first.
    pub ended: Vec<(StreamId, Option<StreamClosedError>)>,
}

/// A stream that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningStream {
    /// The publisher's name for it.
    pub stream_id: StreamId,
    /// Where it goes.
    pub group: GroupName,
    /// Whether the publisher receives it as well.
    pub has_echo: bool,
    /// The part that is expected next.
    pub next: u64,
    /// How long nothing may happen in it.
    pub idle_timeout: Duration,
    /// How long nothing may happen from now on.
    pub time_left: Duration,
}

/// What the events of a connection have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letters {
    /// Host by which the client knew the service first.
    pub origin: String,
    /// What events name as agreed on.
    pub subprotocol: Option<String>,
    /// Number of the last event.
    pub last_id: u64,
    /// What the application attached.
    pub state: Option<String>,
    /// Its cookies.
    pub cookies: Vec<PortableCookie>,
}

/// A cookie of the application.
#[derive(Clone, PartialEq, Eq)]
pub struct PortableCookie {
    /// A URL that might have set it.
    pub url: String,
    /// The header's value that would have.
    pub line: String,
}

/// Whatever the application keeps in it is nobody's business.
impl std::fmt::Debug for PortableCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PortableCookie").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(partition: u8, sequence: u64) -> (u8, Identity) {
        (partition, Identity { origin: NodeId::new("a").unwrap(), epoch: 1, sequence })
    }

    #[test]
    fn what_a_durable_connection_was_served_from_logs_is_known_as_well() {
        let portable = Portable {
            hub: HubName::new("chat").unwrap(),
            connection_id: ConnectionId::parse("c").unwrap(),
            user_id: None,
            subprotocol: Subprotocol::JsonReliable,
            membership: Membership::default(),
            conduct: Conduct::default(),
            letters: Letters::default(),
            keep_alive: 20,
            is_active: true,
            seconds_left: 30,
        };
        let owner = (NodeId::new("b").unwrap(), 1, 0);
        let record = Some(RecordState { owner, served: vec![floor(1, 9), floor(2, 4)] });
        let mut handed_over =
            HandedOver { portable, delivered: Vec::new(), floors: vec![floor(1, 7)], record };
        assert_eq!(handed_over.known_floors(), [floor(1, 7), floor(1, 9), floor(2, 4)]);
        handed_over.record = None;
        assert_eq!(handed_over.known_floors(), [floor(1, 7)]);
    }
}
