//! The rules of the numbers that envelopes carry, as values: no task, no socket, no clock. The bus over Redis feeds them.
//!
//! A process numbers all that it publishes, on whatever channel, with one counter, and says in each envelope which number
//! the one before it on the same channel had. [`Sent`] gives the numbers and keeps what was sent of late. [`Heard`] sees
//! from the numbers what has come twice and what is missing, asks for it, and keeps later envelopes back until it is there.
//!
//! A lane is what one process publishes to the channels of one partition: it comes in the order of its numbers.

mod channels;
mod heard;
mod held;
mod lane;
mod origin;
mod proofs;
mod ring;
#[cfg(test)]
mod schedules;
mod sender;
#[cfg(test)]
mod tests;

use std::time::Duration;

use codec::ids::NodeId;

use super::{Partition, PartitionSet};
pub(super) use heard::Heard;
pub(super) use ring::{Missed, RingLimits};
pub(super) use sender::{Sent, Stamp};

/// How long what has arrived waits for an answer that brings nothing. Whoever is asked may just have found Redis again.
const HELD_FOR: Duration = Duration::from_secs(5);
/// Bytes that may wait, of one process.
const HELD_BYTES: usize = 4 << 20;
/// How long a process may leave what it owes unanswered while nothing waits for it, or while we cannot ask. A node that
/// has just lost Redis too may need some seconds until it hears questions.
const OWED_FOR: Duration = Duration::from_secs(10);
/// How long a repair may take in all, whatever comes meanwhile.
const LONGEST: Duration = Duration::from_secs(60);
/// A question without an answer is asked again after this time, then after twice that ...
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// ... but never after more than this.
const ASK_SELDOM: Duration = Duration::from_secs(2);
/// Bytes of envelopes that are wanted in one message of an answer. Half as many each time an answer does not come, for
/// Redis may cut off a node for which it has to keep more than its `client-output-buffer-limit` ...
pub(super) const PART: usize = 512 << 10;
/// ... but never fewer.
pub(super) const SMALLEST_PART: usize = 16 << 10;
/// A node says every second that it is there. Who has said nothing for so long was gone before we became deaf.
const SILENT: Duration = Duration::from_secs(5);
/// Who was silent before a deafness and has said nothing for so long after it is gone.
const GONE: Duration = Duration::from_secs(6);
/// Who has said nothing for so long since its words would have been heard is not waited for by whoever finds in logs what
/// it has missed. More than the longest pause between two attempts to reach Redis and a beat: a node that has lost Redis as
/// well is not to be taken for one that is gone.
const QUIET: Duration = Duration::from_millis(3500);
/// What was published so long before it can matter may come all the same: it waits for Redis, and is some time on its way.
const EARLIER: Duration = Duration::from_secs(15);
/// After so long with everything in order, every living node has been heard.
const STEADY: Duration = Duration::from_secs(10);
/// The channels of who has said nothing for so long are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Processes that are known at the same time.
const ORIGINS: usize = 1024;

/// What an envelope says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark<'a> {
    /// The node that published it.
    pub(crate) origin: &'a NodeId,
    /// Which run of the node that was.
    pub(crate) epoch: u64,
    /// Its number among all that the process publishes. 0 when it is outside of every order.
    pub(crate) sequence: u64,
    /// The number of the one before it on the same channel, 0 when the publisher does not know.
    pub(crate) previous: u64,
    /// The partition of its channel.
    pub(crate) partition: Partition,
    /// The channel's name.
    pub(crate) channel: &'a str,
}

/// An envelope that has come.
#[derive(Debug)]
pub(crate) struct Incoming<'a, T> {
    /// Its numbers.
    pub(crate) mark: Mark<'a>,
    /// What it brings.
    pub(crate) item: T,
    /// How many bytes it keeps in memory while it waits.
    pub(crate) len: usize,
}

/// One of the messages that answer a [`Question`].
#[derive(Debug)]
pub(crate) struct Part<'a, T> {
    /// The number of the question.
    pub(crate) question: u64,
    /// Which part of this answer it is, from 0.
    pub(crate) number: u64,
    /// Whether it is the last part.
    pub(crate) is_last: bool,
    /// [`ring::Missed::lacking`], the same in every part of an answer.
    pub(crate) lacking: PartitionSet,
    /// What it brings, in the order of the numbers. Without what was published to channels that are not watched: whoever
    /// decodes it leaves that out.
    pub(crate) envelopes: Vec<Incoming<'a, T>>,
}

/// A question for what a process has published. It goes to its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// Whom to ask.
    pub(crate) origin: NodeId,
    /// Stands in the question and in all parts of its answer. Never used twice.
    pub(crate) number: u64,
    /// What is wanted: all that was published to these partitions after these numbers.
    pub(crate) floors: Vec<(Partition, u64)>,
    /// How old that may be. Where no number is known, it would be all that the process has ever published: members who
    /// came later would get what is none of their business.
    pub(crate) within: Duration,
    /// How many bytes of envelopes in one part of the answer at most, unless a single one is larger.
    pub(crate) part: usize,
}

/// What is to be done next, in the order given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<T> {
    /// Its turn has come.
    Deliver(T),
    /// What somebody publishes to these partitions has to wait: whoever is there gets that later than what others publish
    /// after it. Whoever goes on from logs should do so once nothing has to wait any more. Only after
    /// [`Heard::position_with_logs`]; a deafness says the same.
    Behind(PartitionSet),
    /// Ask this. Nothing has to be reported when it reaches nobody: it is asked again, and given up in time.
    Ask(Question),
    /// Something that the node published to channels of these partitions will not come any more.
    Lost {
        /// The node that published it.
        origin: NodeId,
        /// Where.
        partitions: PartitionSet,
        /// For whoever runs the node.
        why: Why,
    },
}

/// Why something that a node published will not come any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    #[error("the node that published them does not keep them any more")]
    Forgotten,
    #[error("the node that published them was asked for them and has not answered in time")]
    Unanswered,
    #[error("too much has come that had to wait for them")]
    Overflow,
    #[error("the node that published them has ended while this one could not hear it")]
    Ended,
    #[error("the node that published them has ended, and its last words had not been waited for")]
    LastWords,
    #[error("more nodes have been heard than can be known")]
    Crowded,
}
