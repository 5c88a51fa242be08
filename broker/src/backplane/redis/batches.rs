//! Sends what is queued for one server: one connection, one batch in flight, the next batch is what was queued meanwhile.
//!
//! A batch that is not answered goes again after the next connection, unchanged and before anything else. `publisher` and
//! `caller` say what a batch is made of and what becomes of it.

use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use redis::{Pipeline, RedisResult, ServerError, ServerErrorKind, Value, cmd};
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::connection::Connection;
use super::link::Link;
use super::outbox::{Batch, Item, Load, Outbox};

/// Longest time until a batch is answered.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// With nothing to send, the server is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(1);
/// Wait before something goes again that the server cannot take just now.
const PAUSE: Duration = Duration::from_millis(20);

/// What goes to a server in batches.
pub(super) trait Batches {
    /// One of what a batch holds.
    type Content;

    /// Where it goes.
    fn link(&self) -> &Link;

    /// Where it waits.
    fn queue(&self) -> MutexGuard<'_, Outbox<Self::Content>>;

    /// One command for each item.
    fn pipeline(items: &[Item<Self::Content>]) -> Pipeline;

    /// Tells what was answered to whoever waits, and ends the batch; whether anything must go again.
    fn read(&self, items: Vec<Item<Self::Content>>, answers: Vec<Value>) -> bool;

    /// The answer is lost: nobody knows whether these have been done.
    fn doubt(_items: &mut [Item<Self::Content>]) {}

    /// Tells whoever waits for something that has waited too long.
    fn give_up(&self, expired: Vec<Item<Self::Content>>);
}

/// Sends until the connection is lost; says why it is.
pub(super) async fn send<B: Batches>(batches: &B, mut connection: Connection) -> String {
    let Link { shared, key, wake, .. } = batches.link();
    loop {
        let Batch { mut items, expired } = batches.queue().take(*key, Instant::now());
        batches.give_up(expired);
        if items.is_empty() {
            if timeout(PING_EVERY, wake.notified()).await.is_err()
                && let Err(reason) = answer(connection.ask(&cmd("PING"))).await
            {
                return reason;
            }
            continue;
        }
        match answer(connection.ask_all(&B::pipeline(&items))).await {
            Ok(answers) => {
                if batches.read(items, answers) {
                    shared.owners_wanted.notify_one();
                    sleep(PAUSE).await;
                }
            }
            Err(reason) => {
                B::doubt(&mut items);
                batches.queue().finish(*key, Load::default(), items);
                return reason;
            }
        }
    }
}

/// Waits before the next attempt to connect, as long as that should be.
pub(super) async fn pause<B: Batches>(batches: &B, backoff: &mut Backoff) {
    let Link { shared, key, .. } = batches.link();
    shared.owners_wanted.notify_one();
    let expired = batches.queue().expire(*key, Instant::now());
    batches.give_up(expired);
    sleep(backoff.next()).await;
}

/// The answer, or why there is none.
async fn answer<T>(asking: impl Future<Output = RedisResult<T>>) -> Result<T, String> {
    match timeout(ANSWER_TIME, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// Whether the server, or another one, is going to take the same command soon.
pub(super) fn may_pass(error: &ServerError) -> bool {
    match error.kind() {
        Some(
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly,
        ) => true,
        _ => matches!(error.code(), "OOM" | "BUSY" | "MISCONF" | "NOREPLICAS"),
    }
}
