//! What this node knows of each handler of each hub: how many calls it has, how many wait, and whether it is left
//! alone. Nothing is shared between hubs, so that one hub's dead handler costs no other hub anything.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codec::ids::HubName;
use lru::LruCache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use url::Url;

use super::breaker::{Breaker, Change, Ended, Pass};
use super::config::HandlerLimits;
use super::{CallError, Route};

/// Handlers that are remembered. There are as many as settings name; those of settings that have gone leave in time.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);
/// What a call that waits weighs beside its body: headers, names and what the runtime needs.
const CALL_WEIGHT: usize = 1024;
/// Shortest time between two warnings about one handler.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(1);

/// All handlers.
pub(super) struct Handlers {
    limits: HandlerLimits,
    known: Mutex<LruCache<String, Arc<Handler>>>,
}

/// One handler of one hub.
pub(super) struct Handler {
    hub: HubName,
    /// Scheme, host and port, for the log.
    origin: String,
    limits: HandlerLimits,
    places: Arc<Semaphore>,
    /// A permit for each byte of long answers.
    room: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    breaker: Mutex<Breaker>,
    /// Whether it is left alone.
    open: watch::Sender<bool>,
    warned: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Waiting {
    calls: usize,
    bytes: usize,
}

/// A call that waits, counted until it is dropped.
pub(super) struct Ticket {
    handler: Arc<Handler>,
    bytes: usize,
}

/// An attempt under way. Dropping it says that nobody waited for its end.
pub(super) struct Attempt<'a> {
    handler: &'a Handler,
    pass: Pass,
    ended: Ended,
}

impl Handlers {
    pub(super) fn new(limits: HandlerLimits) -> Self {
        Self { limits, known: Mutex::new(LruCache::new(REMEMBERED)) }
    }

    /// The handler of a route.
    pub(super) fn get(&self, route: &Route) -> Arc<Handler> {
        let fresh = || Arc::new(Handler::new(&route.hub, &route.validation, self.limits));
        Arc::clone(locked(&self.known).get_or_insert_ref(&route.handler_key, fresh))
    }
}

impl Handler {
    fn new(hub: &HubName, validation: &Url, limits: HandlerLimits) -> Self {
        Self {
            hub: hub.clone(),
            origin: validation.origin().ascii_serialization(),
            limits,
            places: Arc::new(Semaphore::new(limits.calls.min(Semaphore::MAX_PERMITS))),
            room: Arc::new(Semaphore::new(limits.answer_room)),
            waiting: Mutex::default(),
            breaker: Mutex::default(),
            open: watch::Sender::new(false),
            warned: Mutex::new(None),
        }
    }

    /// Lets a call wait, if that many may and the handler is not left alone.
    pub(super) fn enter(self: &Arc<Self>, body: usize) -> Result<Ticket, CallError> {
        if locked(&self.breaker).is_open(Instant::now()) {
            return Err(CallError::CircuitOpen);
        }
        let bytes = body.saturating_add(CALL_WEIGHT);
        let mut waiting = locked(&self.waiting);
        // One call may wait however large it is: it would never have its turn otherwise.
        let fits = waiting.calls == 0 || waiting.bytes.saturating_add(bytes) <= self.limits.waiting_bytes;
        if waiting.calls >= self.limits.waiting_calls || !fits {
            return Err(CallError::Overloaded);
        }
        waiting.calls += 1;
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        drop(waiting);
        Ok(Ticket { handler: Arc::clone(self), bytes })
    }

    /// Waits for a place among the calls under way, first come, first served. Gives up when the handler is left alone.
    pub(super) async fn place(&self, ticket: Ticket) -> Result<OwnedSemaphorePermit, CallError> {
        let place = tokio::select! {
            biased;
            place = Arc::clone(&self.places).acquire_owned() => place,
            () = self.opened() => return Err(CallError::CircuitOpen),
        };
        drop(ticket);
        // The semaphore is never closed.
        place.map_err(|_| CallError::Overloaded)
    }

    /// The room that long answers share.
    pub(super) fn room(&self) -> Arc<Semaphore> {
        Arc::clone(&self.room)
    }

    /// Asks for an attempt. Nothing means that the handler is left alone.
    pub(super) fn attempt(&self) -> Option<Attempt<'_>> {
        let pass = locked(&self.breaker).admit(Instant::now())?;
        Some(Attempt { handler: self, pass, ended: Ended::Unknown })
    }

    /// Ends when the handler is left alone.
    pub(super) async fn opened(&self) {
        // The sender lives as long as `self`.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// Says in the log that it does not agree to get events: a warning, or less when there was one just now.
    pub(super) fn warn_unwilling(&self, error: &CallError) {
        let now = Instant::now();
        let mut warned = locked(&self.warned);
        let (hub, handler) = (self.hub.as_str(), self.origin.as_str());
        if warned.is_some_and(|last| now < last + BETWEEN_WARNINGS) {
            tracing::debug!(hub, handler, "{error}");
            return;
        }
        *warned = Some(now);
        drop(warned);
        tracing::warn!(hub, handler, "{error}");
    }

    fn ended(&self, pass: Pass, ended: Ended) {
        let mut breaker = locked(&self.breaker);
        let change = breaker.ended(pass, ended, Instant::now());
        let (hub, handler) = (self.hub.as_str(), self.origin.as_str());
        // Told under the lock, so that the last change is the last word.
        match change {
            Change::None => {}
            Change::Opened => {
                self.open.send_replace(true);
                tracing::warn!(
                    hub,
                    handler,
                    "the event handler fails every time; it is left alone for a moment"
                );
            }
            Change::Closed => {
                self.open.send_replace(false);
                tracing::warn!(hub, handler, "the event handler works again");
            }
        }
    }
}

impl Attempt<'_> {
    pub(super) fn ended(mut self, ended: Ended) {
        self.ended = ended;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.handler.ended(self.pass, self.ended);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut waiting = locked(&self.handler.waiting);
        waiting.calls -= 1;
        waiting.bytes = waiting.bytes.saturating_sub(self.bytes);
    }
}

/// Nothing in here is left half done by a panic.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
