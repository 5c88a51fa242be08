//! Invocations: events that run beside whatever else their client does, until the application answers, the client takes
//! them back or its connection ends. Source: `client-protocols.md` 8.
//!
//! The connection's task begins and cancels them; each waits for the application in a task of its own. Nothing is kept
//! for a client that has no socket when the answer comes.

use std::cell::RefCell;
use std::rc::Rc;

use codec::event::What;
use codec::ids::InvocationId;
use codec::message::{Content, Invoke, Invoked};
use tokio::task::AbortHandle;

use super::connection::Connection;
use crate::events::{Answer, Attaching, Delivery, Unanswered};
use crate::session::Failure;

/// The invocations of a connection that wait for the application. Owns memory only as long as there are any.
#[derive(Default)]
pub(super) struct Calls(RefCell<Vec<Call>>);

/// A task that waits for the application. Dropping this ends it, and the request with it.
struct Call {
    id: InvocationId,
    task: AbortHandle,
}

impl Drop for Call {
    fn drop(&mut self) {
        // Means nothing to a task that has done its work.
        self.task.abort();
    }
}

impl Calls {
    fn add(&self, call: Call) {
        self.0.borrow_mut().push(call);
    }

    /// Ends an invocation, if it is under way.
    pub(super) fn cancel(&self, id: &InvocationId) {
        let mut calls = self.0.borrow_mut();
        calls.retain(|call| call.id != *id);
        if calls.is_empty() {
            *calls = Vec::new();
        }
    }

    /// Ends all of them.
    pub(super) fn cancel_all(&self) {
        self.0.take();
    }
}

impl Connection {
    /// Asks the application, and tells the client the answer when there is one.
    pub(super) fn invoke(&self, invoke: Invoke) {
        let Invoke { invocation_id: id, event, content } = invoke;
        self.trace_raised(&event, &content.payload);
        let Some(delivery) = self.connections.address(self, What::User { event, content }) else {
            return self.respond(id, Err(Failure::NoEventHandler));
        };
        // The task must not keep a connection that has ended, so it looks for it when it has the answer.
        let (connections, key) = (Rc::clone(&self.connections), self.key);
        let invocation_id = id.clone();
        let task = tokio::task::spawn_local(async move {
            let asked = connections.events.ask_user(&delivery).await;
            let connection = connections.table.borrow().get(key).cloned();
            if let Some(connection) = connection {
                connection.on_answer(invocation_id, &delivery, asked);
            }
        });
        self.calls.add(Call { id, task: task.abort_handle() });
    }

    fn on_answer(
        &self,
        id: InvocationId,
        delivery: &Delivery,
        asked: Result<(Answer, Option<Content>), Unanswered>,
    ) {
        self.calls.cancel(&id);
        let result = asked.map(|(answer, reply)| {
            self.correspondence.borrow_mut().learn(delivery, &answer, Attaching::CookiesAndState);
            self.connections.changed(self);
            invoked(&answer, reply)
        });
        self.respond(id, result.map_err(|_| Failure::EventHandler));
    }

    fn respond(&self, id: InvocationId, result: Result<Invoked, Failure>) {
        let response = self.session().invoked(id, result);
        if let Some(response) = response {
            self.connections.router.shard().tell(self.key, &response);
            self.connections.flush_soon();
        }
    }
}

/// The answer as the caller of an invocation gets it. The empty text that stands for nothing beside metadata is only
/// for those who can be told nothing else.
fn invoked(answer: &Answer, reply: Option<Content>) -> Invoked {
    let Some(Content { payload, metadata }) = reply else {
        return Invoked::default();
    };
    Invoked { payload: (!answer.body.is_empty()).then_some(payload), metadata }
}
