//! One request to an event handler and its answer, over a connection of HTTP/1.1 or HTTP/2.

use std::error::Error as _;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use super::report::Failure;

/// Longest body of an answer, in bytes: the longest that a node takes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What HTTP can be spoken over.
pub(super) trait Socket: Read + Write + Unpin + Send + 'static {}

impl<T: Read + Write + Unpin + Send + 'static> Socket for T {}

/// A connection that takes one request after the other.
pub(super) struct Exchange {
    sender: Sender,
    /// Drives the connection, and ends with it. Nothing once its end has been looked at.
    task: Option<JoinHandle<hyper::Result<()>>>,
    limit: Duration,
    has_answered: bool,
    was_lost: bool,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// From the first byte of the request to the last of the answer.
    pub(super) took: Duration,
}

impl Exchange {
    /// Speaks HTTP/1.1 over an open socket. `limit` is the longest time for a request with its answer.
    pub(super) async fn http1(socket: impl Socket, limit: Duration) -> Result<Self, Failure> {
        let (sender, connection) = http1::handshake(socket).await.map_err(|error| failure(&error, limit))?;
        let task = Some(tokio::spawn(connection));
        Ok(Self { sender: Sender::Http1(sender), task, limit, has_answered: false, was_lost: false })
    }

    /// The same for HTTP/2.
    pub(super) async fn http2(socket: impl Socket, limit: Duration) -> Result<Self, Failure> {
        let handshake = http2::handshake(TokioExecutor::new(), socket).await;
        let (sender, connection) = handshake.map_err(|error| failure(&error, limit))?;
        let task = Some(tokio::spawn(connection));
        Ok(Self { sender: Sender::Http2(sender), task, limit, has_answered: false, was_lost: false })
    }

    /// Whether an answer has come over it.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Whether it was closed instead of an answer to the last request.
    pub(super) fn was_lost(&self) -> bool {
        self.was_lost
    }

    /// Sends a request, and waits for the whole answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let limit = self.limit;
        match timeout(limit, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::new(
                format!("no answer in {limit:?}"),
                "The application accepts connections but does not answer. Is it busy, waiting for something else, or \
                 stopped in a debugger? --timeout waits longer.",
            )),
        }
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let started = Instant::now();
        let response = match self.sender.send(request).await {
            Ok(response) => response,
            Err(error) => return Err(self.lost(error).await),
        };
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
            let advice = "An answer may have up to 16 MiB, and must be as long as it says.";
            Failure::new(format!("the answer {} broke off: {error}", parts.status.as_u16()), advice)
        })?;
        self.has_answered = true;
        let body = body.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body, took: started.elapsed() })
    }
}

impl Exchange {
    /// Why there is no answer. A connection that ended before it took the request knows better than the sender.
    async fn lost(&mut self, error: hyper::Error) -> Failure {
        self.was_lost = error.is_closed() || error.is_canceled() || error.is_incomplete_message();
        let ended = match self.task.take_if(|_| error.is_closed() || error.is_canceled()) {
            Some(task) => task.await.ok().and_then(Result::err),
            None => None,
        };
        failure(&ended.unwrap_or(error), self.limit)
    }
}

impl Sender {
    async fn send(&mut self, mut request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
                *request.uri_mut() = target.parse().unwrap_or_default();
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                // The URI says it.
                request.headers_mut().remove(header::HOST);
                sender.send_request(request).await
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// A request to a URL, with its `Host`.
pub(super) fn request(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Failure> {
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let uri = Uri::try_from(url.as_str()).ok();
    let Some((host, uri)) = HeaderValue::try_from(host).ok().zip(uri) else {
        return Err(Failure::new("the URL cannot be sent as HTTP", "Check it for odd characters."));
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}

fn failure(error: &hyper::Error, limit: Duration) -> Failure {
    // A request that was never sent is canceled, and the connection's own error is behind that.
    let error = error.source().and_then(|cause| cause.downcast_ref()).unwrap_or(error);
    let cause = error.source();
    let was_closed = error.is_closed() || error.is_canceled() || error.is_incomplete_message();
    if !was_closed && !cause.is_some_and(|cause| cause.is::<io::Error>()) {
        return Failure::new(
            format!("what came back is not an answer of HTTP: {error}"),
            "Another program may be listening on this port. If it speaks TLS, the URL must begin with https://.",
        );
    }
    let cause = cause.map_or(String::new(), |cause| format!(" ({cause})"));
    Failure::new(
        format!("the connection was closed before an answer came{cause}"),
        format!(
            "The application, or something in front of it, closed the connection within {limit:?}: look into its log. \
             If it speaks TLS, the URL must begin with https://."
        ),
    )
}
