//! Invocations: a client's events that are answered to it by name. Source: `client-protocols.md` 8.

use super::{Content, Payload};
use crate::ids::{EventName, InvocationId};
use crate::metadata::Metadata;

/// A client's wish to have an event answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoke {
    /// How the client will know the answer.
    pub invocation_id: InvocationId,
    /// Name of the event.
    pub event: EventName,
    /// What goes with it; empty text when the client gave nothing.
    pub content: Content,
}

/// What an application answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invoked {
    /// Absent when it answered with nothing.
    pub payload: Option<Payload>,
    /// What goes with it, if the application gave any.
    pub metadata: Option<Metadata>,
}

/// Why an invocation has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The client broke a rule of invocations.
    #[error("{0}")]
    BadRequest(&'static str),
    /// Nobody handles the event, its handler failed, or the broker is at fault.
    #[error("Internal server error")]
    InternalServerError,
}

impl InvokeError {
    /// The name that the protocol gives this error.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::InternalServerError => "InternalServerError",
        }
    }
}
