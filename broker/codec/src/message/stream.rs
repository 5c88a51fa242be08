//! Streams: ordered messages of many parts that a client publishes to a group. Source: `client-protocols.md` 9.
//!
//! Which part is expected next, and when a stream ends, is for the publisher's session to say.

use std::time::Duration;

use super::Payload;
use crate::ids::{GroupName, StreamId};

/// Time without activity after which a stream ends, unless its publisher wants another.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Number of a part, counted from 1 for each stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamSequenceId(pub u64);

/// A client's wish to begin a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStart {
    /// How the client will name it.
    pub stream_id: StreamId,
    /// Where it goes.
    pub group: GroupName,
    /// The publishing connection does not want to receive it.
    pub no_echo: bool,
    /// Time without activity after which it ends, from 1 to 2^32-1 milliseconds.
    pub idle_timeout: Duration,
}

/// Another part of a stream, or a sign that it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamData {
    /// Which stream.
    pub stream_id: StreamId,
    /// Absent when the client only wants to keep the stream.
    pub fragment: Option<StreamFragment>,
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFragment {
    /// Its number, at least 1.
    pub sequence_id: StreamSequenceId,
    /// What it holds.
    pub payload: Payload,
}

/// A client's wish to end a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEnd {
    /// Which stream.
    pub stream_id: StreamId,
    /// Present when the client gives the stream up.
    pub error: Option<UserError>,
}

/// What a publisher says of a stream that it gives up. Receivers are told it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserError {
    /// For people.
    pub message: Option<String>,
    /// For programs.
    pub code: Option<String>,
}

/// A stream message that can be read but breaks a rule of streams, which costs the stream and not the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidStream {
    /// It was to begin a stream: its id is empty, its idle timeout out of range, it has data, or it stands on a message
    /// that cannot begin one.
    Start(StreamId),
    /// It was to go on with one: it has only some of the properties of a part, or the number 0.
    Data(StreamId),
}

/// What a message to the members of a group says of the stream that it is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPart {
    /// Which stream of its publisher.
    pub stream_id: StreamId,
    /// Which part; the end has a number as well.
    pub sequence_id: StreamSequenceId,
    /// Whether more follows.
    pub progress: StreamProgress,
}

impl StreamPart {
    /// Bytes of the texts that its publisher chose: the stream's id, and why it gave the stream up.
    pub fn len_bytes(&self) -> usize {
        let texts = match &self.progress {
            StreamProgress::Broken(StreamFailure::UserError(UserError { message, code })) => [message, code],
            StreamProgress::Open | StreamProgress::Complete | StreamProgress::Broken(_) => [&None, &None],
        };
        let said: usize = texts.into_iter().flatten().map(String::len).sum();
        self.stream_id.as_str().len() + said
    }
}

/// How far a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamProgress {
    /// It goes on.
    Open,
    /// This is its end, as its publisher wanted it.
    Complete,
    /// It ends before its time.
    Broken(StreamFailure),
}

/// Why a stream has broken off, as its receivers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamFailure {
    /// Nothing came from its publisher for too long.
    IdleTimeout,
    /// The broker could not go on with it.
    InternalServerError,
    /// Its publisher may not publish to the group any more.
    Forbidden,
    /// Its publisher's connection has ended, or began the stream anew.
    Cancelled,
    /// Its publisher gave it up.
    UserError(UserError),
}

impl StreamFailure {
    /// The name that the protocol gives it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::IdleTimeout => "IdleTimeout",
            Self::InternalServerError => "InternalServerError",
            Self::Forbidden => "Forbidden",
            Self::Cancelled => "Cancelled",
            Self::UserError(_) => "UserError",
        }
    }

    /// What people are told.
    pub fn message(&self) -> &str {
        match self {
            Self::IdleTimeout => "The stream had no activity within its idle timeout.",
            Self::InternalServerError => "Internal server error",
            Self::Forbidden => "The publisher has no permission to send to the group.",
            Self::Cancelled => "The stream was cancelled.",
            Self::UserError(error) => error.message.as_deref().unwrap_or_default(),
        }
    }
}

/// Why a stream is closed, or was not begun, as its publisher is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamClosedError {
    /// There is no such stream.
    StreamNotFound,
    /// The publisher may not publish to the group.
    Forbidden,
    /// The publisher broke a rule of streams.
    BadRequest(&'static str),
    /// The broker could not go on with it.
    InternalServerError,
    /// Nothing came from the publisher for too long.
    IdleTimeout,
}

impl StreamClosedError {
    /// The name that the protocol gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::StreamNotFound => "StreamNotFound",
            Self::Forbidden => "Forbidden",
            Self::BadRequest(_) => "BadRequest",
            Self::InternalServerError => "InternalServerError",
            Self::IdleTimeout => "IdleTimeout",
        }
    }

    /// What people are told.
    pub fn message(self) -> &'static str {
        match self {
            Self::StreamNotFound => "There is no such stream.",
            Self::Forbidden => "The client does not have permission to send to the group.",
            Self::BadRequest(message) => message,
            Self::InternalServerError => "Internal server error",
            Self::IdleTimeout => "The stream had no activity within its idle timeout.",
        }
    }
}

/// Why a part is not taken while its stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamNackError {
    /// A part before it is missing.
    InvalidSequenceId,
}

impl StreamNackError {
    /// The name that the protocol gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidSequenceId => "InvalidSequenceId",
        }
    }

    /// What people are told.
    pub fn message(self) -> &'static str {
        match self {
            Self::InvalidSequenceId => "A fragment before this one is missing.",
        }
    }
}
