//! One HTTP request and its answer: connections, TLS, proxies, limits of size. No retries, no memory of handlers.
//!
//! Three clients, because `reqwest` decides these things for a client and not for a request: one that connects itself
//! and asks `resolver` for every address, one that speaks HTTP/2 without TLS, and one whose every request goes to a
//! proxy. The proxy looks names up itself, and its own address is the operator's choice, so that one is not guarded.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, Response, redirect};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::rustls;
use url::Url;

use super::address::{AddressRules, literal};
use super::config::{ProxyConfig, WebhookConfig};
use super::resolver::{Guarded, Lookup, NonePermitted};
use super::{CallError, WebhookError};

/// Longest time until a connection, with its TLS, is there.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);
/// How often a connection that several requests share is asked whether it is still there.
const PING: Duration = Duration::from_secs(10);
/// Longest body of a failure that is read, so that its connection can be used again.
const DISCARDED: u64 = 64 * 1024;
/// Longest time for that.
const DISCARDING: Duration = Duration::from_secs(1);
/// Longest body of a success that needs no room, in bytes.
const SHORT: usize = 64 * 1024;
/// Longest explanation of a failed connection, in characters.
const DETAIL: usize = 200;

/// What the clients of all workers are made with.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) tls: rustls::ClientConfig,
    pub(super) rules: Arc<AddressRules>,
    pub(super) lookup: Lookup,
}

/// The connections of one worker.
pub(super) struct Transport {
    direct: Client,
    h2c: Option<H2c>,
    proxied: Option<Proxied>,
    rules: Arc<AddressRules>,
}

struct H2c {
    origins: Vec<String>,
    client: Client,
}

struct Proxied {
    matcher: Matcher,
    client: Client,
}

/// A request. Sent as it is, with nothing added but `Host`, `Content-Length` and `Accept: */*`.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Most bytes of the answer's body.
    pub(super) answer_bytes: usize,
    /// Room for the bodies of long answers, which all answers of the handler share: a permit for each byte. Nothing
    /// where no answer may be long.
    pub(super) room: Option<Arc<Semaphore>>,
}

/// An answer with any status. Only a success has a body.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What a long body takes up of the room, until it is dropped.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl Transport {
    pub(super) fn new(config: &WebhookConfig, parts: &Parts) -> Result<Self, WebhookError> {
        let guard = || Guarded { rules: Arc::clone(&parts.rules), lookup: Arc::clone(&parts.lookup) };
        let build = |builder: ClientBuilder| builder.build().map_err(WebhookError::Client);
        let direct = || builder(&parts.tls).no_proxy().dns_resolver(guard());
        let h2c = match config.h2c.as_slice() {
            [] => None,
            origins => {
                Some(H2c { origins: origins.to_vec(), client: build(direct().http2_prior_knowledge())? })
            }
        };
        let proxied = match &config.proxy {
            ProxyConfig::Direct => None,
            ProxyConfig::Environment => {
                Some(Proxied { matcher: Matcher::from_system(), client: build(builder(&parts.tls))? })
            }
            ProxyConfig::Via { url, except } => {
                let except = except.join(",");
                let matcher = Matcher::builder().all(url.as_str().to_owned()).no(except.clone()).build();
                let proxy = Proxy::all(url.clone()).map_err(WebhookError::Client)?;
                let proxy = proxy.no_proxy(NoProxy::from_string(&except));
                Some(Proxied { matcher, client: build(builder(&parts.tls).proxy(proxy))? })
            }
        };
        Ok(Self { direct: build(direct())?, h2c, proxied, rules: Arc::clone(&parts.rules) })
    }

    /// Sends a request and reads the answer. Dropping the future ends both.
    pub(super) async fn send(&self, request: &Outgoing) -> Result<Reply, CallError> {
        if literal(&request.url).is_some_and(|address| !self.rules.permit(address)) {
            return Err(CallError::AddressRefused);
        }
        let response = self.client(&request.url).execute(prepared(request)).await.map_err(|e| fault(&e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let (body, room) = match status.is_success() {
            true => read(response, request).await?,
            false => {
                discard(response).await;
                (Bytes::new(), None)
            }
        };
        Ok(Reply { status, headers, body, room })
    }

    fn client(&self, url: &Url) -> &Client {
        if let Some(h2c) = &self.h2c
            && h2c.origins.contains(&url.origin().ascii_serialization())
        {
            return &h2c.client;
        }
        let goes_by = |proxied: &&Proxied| {
            !is_this_machine(url)
                && url.as_str().parse::<Uri>().is_ok_and(|uri| proxied.matcher.intercept(&uri).is_some())
        };
        self.proxied.as_ref().filter(goes_by).map_or(&self.direct, |proxied| &proxied.client)
    }
}

/// What all three clients have in common.
fn builder(tls: &rustls::ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
}

fn prepared(request: &Outgoing) -> reqwest::Request {
    let mut prepared = reqwest::Request::new(request.method.clone(), request.url.clone());
    *prepared.headers_mut() = request.headers.clone();
    if request.method == Method::POST {
        // Also where the body is empty: some handlers wait for its end otherwise.
        prepared.headers_mut().insert(header::CONTENT_LENGTH, request.body.len().into());
        *prepared.body_mut() = Some(request.body.clone().into());
    }
    prepared
}

/// A proxy would take these names for its own.
fn is_this_machine(url: &Url) -> bool {
    match literal(url) {
        Some(address) => address.is_loopback(),
        None => url.host_str() == Some("localhost"),
    }
}

/// Reads a body. One that is not short must find room among the others, or fails: many handlers' worth of answers at
/// once would be more than a node has.
async fn read(
    mut response: Response,
    request: &Outgoing,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), CallError> {
    let limit = request.answer_bytes;
    let too_large = CallError::AnswerTooLarge(limit);
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large);
    }
    let mut body = BytesMut::new();
    let mut room: Option<OwnedSemaphorePermit> = None;
    while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
        let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if let Some(shared) = &request.room
            && body.len() > SHORT.max(held)
        {
            let more = u32::try_from(body.len() - held).unwrap_or(u32::MAX);
            let more = Arc::clone(shared).try_acquire_many_owned(more);
            let more = more.map_err(|_| CallError::Overloaded)?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
        }
    }
    Ok((body.freeze(), room))
}

/// Reads a short body to its end; drops the connection of a long one.
async fn discard(mut response: Response) {
    if response.content_length().is_some_and(|length| length <= DISCARDED) {
        // Whatever is wrong with it, the status is known.
        let _ = timeout(DISCARDING, async { while let Ok(Some(_)) = response.chunk().await {} }).await;
    }
}

fn fault(error: &reqwest::Error) -> CallError {
    let mut innermost: &dyn std::error::Error = error;
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<NonePermitted>() {
            return CallError::AddressRefused;
        }
        innermost = cause;
        source = cause.source();
    }
    if error.is_builder() {
        return CallError::InvalidRequest("the URL or a header");
    }
    if error.is_timeout() {
        return CallError::Unreachable("no connection within 10 seconds".into());
    }
    // The outermost error shows the URL with its query, so it is never shown.
    let text = match error.source() {
        Some(_) => innermost.to_string(),
        None => "the connection failed".to_owned(),
    };
    let detail: String = text.chars().filter(|c| !c.is_control()).take(DETAIL).collect();
    CallError::Unreachable(detail.into())
}
