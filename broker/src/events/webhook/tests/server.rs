//! An event handler that does what a test says and remembers what it got.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// What a test says; nothing means that no answer ever comes.
type Script = Box<dyn Fn(&Seen) -> Option<Response<Body>> + Send + Sync>;

/// See the module. Ends with the test's runtime.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
}

struct State {
    answer: Script,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    /// Requests that are being answered.
    busy: AtomicUsize,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

struct Busy(Arc<State>);

impl Server {
    /// Answers events as `answer` says, with nothing meaning never; agrees to get them all.
    pub(super) async fn agreeing(
        answer: impl Fn(&Seen) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        Self::start(None, move |seen| match seen.method {
            Method::OPTIONS => Some(agreement()),
            _ => answer(seen),
        })
        .await
    }

    /// Answers everything as `answer` says, over TLS if there is an acceptor.
    pub(super) async fn start(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Seen) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            answer: Box::new(answer),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let server = Self { address, scheme, state: Arc::clone(&state) };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // What waits in the system for more to send would let the clock jump.
                socket.set_nodelay(true).unwrap();
                state.connections.fetch_add(1, Ordering::Relaxed);
                let (tls, state) = (tls.clone(), Arc::clone(&state));
                tokio::spawn(async move {
                    match tls {
                        None => serve(socket, state).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                serve(socket, state).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub(super) fn url(&self, rest: &str) -> String {
        format!("{}://{}{rest}", self.scheme, self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The events among what it got.
    pub(super) fn events(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.method == Method::POST).collect()
    }

    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    pub(super) fn busy(&self) -> usize {
        self.state.busy.load(Ordering::Relaxed)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<State>) {
    let service = service_fn(move |request| respond(request, Arc::clone(&state)));
    let server = auto::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(socket), service).await;
}

async fn respond(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Body>, Infallible> {
    state.busy.fetch_add(1, Ordering::Relaxed);
    let _busy = Busy(Arc::clone(&state));
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let seen =
        Seen { method: head.method, uri: head.uri, version: head.version, headers: head.headers, body };
    let answer = (state.answer)(&seen);
    state.seen.lock().unwrap().push(seen);
    match answer {
        Some(answer) => Ok(answer),
        None => std::future::pending().await,
    }
}

/// An answer with a whole body.
pub(super) fn answer(code: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

/// The answer of a handler that wants events.
pub(super) fn agreement() -> Response<Body> {
    let mut response = answer(204, "");
    response.headers_mut().insert("webhook-allowed-origin", "*".parse().unwrap());
    response
}

/// An answer of 200 whose body comes in pieces of unknown number; the connection is lost after them if `lost`.
pub(super) fn streamed(pieces: &'static [&'static [u8]], lost: bool) -> Response<Body> {
    let pieces = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece))));
    let end = lost.then(|| Err(io::Error::other("lost")));
    Response::new(StreamBody::new(stream::iter(pieces.chain(end))).boxed_unsync())
}
