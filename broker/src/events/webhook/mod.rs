//! Calls to event handlers over HTTP: validation, limits, retries, authentication, and what to do about dead ones.
//!
//! Source: `event-handlers.md` 4, 5, 8, 15 and 16. [`Webhooks`] is what a node knows of its handlers, [`WebhookClient`]
//! makes the calls of one worker. What an event says, and what an answer means, is not known here; the dispatch of
//! events makes a [`Call`] and reads the [`Answer`].
//!
//! The way of a call: `handlers` lets it wait, `validation` makes sure that the handler wants it, it takes a place,
//! gets its token (`token`), and is sent by `transport` as often as `retry` and `breaker` say.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};

use crate::settings::handler::UpstreamAuth;
use crate::telemetry::metrics::Metrics;

pub use self::address::AddressRules;
pub use self::config::{Credentials, HandlerLimits, ProxyConfig, Secret, TokenConfig, WebhookConfig};
pub use self::error::{CallError, WebhookError};
pub use self::route::Route;
pub use self::tls::{Authorities, InvalidAuthorities};

use self::breaker::Ended;
use self::handlers::{Handler, Handlers};
use self::resolver::Lookup;
use self::token::Tokens;
use self::transport::{Outgoing, Parts, Reply, Transport};
use self::validation::Validations;

mod address;
mod breaker;
mod config;
mod error;
mod handlers;
mod resolver;
mod retry;
mod route;
pub mod tls;
mod token;
mod transport;
mod validation;

/// Under which name the broker presents itself.
const ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");

/// What all workers of a node know of its handlers: who agreed to get events, who is busy, who is left alone.
pub struct Webhooks {
    config: WebhookConfig,
    metrics: Arc<Metrics>,
    parts: Parts,
    handlers: Handlers,
    validations: Validations,
    tokens: Tokens,
}

/// Makes the calls of one worker. Its connections belong to the runtime that first used it, so that each worker needs
/// its own. Cheap to clone.
#[derive(Clone)]
pub struct WebhookClient {
    hooks: Arc<Webhooks>,
    transport: Arc<Transport>,
}

/// An event for a handler.
#[derive(Debug)]
pub struct Call {
    /// Where it goes.
    pub route: Arc<Route>,
    /// All headers but those that show who the broker is.
    pub headers: HeaderMap,
    /// The event.
    pub body: Bytes,
    /// How often it has been tried, to be 0 at the beginning.
    pub attempts: Cell<usize>,
}

/// What a handler said to an event that it accepted.
#[derive(Debug)]
pub struct Answer {
    /// 2xx.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as it came.
    pub body: Bytes,
    /// What the body takes up of the handler's room, until the answer is dropped.
    _room: Option<OwnedSemaphorePermit>,
}

/// How long to go on, and where it is noted how often it was tried.
struct Trying<'a> {
    deadline: Instant,
    attempts: &'a Cell<usize>,
}

impl Webhooks {
    /// Reads the machine's certificate authorities.
    ///
    /// # Errors
    /// [`WebhookError::Tls`] when TLS cannot be set up.
    pub fn new(config: WebhookConfig, metrics: Arc<Metrics>) -> Result<Arc<Self>, WebhookError> {
        Self::with_lookup(config, metrics, resolver::system())
    }

    fn with_lookup(
        config: WebhookConfig,
        metrics: Arc<Metrics>,
        lookup: Lookup,
    ) -> Result<Arc<Self>, WebhookError> {
        let tls = tls::client(&config.authorities).map_err(WebhookError::Tls)?;
        let rules = Arc::new(config.addresses.clone());
        Ok(Arc::new(Self {
            parts: Parts { tls, rules, lookup },
            handlers: Handlers::new(config.limits),
            validations: Validations::new(),
            tokens: Tokens::new(config.tokens.clone()),
            metrics,
            config,
        }))
    }

    /// A client for one worker.
    ///
    /// # Errors
    /// [`WebhookError::Client`] when the proxy cannot be used.
    pub fn client(self: &Arc<Self>) -> Result<WebhookClient, WebhookError> {
        let transport = Arc::new(Transport::new(&self.config, &self.parts)?);
        Ok(WebhookClient { hooks: Arc::clone(self), transport })
    }
}

impl WebhookClient {
    /// Brings an event to its handler, with as many attempts as it takes within the time for a call. Dropping the
    /// future ends the request.
    ///
    /// # Errors
    /// [`CallError`] says what the last attempt ended with, or why there was none. Nothing has been logged above the
    /// level of debugging then, but for failed validations and handlers that are left alone.
    pub async fn call(&self, call: &Call) -> Result<Answer, CallError> {
        let Route { hub, event, .. } = &*call.route;
        let mut counted = self.hooks.metrics.handler_calls(hub.as_str()).begin();
        let deadline = Instant::now() + self.hooks.config.timeout;
        let answer = timeout_at(deadline, self.deliver(call, deadline)).await;
        let answer = answer.unwrap_or(Err(CallError::TimedOut));
        if let Err(error) = &answer {
            tracing::debug!(%hub, event, "{error}");
        }
        counted.outcome = answer.as_ref().map_or_else(CallError::reason, |_| "succeeded");
        answer
    }

    async fn deliver(&self, call: &Call, deadline: Instant) -> Result<Answer, CallError> {
        let route = &call.route;
        let calls = self.hooks.metrics.handler_calls(route.hub.as_str());
        let handler = self.hooks.handlers.get(route);
        let ticket = handler.enter(call.body.len())?;
        let waiting = calls.waiting();
        self.validate(route, &handler).await?;
        let place = handler.place(ticket).await?;
        drop(waiting);
        let _under_way = (place, calls.in_flight());
        let request = self.request(call, &handler).await?;
        self.persist(&request, &handler, Trying { deadline, attempts: &call.attempts }).await
    }

    async fn validate(&self, route: &Route, handler: &Arc<Handler>) -> Result<(), CallError> {
        let ask = || {
            let (transport, handler) = (Arc::clone(&self.transport), Arc::clone(handler));
            let (url, origin) = (route.validation.clone(), route.origin.clone());
            async move {
                let result = validation::ask(&transport, url, origin).await;
                result.inspect_err(|error| handler.warn_unwilling(error))
            }
        };
        self.hooks.validations.ensure(&route.consent_key, ask).await
    }

    /// The request, the same for all attempts.
    async fn request(&self, call: &Call, handler: &Handler) -> Result<Outgoing, CallError> {
        let mut headers = call.headers.clone();
        headers.insert(ORIGIN, call.route.origin.clone());
        match &call.route.handler.auth {
            UpstreamAuth::None => {}
            UpstreamAuth::Header { name, value } => {
                let mut value = value.clone();
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            UpstreamAuth::Token { resource } => {
                let token = self.hooks.tokens.get(resource.as_deref(), &self.transport).await?;
                headers.insert(header::AUTHORIZATION, token);
            }
        }
        let answer_bytes = self.hooks.config.answer_bytes;
        let body = call.body.clone();
        let url = call.route.url.clone();
        let room = Some(handler.room());
        Ok(Outgoing { method: Method::POST, url, headers, body, answer_bytes, room })
    }

    async fn persist(
        &self,
        request: &Outgoing,
        handler: &Handler,
        trying: Trying<'_>,
    ) -> Result<Answer, CallError> {
        let mut last = CallError::CircuitOpen;
        for number in 0.. {
            // When the handler is left alone between two attempts, the last failure says more than that.
            let Some(attempt) = handler.attempt() else {
                break;
            };
            trying.attempts.set(number + 1);
            let result = timeout_at(trying.deadline, self.transport.send(request)).await;
            let result = result.unwrap_or(Err(CallError::TimedOut));
            attempt.ended(ended(&result));
            last = match result {
                Ok(Reply { status, headers, body, room }) if status.is_success() => {
                    return Ok(Answer { status, headers, body, _room: room });
                }
                Ok(reply) => CallError::Status(reply.status),
                Err(error) => error,
            };
            let Some(wait) = retry::wait_after(number, &last) else {
                break;
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = handler.opened() => break,
            }
        }
        Err(last)
    }
}

/// What an attempt says about the handler's health. One that refuses an event is well.
fn ended(result: &Result<Reply, CallError>) -> Ended {
    match result {
        Ok(Reply { status, .. }) => match *status {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                Ended::Failed
            }
            _ => Ended::Answered,
        },
        Err(CallError::Unreachable(_) | CallError::TimedOut) => Ended::Failed,
        Err(CallError::AnswerTooLarge(_)) => Ended::Answered,
        Err(_) => Ended::Unknown,
    }
}

#[cfg(test)]
mod tests;
