//! What the application is told or asked: the vocabulary of events, without their wire form.
//!
//! The broker raises them, `cloud_event` writes them. Source: `event-handlers.md` 2.

use crate::ids::{ConnectionId, EventName, GroupName, HubName, UserId};
use crate::message::Content;

/// Something that happened to a connection.
#[derive(Debug, Clone)]
pub struct Event {
    /// Whose event it is.
    pub source: Source,
    /// Number within the connection: 0 is `connect`, each later event takes the next one.
    pub id: u64,
    /// Seconds since 1970.
    pub time: u64,
    /// What happened.
    pub what: What,
}

/// The connection of an event, as the application is told of it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its hub.
    pub hub: HubName,
    /// Its id.
    pub connection_id: ConnectionId,
    /// Its user, if it has one.
    pub user_id: Option<UserId>,
    /// The subprotocol that was agreed on. Nothing during `connect`, when none is yet.
    pub subprotocol: Option<Box<str>>,
    /// What an answer of the application attached to the connection last; the empty text is a value.
    pub connection_state: Option<Box<str>>,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum What {
    /// A client asks to be let in. Blocking.
    Connect(Box<ConnectRequest>),
    /// A connection has been made.
    Connected,
    /// A connection has ended for good.
    Disconnected {
        /// Why, in the service's words.
        reason: String,
    },
    /// A client raised an event of its own. Blocking.
    User {
        /// Its name.
        event: EventName,
        /// What goes with it.
        content: Content,
    },
    /// A connection has become a member of a group.
    Joined(GroupName),
    /// A connection is a member of a group no longer.
    Left(GroupName),
}

/// What a client that asks to be let in has shown. Each list keeps the client's order.
#[derive(Debug, Clone, Default)]
pub struct ConnectRequest {
    /// Claims of its token, with all values of each as text.
    pub claims: Vec<(String, Vec<String>)>,
    /// Parameters of its URL but the token.
    pub query: Vec<(String, Vec<String>)>,
    /// Headers of its request but those that carry secrets.
    pub headers: Vec<(String, Vec<String>)>,
    /// Subprotocols that it offers.
    pub subprotocols: Vec<String>,
}

/// Which event it is: what a hub's settings are asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind<'a> {
    /// [`What::Connect`].
    Connect,
    /// [`What::Connected`].
    Connected,
    /// [`What::Disconnected`].
    Disconnected,
    /// [`What::User`] with this name.
    User(&'a EventName),
    /// [`What::Joined`] of this group.
    Joined(&'a GroupName),
    /// [`What::Left`] of this group.
    Left(&'a GroupName),
}

impl What {
    /// Which event it is.
    pub fn kind(&self) -> EventKind<'_> {
        match self {
            Self::Connect(_) => EventKind::Connect,
            Self::Connected => EventKind::Connected,
            Self::Disconnected { .. } => EventKind::Disconnected,
            Self::User { event, .. } => EventKind::User(event),
            Self::Joined(group) => EventKind::Joined(group),
            Self::Left(group) => EventKind::Left(group),
        }
    }
}

impl<'a> EventKind<'a> {
    /// The name that stands in headers and URLs.
    pub fn name(self) -> &'a str {
        match self {
            Self::Connect => "connect",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::User(event) => event.as_str(),
            Self::Joined(_) => "joined",
            Self::Left(_) => "left",
        }
    }
}

/// What the application answered to `connect`: its wishes for the connection. What is absent stays as the token has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectAnswer {
    /// The user; the inner nothing takes the user away.
    pub user_id: Option<Option<UserId>>,
    /// All roles instead of the token's.
    pub roles: Option<Vec<String>>,
    /// All groups instead of the token's. Never empty: an empty list keeps the token's groups.
    pub groups: Option<Vec<GroupName>>,
    /// What to agree on.
    pub subprotocol: Option<String>,
}
