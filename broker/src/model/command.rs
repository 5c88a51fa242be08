//! What a session or a REST operation asks the router to send.

use codec::filter::Filter;
use codec::ids::{AckId, ConnectionId, GroupName, HubName, NodeId, UserId};
use codec::message::{Content, GroupState, GroupStateItem, StreamPart, TimeToLive};

/// Who is meant within a hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Every connection.
    Hub,
    /// The members of a group.
    Group(GroupName),
    /// The connections of a user.
    User(UserId),
    /// One connection.
    Connection(ConnectionId),
}

/// What a node may want the messages of: a target in its hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The hub.
    pub hub: HubName,
    /// Whose messages.
    pub target: Target,
}

/// Which envelope of which node brought a command. No two are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The node that published it.
    pub origin: NodeId,
    /// Which run of the node.
    pub epoch: u64,
    /// Its number among all that the run published.
    pub sequence: u64,
}

/// A request of a reliable client to publish something. A client that does not know what became of a request repeats it
/// under the same name, perhaps at another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The client's connection.
    pub connection: ConnectionId,
    /// Its name for the request.
    pub ack_id: AckId,
    /// How many owners the connection has had before the one that publishes. What a former owner publishes too late stays
    /// unpublished.
    pub term: u64,
}

/// Brings something to every connection of a target. It is carried out on every node that has one, in the order in
/// which one sender gave its commands, and nobody is told who received it.
#[derive(Debug, Clone)]
pub struct Command {
    /// Where the target is.
    pub hub: HubName,
    /// Who receives it.
    pub target: Target,
    /// What is brought.
    pub body: Body,
    /// Connections that do not receive it.
    pub excluded: Vec<ConnectionId>,
    /// Which connections of the target receive it; absent means all.
    pub filter: Option<Filter>,
    /// How long it may wait for a receiver.
    pub time_to_live: TimeToLive,
}

/// What a command brings.
#[derive(Debug, Clone)]
pub enum Body {
    /// Something that somebody sent.
    Message {
        /// The publisher's user, shown to the members of a group; absent for sends by the application.
        from_user_id: Option<UserId>,
        /// What is sent.
        content: Content,
        /// Present when it is a part of a stream.
        stream: Option<StreamPart>,
    },
    /// What one member of a group shows to the others from now on. It reaches those who subscribed to that, and nobody
    /// when the target is no group.
    GroupState(GroupStateItem),
}

impl Body {
    /// A message of the application.
    pub fn from_application(content: Content) -> Self {
        Self::Message { from_user_id: None, content, stream: None }
    }

    /// Bytes of content, those of what a publisher says of the end of its stream included.
    pub fn len_bytes(&self) -> usize {
        match self {
            Self::Message { content, stream, .. } => {
                content.payload.bytes().len() + stream.as_ref().map_or(0, StreamPart::len_bytes)
            }
            Self::GroupState(item) => item.state.as_ref().map_or(0, GroupState::len_bytes),
        }
    }
}
