//! The one operation that needs no token. Source: `rest-api.md` 13.

use super::call::{Outcome, Success};
use super::error::RestError;

/// Whether this node wants to be given work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It is starting, or about to stop.
    NotReady,
}

/// Tells whether the node takes clients and calls.
pub(super) fn status(readiness: Readiness) -> Outcome {
    match readiness {
        Readiness::Ready => Ok(Success::Done),
        Readiness::NotReady => Err(RestError::NotReady),
    }
}
