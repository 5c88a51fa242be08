//! Lets one server run scripts: one connection, made when there is the first thing to ask. It has a connection of its own
//! because answers may be large, and what is published must not wait for them.
//!
//! Scripts are written so that a second run does no harm: one whose answer is lost goes again, as `super::batches` says.
//! `super::run` starts one for each server.

use std::sync::MutexGuard;

use redis::{Pipeline, Value};
use tracing::warn;

use super::backoff::Backoff;
use super::batches::{self, Batches, may_pass};
use super::link::Link;
use super::outbox::{Item, Load, Outbox};
use super::{BusError, Call};

/// See the module.
pub(super) struct Caller {
    pub(super) link: Link,
}

impl Caller {
    /// Runs for ever, whatever happens to the server.
    pub(super) async fn run(self) {
        let Link { key, address, wake, .. } = &self.link;
        let mut backoff = Backoff::new();
        loop {
            while !self.queue().is_waiting(*key) {
                wake.notified().await;
            }
            let reason = match self.link.open(None).await {
                Ok(connection) => {
                    backoff = Backoff::new();
                    batches::send(&self, connection).await
                }
                Err(error) => error.to_string(),
            };
            warn!(server = %address, reason, "no connection for calls to redis");
            batches::pause(&self, &mut backoff).await;
        }
    }
}

impl Batches for Caller {
    type Content = Call;

    fn link(&self) -> &Link {
        &self.link
    }

    fn queue(&self) -> MutexGuard<'_, Outbox<Call>> {
        self.link.shared.calls()
    }

    fn pipeline(items: &[Item<Call>]) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(items.len());
        for Call { script, key, arguments, .. } in items.iter().map(|item| &item.content) {
            let command = pipeline.cmd("EVAL").arg(*script).arg(1).arg(&**key);
            for argument in arguments {
                command.arg(&**argument);
            }
        }
        pipeline
    }

    fn read(&self, items: Vec<Item<Call>>, answers: Vec<Value>) -> bool {
        let (mut done, mut again) = (Load::default(), Vec::new());
        for (item, answer) in items.into_iter().zip(answers) {
            let answer = match answer {
                Value::ServerError(error) if may_pass(&error) => {
                    again.push(item);
                    continue;
                }
                Value::ServerError(error) => {
                    warn!(server = %self.link.address, code = error.code(), "redis refuses a script");
                    Err(BusError)
                }
                answer => Ok(answer),
            };
            done.add(&item);
            // Whoever wanted to know may have gone.
            let _ = item.content.answer.send(answer);
        }
        let must_go_again = !again.is_empty();
        self.queue().finish(self.link.key, done, again);
        must_go_again
    }

    fn give_up(&self, expired: Vec<Item<Call>>) {
        if !expired.is_empty() {
            let calls = expired.len();
            warn!(server = %self.link.address, calls, "dropped what redis has not been asked for too long");
        }
        for item in expired {
            // Whoever wanted to know may have gone.
            let _ = item.content.answer.send(Err(BusError));
        }
    }
}
