//! What all client protocols share: the messages of both directions and their contents.
//!
//! No wire form lives here; each protocol's file maps these to its bytes. Source: `client-protocols.md` 6 and 7.

use std::time::Duration;

use crate::ids::{AckId, ConnectionId, EventName, GroupName, InvocationId, SequenceId, StreamId, UserId};

mod group_state;
mod invocation;
mod payload;
mod stream;

pub use group_state::{GroupState, GroupStateExtent, GroupStateItem, MAX_GROUP_STATE};
pub use invocation::{Invoke, InvokeError, Invoked};
pub use payload::{Content, DataType, FrameKind, InvalidPayload, Payload};
pub use stream::{
    DEFAULT_IDLE_TIMEOUT, InvalidStream, StreamClosedError, StreamData, StreamEnd, StreamFailure,
    StreamFragment, StreamNackError, StreamPart, StreamProgress, StreamSequenceId, StreamStart, UserError,
};

/// How long a message may wait for its receiver; absent means for ever. At most 300 seconds.
pub type TimeToLive = Option<Duration>;

/// Longest time to live that a sender may ask for.
pub const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(300);

/// Message from a client to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// The connection wants to be a member of `group`.
    JoinGroup {
        /// The group.
        group: GroupName,
        /// Present when an answer is wanted.
        ack_id: Option<AckId>,
    },
    /// The connection wants to be a member of `group` no longer.
    LeaveGroup {
        /// The group.
        group: GroupName,
        /// Present when an answer is wanted.
        ack_id: Option<AckId>,
    },
    /// Publishes to a group.
    SendToGroup(SendToGroup),
    /// Raises a user event.
    Event {
        /// Name of the event.
        event: EventName,
        /// What goes with it.
        content: Content,
        /// Present when an answer is wanted.
        ack_id: Option<AckId>,
    },
    /// Wants a [`Downstream::Pong`].
    Ping,
    /// Has seen all reliable messages up to this one. Meaningless, and allowed, on other protocols.
    SequenceAck(SequenceId),
    /// Raises a user event whose answer comes by name.
    Invoke(Invoke),
    /// Does not want the answer of an invocation any more.
    CancelInvocation(InvocationId),
    /// The answer to an invocation by the broker, of which there is none: reserved, and without effect.
    InvokeResponse,
    /// Begins a stream.
    StreamStart(StreamStart),
    /// Goes on with a stream.
    StreamData(StreamData),
    /// Ends a stream.
    StreamEnd(StreamEnd),
    /// Breaks a rule of streams.
    InvalidStream(InvalidStream),
    /// Shows something to the members of a group that want to see it.
    SetGroupState {
        /// The group.
        group: GroupName,
        /// Absent to show nothing any more.
        state: Option<GroupState>,
        /// Present when an answer is wanted.
        ack_id: Option<AckId>,
    },
    /// Wants to see what the members of a group show.
    SubscribeGroupState {
        /// The group.
        group: GroupName,
        /// Present when an answer is wanted.
        ack_id: Option<AckId>,
    },
    /// Does not want to see that any longer.
    UnsubscribeGroupState {
        /// The group.
        group: GroupName,
        /// Present when an answer is wanted.
        ack_id: Option<AckId>,
    },
}

/// A client's wish to publish to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendToGroup {
    /// The group.
    pub group: GroupName,
    /// What is sent.
    pub content: Content,
    /// The sending connection does not want to receive it.
    pub no_echo: bool,
    /// How long it may wait for a receiver.
    pub time_to_live: TimeToLive,
    /// Present when an answer is wanted.
    pub ack_id: Option<AckId>,
}

/// Message from the broker to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downstream {
    /// First message on every connection whose protocol has it.
    Connected {
        /// Id of the connection.
        connection_id: ConnectionId,
        /// The user, if the connection has one.
        user_id: Option<UserId>,
        /// Proof for taking the connection up again, if it can be.
        reconnection_token: Option<String>,
    },
    /// Last message before the application closes a connection.
    Disconnected {
        /// Why, in the service's words.
        message: String,
    },
    /// Answer to a request that carried an [`AckId`].
    Ack {
        /// The request's id.
        ack_id: AckId,
        /// What became of it.
        result: Result<(), AckError>,
    },
    /// Something somebody sent.
    Message {
        /// Who it comes from.
        origin: Origin,
        /// What was sent.
        content: Content,
        /// Present when it is a part of a stream.
        stream: Option<StreamPart>,
    },
    /// Answer to [`Upstream::Ping`].
    Pong,
    /// Answer to [`Upstream::Invoke`].
    InvokeResponse {
        /// Which invocation.
        invocation_id: InvocationId,
        /// What the application answered, or why there is no answer.
        result: Result<Invoked, InvokeError>,
    },
    /// The parts of a stream before this number have been taken.
    StreamAck {
        /// Which stream.
        stream_id: StreamId,
        /// The part that is expected next.
        expected: StreamSequenceId,
    },
    /// A part of a stream has not been taken.
    StreamNack {
        /// Which stream.
        stream_id: StreamId,
        /// The part that is expected next.
        expected: StreamSequenceId,
        /// Why.
        error: StreamNackError,
    },
    /// A stream has ended, or was not begun.
    StreamClosed {
        /// Which stream.
        stream_id: StreamId,
        /// Absent when its publisher ended it.
        error: Option<StreamClosedError>,
    },
    /// What members of a group show.
    GroupState {
        /// How many of them.
        extent: GroupStateExtent,
        /// The group.
        group: GroupName,
        /// One for each member.
        items: Vec<GroupStateItem>,
    },
}

impl Downstream {
    /// Whether it has a sequence id, and is kept until it is acknowledged, on a reliable connection
    /// (`client-protocols.md` 10.1).
    pub fn is_sequenced(&self) -> bool {
        matches!(self, Self::Message { .. } | Self::GroupState { .. })
    }
}

/// Where a message comes from, as its receiver is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was sent to a group.
    Group {
        /// The group.
        group: GroupName,
        /// The publisher's user; absent when it has none or is the application.
        from_user_id: Option<UserId>,
    },
    /// The application sent it to the hub, a user or a connection.
    Server,
}

/// Why a request was not carried out. One of the three tables that translate errors at the edge (`client-protocols.md`
/// 6.5): the name is for programs, the text for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// The id was used by a request that has been carried out.
    #[error("Message with ack-id: {} has been processed", .0.0)]
    Duplicate(AckId),
    /// The connection may not join this group.
    #[error("The client does not have permission to join group '{0}'.")]
    JoinForbidden(GroupName),
    /// The connection may not leave this group.
    #[error("The client does not have permission to leave group '{0}'.")]
    LeaveForbidden(GroupName),
    /// The connection may not publish to this group.
    #[error("The client does not have permission to send to group '{0}'.")]
    SendForbidden(GroupName),
    /// The connection may not show anything to this group.
    #[error("Permission denied.")]
    SetStateForbidden,
    /// Keys and values have more than [`MAX_GROUP_STATE`] bytes.
    #[error("State payload exceeds maximum size {MAX_GROUP_STATE} bytes.")]
    StateTooLarge,
    /// The connection shows something to a group that it is not a member of.
    #[error("Not a member of group.")]
    SetStateNotMember,
    /// The connection may not see what the members of this group show.
    #[error("No permission to get states of group {0}.")]
    GetStateForbidden(GroupName),
    /// The connection wants to see what the members of a group show that it is not a member of.
    #[error("Not a member of group {0}.")]
    GetStateNotMember(GroupName),
    /// Nobody handles the event, its handler failed, or the broker is at fault.
    #[error("Internal server error")]
    InternalServerError,
}

impl AckError {
    /// The name that the protocol gives this error.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Duplicate(_) => "Duplicate",
            Self::JoinForbidden(_)
            | Self::LeaveForbidden(_)
            | Self::SendForbidden(_)
            | Self::SetStateForbidden
            | Self::SetStateNotMember
            | Self::GetStateForbidden(_)
            | Self::GetStateNotMember(_) => "Forbidden",
            Self::StateTooLarge => "BadRequest",
            Self::InternalServerError => "InternalServerError",
        }
    }
}
