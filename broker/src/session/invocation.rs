//! Which invocations of a connection are under way, and what is said to those that may not begin. Source:
//! `client-protocols.md` 8.

use codec::ids::InvocationId;
use codec::message::{Downstream, Invoke, InvokeError, Invoked};

use super::{Effect, Failure, Session};

/// Most invocations of a connection at a time. Source: `limits.md` 5.
const MAX_IN_FLIGHT: usize = 100;
/// Longest id of an invocation, in bytes. The sources name no limit; this one bounds what ids cost.
const MAX_ID: usize = 1024;

const LONG_ID: InvokeError = InvokeError::BadRequest("The invocation id has more than 1024 bytes.");
const ID_IN_USE: InvokeError = InvokeError::BadRequest("An invocation with this id is under way already.");
const TOO_MANY: InvokeError =
    InvokeError::BadRequest("100 invocations of this connection are under way already.");

/// The ids of the invocations that are under way. Owns memory only as long as there are any.
#[derive(Debug, Default)]
pub(super) struct Invocations(Vec<InvocationId>);

impl Invocations {
    fn begin(&mut self, id: &InvocationId) -> Result<(), InvokeError> {
        if id.as_str().len() > MAX_ID {
            return Err(LONG_ID);
        }
        if self.0.contains(id) {
            return Err(ID_IN_USE);
        }
        if self.0.len() >= MAX_IN_FLIGHT {
            return Err(TOO_MANY);
        }
        self.0.push(id.clone());
        Ok(())
    }

    pub(super) fn all(&self) -> &[InvocationId] {
        &self.0
    }

    pub(super) fn import(&mut self, ids: Vec<InvocationId>) {
        self.0 = ids;
        self.0.truncate(MAX_IN_FLIGHT);
    }

    /// Whether it was under way.
    fn end(&mut self, id: &InvocationId) -> bool {
        let Some(place) = self.0.iter().position(|known| known == id) else {
            return false;
        };
        self.0.swap_remove(place);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        true
    }
}

impl Session {
    /// The client wants the application's answer to an event. That needs no permission.
    pub(super) fn on_invoke(&mut self, invoke: Invoke) -> Effect {
        match self.invocations.begin(&invoke.invocation_id) {
            Ok(()) => Effect::Invoke(Box::new(invoke)),
            Err(error) => Effect::Reply(response(invoke.invocation_id, Err(error))),
        }
    }

    /// The client does not want an answer any more. One that it has already, or never asked for, is none of our concern.
    pub(super) fn on_cancel(&mut self, id: InvocationId) -> Effect {
        if self.invocations.end(&id) { Effect::CancelInvocation(id) } else { Effect::Nothing }
    }

    /// What the client is told of an invocation that has come to its end; nothing if it was taken back before.
    pub fn invoked(&mut self, id: InvocationId, result: Result<Invoked, Failure>) -> Option<Downstream> {
        let is_wanted = self.invocations.end(&id);
        is_wanted.then(|| response(id, result.map_err(|_| InvokeError::InternalServerError)))
    }
}

fn response(invocation_id: InvocationId, result: Result<Invoked, InvokeError>) -> Downstream {
    Downstream::InvokeResponse { invocation_id, result }
}

#[cfg(test)]
mod tests;
