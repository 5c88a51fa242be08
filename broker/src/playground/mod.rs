//! The playground: a page on which a developer connects clients, sends, and watches what happens in the node.
//!
//! Its files are built in, and need no token: nothing in them is secret. The one thing that the server tells the page is
//! the trace, and only whoever may make REST calls hears it. The page signs its tokens itself, with the key that the
//! person enters; the server makes none for it. `edge` hands requests in, where the node has the playground at all.

mod files;
mod stream;

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::watch;

use self::files::File;
use crate::telemetry::trace::Tap;

/// Where the trace is.
const TRACE: &str = "/playground/trace";

/// What the page may do: run its own scripts, use its own styles, and talk to the server that it comes from, by HTTP
/// and WebSocket. Whatever a frame smuggles into it can load nothing and tell nobody.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The playground of one worker.
pub struct Playground {
    tap: Tap,
    stopping: watch::Receiver<bool>,
}

/// A path that is the playground's.
pub struct Place<'p> {
    playground: &'p Playground,
    what: What,
}

enum What {
    File(&'static File),
    Trace,
}

/// A response, by the kind of its body.
pub enum Answer {
    /// All of it is there.
    Whole(Response<Full<Bytes>>),
    /// It goes on until the caller or the node leaves.
    Stream(Response<UnsyncBoxBody<Bytes, Infallible>>),
}

impl Playground {
    /// Shows what is told to `tap`, until `stopping` turns true.
    pub fn new(tap: Tap, stopping: watch::Receiver<bool>) -> Self {
        Self { tap, stopping }
    }

    /// What is at a path, if the path is one of ours.
    pub fn at(&self, path: &str) -> Option<Place<'_>> {
        let what = if path == TRACE { What::Trace } else { What::File(files::find(path)?) };
        Some(Place { playground: self, what })
    }
}

impl Place<'_> {
    /// Answers a request. `is_admitted` is asked when something is for those alone who may make REST calls.
    pub fn answer(&self, method: &Method, is_admitted: impl FnOnce() -> bool) -> Answer {
        match (&self.what, method) {
            (What::File(file), &Method::GET | &Method::HEAD) => Answer::Whole(file_response(file)),
            (What::File(_), _) => Answer::Whole(wrong_method("GET, HEAD")),
            (What::Trace, &Method::GET) if !is_admitted() => Answer::Whole(unauthorized()),
            (What::Trace, &Method::GET) => self.playground.trace(),
            (What::Trace, _) => Answer::Whole(wrong_method("GET")),
        }
    }
}

impl Playground {
    fn trace(&self) -> Answer {
        if *self.stopping.borrow() {
            let text = "The node is being stopped.";
            return Answer::Whole(sentence(StatusCode::SERVICE_UNAVAILABLE, text));
        }
        let Some(listener) = self.tap.listen() else {
            let text = "As many pages as may are watching this node. Close one of them.";
            return Answer::Whole(sentence(StatusCode::TOO_MANY_REQUESTS, text));
        };
        let body = stream::body(listener, self.stopping.clone());
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        // Proxies that collect an answer before they pass it on would show the trace late.
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        protect(headers);
        Answer::Stream(response)
    }
}

fn file_response(file: &'static File) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(file.content));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    protect(response.headers_mut());
    response
}

fn wrong_method(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = sentence(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed here.");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn unauthorized() -> Response<Full<Bytes>> {
    let text = "The request needs a valid bearer token whose audience is the URL of the request.";
    let mut response = sentence(StatusCode::UNAUTHORIZED, text);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn sentence(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    protect(response.headers_mut());
    response
}

/// Adds what keeps a browser from doing more with an answer than it should.
fn protect(headers: &mut http::HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    // A newer server must not be used through an older page.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
