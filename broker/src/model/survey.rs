//! Questions that are put to every node that may know, and their answers.
//!
//! A survey may change what it asks about: to add, to remove and to close are answered as well, because their callers
//! wait until it is done. Source: `rest-api.md` 6 and 8 to 11.

use bytes::Bytes;
use codec::filter::Filter;
use codec::ids::{ConnectionId, GroupName, HubName, NodeId, UserId};
use codec::message::GroupStateItem;

use super::command::Target;
// Part of a question, so whoever carries questions knows it from here.
pub use crate::auth::permission::Action;

/// A question about the connections of one hub.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The hub.
    pub hub: HubName,
    /// What is asked.
    pub question: Question,
}

/// What is asked of every node.
#[derive(Debug, Clone)]
pub enum Question {
    /// How many connections does the target have? Answered by [`Answer::Count`].
    Count(Target),
    /// Who is in a group, in the order of connection ids? Answered by [`Answer::Members`].
    Members {
        /// The group.
        group: GroupName,
        /// Only ids after this one.
        after: Option<ConnectionId>,
        /// At most so many.
        limit: usize,
    },
    /// What do the members of a group show, in the order of connection ids? Answered by [`Answer::GroupStates`].
    GroupStates {
        /// The group.
        group: GroupName,
        /// At most so many.
        limit: usize,
    },
    /// Make the chosen connections members of every one of `groups`. Answered by [`Answer::Count`] of the chosen.
    Join {
        /// Who.
        who: Selection,
        /// Of what.
        groups: Vec<GroupName>,
    },
    /// End the membership of the chosen connections. Answered by [`Answer::Count`] of the chosen.
    Leave {
        /// Who.
        who: Selection,
        /// Which membership.
        groups: Leaving,
    },
    /// Close the target's connections. Answered by [`Answer::Count`] of those closed.
    Close {
        /// Whose.
        target: Target,
        /// Connections that stay.
        excluded: Vec<ConnectionId>,
        /// What the client is told, if the caller gave a reason.
        reason: Option<String>,
    },
    /// Ask about or change what a connection may do. Answered by [`Answer::Permission`].
    Permission {
        /// The connection.
        connection: ConnectionId,
        /// The permitted action.
        action: Action,
        /// In which group.
        group: GroupName,
        /// What is wanted.
        wish: Wish,
    },
    /// Get ready to give up a reliable connection, whose client wants to go on elsewhere. Answered by [`Answer::Move`].
    Prepare {
        /// The connection.
        connection: ConnectionId,
    },
    /// Give it up. Answered by [`Answer::Move`].
    HandOver {
        /// The connection.
        connection: ConnectionId,
        /// Which preparation is meant.
        ticket: u64,
        /// The groups whose messages the asker holds.
        groups: Vec<GroupName>,
    },
    /// Take over a reliable connection from its node, which stops. Answered by [`Answer::Count`] when it is done, by
    /// [`Move::Later`] when it cannot be done now, and by [`Move::Nothing`] by a node that stops as well.
    Adopt {
        /// The connection.
        connection: ConnectionId,
    },
}

/// Connections of a target that match a filter.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Whose.
    pub target: Target,
    /// Which of them; absent means all.
    pub filter: Option<Filter>,
}

/// Which membership ends.
#[derive(Debug, Clone)]
pub enum Leaving {
    /// That of every group.
    Every,
    /// That of these groups.
    Groups(Vec<GroupName>),
}

/// What is wanted of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Only to know.
    Check,
    /// That it be there.
    Grant,
    /// That it be gone.
    Revoke,
}

/// What the nodes know together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// So many connections.
    Count(u64),
    /// These connections, in the order of their ids.
    Members(Vec<Member>),
    /// These states, in the order of their owners' ids.
    GroupStates(Vec<GroupStateItem>),
    /// State of a permission after the question.
    Permission(PermissionAnswer),
    /// What becomes of a connection that is wanted elsewhere.
    Move(Move),
}

/// What becomes of a connection that is wanted elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// No reliable connection of that id is here.
    Nothing,
    /// It is here and cannot move now.
    Later,
    /// It can move as soon as the asker holds what is sent to it.
    Prepared(Prepared),
    /// It is here no more: a part of everything that makes it up.
    Given(Given),
}

/// A connection that is ready to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The node that has it.
    pub node: NodeId,
    /// Names this preparation. The last one alone counts.
    pub ticket: u64,
    /// Its user, if it has one.
    pub user_id: Option<UserId>,
    /// Its groups.
    pub groups: Vec<GroupName>,
}

/// A part of everything that makes up a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Which part, from 0.
    pub part: u64,
    /// Whether no other follows.
    pub is_last: bool,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A connection in a group, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub connection_id: ConnectionId,
    /// Its user, if it has one.
    pub user_id: Option<UserId>,
}

/// What became of a question about a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionAnswer {
    /// No node holds the connection.
    NoConnection,
    /// The connection may.
    Granted,
    /// The connection may not.
    Denied,
    /// The change was refused, because the connection has all the exceptions that it may have.
    Full,
}
