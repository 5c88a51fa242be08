//! The clients: members that receive, a publisher that sends, callers that raise user events. Cheap enough to share a
//! machine with the server.
//!
//! Members are driven by a few threads, each with one event loop and one read buffer for all its members; frames are
//! counted in the bytes as they come, and no JSON is decoded after a member has joined. Processor time, memory and
//! what the figures mean belong elsewhere. `scenario` is the caller.

mod acknowledging;
mod caller;
mod callers;
mod calls;
mod frame;
mod handshake;
mod member;
mod members;
mod phase;
mod publisher;
mod reader;
mod speech;
mod tally;
mod wording;

pub(crate) use callers::{CallPlan, Callers, Load};
pub(crate) use calls::Calls;
pub(crate) use handshake::{ACCEPTED_KEY, SUBPROTOCOL_HEADER, Wish, group_name, group_of, payload_text};
pub(crate) use members::{Members, Plan};
pub(crate) use phase::{Check, Phase, Progress, Schedule, Window};
pub(crate) use publisher::{PublishPlan, Publisher, Sent};
pub(crate) use tally::Tally;
pub(crate) use wording::Request;

/// Why the clients cannot do their work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("socket: {0}")]
    Socket(#[from] std::io::Error),
    #[error(transparent)]
    Access(#[from] crate::access::AccessError),
    #[error("the server refused the WebSocket: {0}")]
    Refused(String),
    #[error("the server ended the connection during the handshake")]
    Ended,
    #[error("instead of {expected} the server sent: {got}")]
    Unexpected { expected: &'static str, got: String },
    #[error("the server took longer than {seconds} seconds: {done} of {wanted} connections were {what}")]
    Slow { seconds: u64, done: usize, wanted: usize, what: &'static str },
    #[error("a reading thread has ended")]
    ThreadEnded,
    #[error("the publisher could not send for {0} seconds")]
    Blocked(u64),
    #[error("a group's name cannot be made: {0}")]
    Group(#[from] codec::ids::InvalidName),
}
