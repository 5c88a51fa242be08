//! What nodes tell each other: content, never a client's encoding.

use std::sync::Arc;

use codec::ids::NodeId;

use super::Partition;
use crate::model::command::{Command, Publication};
use crate::model::survey::{Answer, Survey};

/// What a node publishes.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The node that published it.
    pub origin: NodeId,
    /// What it says.
    pub content: Content,
    /// Which request it comes of, if that may be repeated and must be published once. Only what is noted in a log is
    /// published once, and only the bus that publishes it looks: nothing of this arrives.
    pub publication: Option<Publication>,
}

/// An envelope's number among all that its origin publishes. Larger ones are later; each run of a node begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Which run of the node.
    pub epoch: u64,
    /// From 1.
    pub sequence: u64,
}

/// All that one run of a node published to those channels of one partition that are watched here has come, up to a
/// number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Which node.
    pub origin: NodeId,
    /// Where.
    pub partition: Partition,
    /// Up to here.
    pub up_to: Number,
}

/// What an envelope says.
#[derive(Debug, Clone)]
pub enum Content {
    /// Bring this to the members of its target.
    Command {
        /// Whether the origin has served its own members already.
        applied: Applied,
        /// What is to be brought.
        command: Arc<Command>,
    },
    /// Answer this with a [`Content::Reply`] on the channel of the origin's node, whatever the answer is.
    Question {
        /// The asker's name for the question.
        id: QuestionId,
        /// What is asked.
        survey: Arc<Survey>,
    },
    /// The answer of one node.
    Reply {
        /// What it answers.
        to: QuestionId,
        /// What that node knows.
        reply: Reply,
    },
}

/// Who serves the members of the node that publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The node itself, before it published: it drops the envelope when it comes back.
    AtOrigin,
    /// Nobody yet: the envelope's return gives the order.
    OnReceipt,
    /// As [`Applied::OnReceipt`], of a durable hub: it is noted in the log of the channel's partition at the same moment.
    /// What is for a connection is published to the connection's own topic.
    Noted,
    /// Nobody: the node that a connection's id names had it first, and hands it on to whoever has the connection.
    Forwarded,
}

/// A node's number for a question, never used twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuestionId(pub u64);

/// What a node that was asked says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// All that it knows.
    Known(Answer),
    /// It could not find out, in part at least.
    Unknown,
}
