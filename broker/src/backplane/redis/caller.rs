//! Lets one server run scripts: one connection, made when there is the first thing to ask, and one batch in flight. It
//! has a connection of its own because answers may be large, and what is published must not wait for them.
//!
//! A batch that is not answered goes again after the next connection, unchanged and before anything else: scripts are
//! written so that a second run does no harm. `super::run` starts one for each server.

use std::sync::Arc;
use std::time::Instant;

use redis::{Pipeline, Value, cmd};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::backoff::Backoff;
use super::connection::{Connection, Manner};
use super::outbox::{Batch, Item, Load};
use super::publisher::{PAUSE, PING_EVERY, answer, may_pass};
use super::{Address, BusError, Call, ServerKey, Shared};

/// See the module.
pub(super) struct Caller {
    pub(super) shared: Arc<Shared>,
    pub(super) key: ServerKey,
    pub(super) address: Address,
    pub(super) wake: Arc<Notify>,
}

impl Caller {
    /// Runs for ever, whatever happens to the server.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new();
        loop {
            while !self.shared.calls().is_waiting(self.key) {
                self.wake.notified().await;
            }
            let config = &self.shared.config;
            let manner = Manner { credentials: &config.credentials, tls: config.tls.as_ref() };
            let reason = match Connection::open(&self.address, manner, None).await {
                Ok(connection) => {
                    backoff = Backoff::new();
                    self.call(connection).await
                }
                Err(error) => error.to_string(),
            };
            warn!(server = %self.address, reason, "no connection for calls to redis");
            self.shared.owners_wanted.notify_one();
            let expired = self.shared.calls().expire(self.key, Instant::now());
            self.give_up(expired);
            sleep(backoff.next()).await;
        }
    }

    /// Asks what is queued until the connection is lost; says why it is.
    async fn call(&self, mut connection: Connection) -> String {
        loop {
            let Batch { items, expired } = self.shared.calls().take(self.key, Instant::now());
            self.give_up(expired);
            if items.is_empty() {
                if timeout(PING_EVERY, self.wake.notified()).await.is_err()
                    && let Err(reason) = answer(connection.ask(&cmd("PING"))).await
                {
                    return reason;
                }
                continue;
            }
            match answer(connection.ask_all(&pipeline(&items))).await {
                Ok(answers) => {
                    if self.read(items, answers) {
                        self.shared.owners_wanted.notify_one();
                        sleep(PAUSE).await;
                    }
                }
                Err(reason) => {
                    self.shared.calls().finish(self.key, Load::default(), items);
                    return reason;
                }
            }
        }
    }

    /// Tells what was answered to whoever waits; whether anything must go again.
    fn read(&self, items: Vec<Item<Call>>, answers: Vec<Value>) -> bool {
        let (mut done, mut again) = (Load::default(), Vec::new());
        for (item, answer) in items.into_iter().zip(answers) {
            let answer = match answer {
                Value::ServerError(error) if may_pass(&error) => {
                    again.push(item);
                    continue;
                }
                Value::ServerError(error) => {
                    warn!(server = %self.address, code = error.code(), "redis refuses a script");
                    Err(BusError)
                }
                answer => Ok(answer),
            };
            done.add(&item);
            // Whoever wanted to know may have gone.
            let _ = item.content.answer.send(answer);
        }
        let must_go_again = !again.is_empty();
        self.shared.calls().finish(self.key, done, again);
        must_go_again
    }

    /// Tells whoever waits for something that has waited too long.
    fn give_up(&self, expired: Vec<Item<Call>>) {
        if !expired.is_empty() {
            warn!(server = %self.address, calls = expired.len(), "dropped what redis has not been asked for too long");
        }
        for item in expired {
            // Whoever wanted to know may have gone.
            let _ = item.content.answer.send(Err(BusError));
        }
    }
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
