//! What a session or a REST operation asks the router to send.

use codec::filter::Filter;
use codec::ids::{ConnectionId, GroupName, HubName, UserId};
use codec::message::{Content, TimeToLive};

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

/// Sends one message to every connection of a target. It is carried out on every node that has one, in the order in
/// which one sender gave its commands, and nobody is told who received it.
#[derive(Debug, Clone)]
pub struct Command {
    /// Where the target is.
    pub hub: HubName,
    /// Who receives it.
    pub target: Target,
    /// The publisher's user, shown to the members of a group; absent for sends by the application.
    pub from_user_id: Option<UserId>,
    /// What is sent.
    pub content: Content,
    /// Connections that do not receive it.
    pub excluded: Vec<ConnectionId>,
    /// Which connections of the target receive it; absent means all.
    pub filter: Option<Filter>,
    /// How long it may wait for a receiver.
    pub time_to_live: TimeToLive,
}
