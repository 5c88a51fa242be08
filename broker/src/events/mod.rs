//! Towards the application: who takes an event, the call that tells or asks, and what its answer means.
//!
//! The connections of a worker are the callers; no client socket is known here. What an answer means for a connection
//! is for its session to say. Source: `event-handlers.md`.

mod cookies;
mod correspondence;
mod routes;
pub mod signature;
mod watched;
pub mod webhook;

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::future::Future;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use codec::cloud_event::{self, InvalidAnswer, InvalidEvent};
use codec::event::{ConnectAnswer, Event, EventKind};
use codec::ids::HubName;
use codec::message::Content;
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};
use lru::LruCache;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use url::Url;
use uuid::Builder;

pub use correspondence::{Attaching, Correspondence};
pub use webhook::{Answer, CallError};

use crate::settings::Settings;
use crate::settings::handler::EventHandler;
use crate::telemetry::throttle::{Pass, Throttle};
use crate::telemetry::trace::Tap;
use routes::Routes;
use signature::Signatures;
use webhook::{Call, Route, WebhookClient};

/// Longest state that an application may attach to a connection, in bytes: it travels as a header, which most servers
/// do not take longer, and stays in memory as long as the connection.
const MAX_STATE: usize = 16 * 1024;
/// Hubs whose failures are logged apart from each other.
const LOGGED_HUBS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
const SIGNATURE: HeaderName = HeaderName::from_static("ce-signature");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// The events of one worker.
pub struct Events {
    webhooks: WebhookClient,
    settings: watch::Receiver<Arc<Settings>>,
    /// Notifications that are under way.
    open: Cell<usize>,
    one_done: Notify,
    /// Failures by hub, so that one hub's do not hide another's.
    failures: RefCell<LruCache<HubName, Throttle>>,
    tap: Tap,
    routes: RefCell<Routes>,
    signatures: RefCell<Signatures>,
}

/// Who takes an event, by the settings that held when that was looked up.
pub struct Taker {
    handler: Arc<EventHandler>,
    settings: Arc<Settings>,
}

/// An event with its handler, ready to be sent; or why it cannot be.
pub struct Delivery(Result<Call, Unanswered>);

/// Why an event was of no use. The client is told none of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unanswered {
    /// It cannot be written as a request.
    #[error(transparent)]
    Event(#[from] InvalidEvent),
    /// Its handler was not reached, or refused it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Its handler answered something else than it may.
    #[error(transparent)]
    Answer(#[from] InvalidAnswer),
    /// Its handler attached more to the connection than it may.
    #[error("the answer's ce-connectionState has more than 16 KiB; keep what is long elsewhere")]
    State,
}

impl Events {
    /// Events are sent by `webhooks` to the handlers that `settings` name at that time. `tap` is told of each call.
    pub fn new(webhooks: WebhookClient, settings: watch::Receiver<Arc<Settings>>, tap: Tap) -> Self {
        Self {
            webhooks,
            settings,
            open: Cell::new(0),
            one_done: Notify::new(),
            failures: RefCell::new(LruCache::new(LOGGED_HUBS)),
            tap,
            routes: RefCell::default(),
            signatures: RefCell::default(),
        }
    }

    /// Who takes such an event now, if anybody does.
    pub fn taker(&self, hub: &HubName, kind: EventKind<'_>) -> Option<Taker> {
        let settings = self.settings.borrow();
        let handler = Arc::clone(settings.hub(hub).handler(kind)?);
        Some(Taker { handler, settings: Arc::clone(&settings) })
    }

    /// Whether anybody takes events of groups, in whichever hub.
    pub fn takes_presence(&self) -> bool {
        let settings = self.settings.borrow();
        let mut handlers = settings.hubs.values().flat_map(|hub| &hub.event_handlers);
        handlers.any(|handler| handler.presence.joined || handler.presence.left)
    }

    /// Makes the request for an event that somebody takes.
    pub fn address(&self, event: &Event, taker: &Taker, correspondence: &Correspondence) -> Delivery {
        let call = self.call(event, taker, correspondence);
        if let Err(fault) = &call {
            self.log(&event.source.hub, event.what.kind().name(), fault);
        }
        Delivery(call)
    }

    fn call(
        &self,
        event: &Event,
        taker: &Taker,
        correspondence: &Correspondence,
    ) -> Result<Call, Unanswered> {
        let Event { source, what, .. } = event;
        let (name, keys) = (what.kind().name(), &taker.settings.keys);
        let route =
            self.routes.borrow_mut().of(&source.hub, &taker.handler, name, correspondence.origin())?;
        let mut headers = request_headers(event)?;
        headers.extend(self.signatures.borrow_mut().of(&source.connection_id, keys).map(|s| (SIGNATURE, s)));
        headers.extend(correspondence.cookie(&route.url).map(|cookie| (COOKIE, cookie)));
        Ok(Call { route, headers, body: cloud_event::body(what), attempts: Cell::new(0) })
    }

    /// Sends an event. Dropping the future takes it back as far as that is possible.
    ///
    /// # Errors
    /// [`Unanswered`], after all attempts.
    pub async fn send(&self, delivery: &Delivery) -> Result<Answer, Unanswered> {
        let call = delivery.0.as_ref().map_err(Unanswered::clone)?;
        let start = Instant::now();
        let result = self.webhooks.call(call).await;
        self.tap.record(|| watched::handler_called(call, start.elapsed(), &result));
        result.map_err(|error| {
            self.log_call(call, &error);
            error.into()
        })
    }

    fn log(&self, hub: &HubName, event: &str, why: &dyn Display) {
        let pass = self.failures.borrow_mut().get_or_insert_mut_ref(hub, Throttle::default).pass();
        if let Some(Pass { withheld }) = pass {
            tracing::warn!(%hub, event, withheld, "event failed: {why}");
        }
    }

    fn log_call(&self, call: &Call, why: &dyn Display) {
        let Route { hub, event, handler, .. } = &*call.route;
        self.log(hub, event, &format_args!("{}: {why}", handler.url));
    }

    /// Asks whether a client may connect, and as what.
    ///
    /// # Errors
    /// [`Unanswered`] when it may not.
    pub async fn ask_connect(&self, delivery: &Delivery) -> Result<(Answer, ConnectAnswer), Unanswered> {
        let answer = self.send(delivery).await?;
        let wishes = cloud_event::read_connect_answer(&answer.body);
        let wishes = self.understood(delivery, &answer, wishes)?;
        Ok((answer, wishes))
    }

    /// Sends a user event, and gives what its sender is to be told, if anything.
    ///
    /// # Errors
    /// [`Unanswered`], after all attempts.
    pub async fn ask_user(&self, delivery: &Delivery) -> Result<(Answer, Option<Content>), Unanswered> {
        let answer = self.send(delivery).await?;
        let reply = cloud_event::read_reply(lines(&answer.headers), answer.body.clone());
        let reply = self.understood(delivery, &answer, reply)?;
        Ok((answer, reply))
    }

    fn understood<T>(
        &self,
        delivery: &Delivery,
        answer: &Answer,
        read: Result<T, InvalidAnswer>,
    ) -> Result<T, Unanswered> {
        let is_long = |state: &str| state.len() > MAX_STATE;
        let state = cloud_event::connection_state(lines(&answer.headers));
        let read = match state.is_some_and(is_long) {
            true => Err(Unanswered::State),
            false => read.map_err(Unanswered::from),
        };
        if let (Err(fault), Ok(call)) = (&read, &delivery.0) {
            self.log_call(call, fault);
        }
        read
    }

    /// Runs a notification on its own; the worker does not end before it has ended, or the grace period is over.
    pub fn run(self: &Rc<Self>, notification: impl Future<Output = ()> + 'static) {
        let open = Open::new(Rc::clone(self));
        tokio::task::spawn_local(async move {
            notification.await;
            drop(open);
        });
    }

    /// Resolves when no notification is under way.
    pub async fn flushed(&self) {
        while self.open.get() > 0 {
            self.one_done.notified().await;
        }
    }
}

/// Counts a notification as long as it is under way.
struct Open(Rc<Events>);

impl Open {
    fn new(events: Rc<Events>) -> Self {
        events.open.set(events.open.get() + 1);
        Self(events)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.one_done.notify_one();
    }
}

impl Delivery {
    /// Where it goes, if it can go anywhere.
    pub fn url(&self) -> Option<&Url> {
        self.0.as_ref().ok().map(|call| &call.route.url)
    }
}

/// All headers that depend on the event alone.
fn request_headers(event: &Event) -> Result<HeaderMap, InvalidEvent> {
    let lines = cloud_event::headers(event)?;
    let mut headers = HeaderMap::with_capacity(lines.len() + 4);
    for (name, value) in lines {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(&value).ok());
        let (name, value) = parsed.ok_or_else(|| InvalidEvent::Header { header: name.into_owned() })?;
        headers.insert(name, value);
    }
    let id = Builder::from_random_bytes(rand::random()).into_uuid();
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    Ok(headers)
}

/// Header lines as the codec reads them.
fn lines(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}
