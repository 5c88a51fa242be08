//! An event handler that does what a test tells it to, and remembers everything that it was asked.
//!
//! Without instructions it agrees to get events and answers each with 204.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::within_deadline;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An event handler on a free port of the loopback interface, over HTTP/1.1 and over HTTP/2 without TLS. It is gone when
/// this is dropped.
pub struct Handler {
    address: SocketAddr,
    state: Arc<State>,
    events: AsyncMutex<mpsc::UnboundedReceiver<Arrived>>,
    server: JoinHandle<()>,
}

/// A request that the handler got.
#[derive(Clone)]
pub struct Arrived {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The version of HTTP.
    pub version: Version,
    /// Names in lower case and values, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub body: Bytes,
    /// When it was whole.
    pub at: Instant,
    fate: watch::Receiver<Fate>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Answered,
    Dropped,
}

/// What a handler answers. Without changes it has neither headers nor a body.
#[derive(Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    content: Content,
    gate: Option<Gate>,
}

#[derive(Clone)]
enum Content {
    Whole(Bytes),
    Endless,
    /// These bytes, and then the connection is lost.
    Cut(Bytes),
    /// This length is announced, and nothing comes.
    Announced(u64),
    /// The connection is lost before the answer.
    HangUp,
}

/// Holds answers back until it is opened.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

type Script = Arc<dyn Fn(&Arrived) -> Answer + Send + Sync>;

#[derive(Default)]
struct State {
    scripts: Mutex<HashMap<String, Scripts>>,
    arrived: Mutex<Vec<Arrived>>,
    connections: AtomicUsize,
}

#[derive(Default)]
struct Scripts {
    next: VecDeque<Answer>,
    usual: Option<Script>,
}

impl Handler {
    /// Starts a handler on a free port.
    pub async fn start() -> Self {
        Self::start_at(0).await
    }

    /// Starts a handler on this port.
    pub async fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let (sender, events) = mpsc::unbounded_channel();
        let server = tokio::spawn(serve(listener, Arc::clone(&state), sender));
        Self { address, state, events: AsyncMutex::new(events), server }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which may have a handler's parameters.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The answer to the next request of this kind, after those that were named before. A kind is the name of an event,
    /// or `OPTIONS` or `GET`.
    pub fn once(&self, kind: &str, answer: Answer) {
        self.scripts(kind, |scripts| scripts.next.push_back(answer));
    }

    /// The answer to all requests of this kind from now on.
    pub fn always(&self, kind: &str, answer: Answer) {
        self.by(kind, move |_| answer.clone());
    }

    /// What makes the answers to requests of this kind from now on.
    pub fn by(&self, kind: &str, script: impl Fn(&Arrived) -> Answer + Send + Sync + 'static) {
        self.scripts(kind, |scripts| scripts.usual = Some(Arc::new(script)));
    }

    /// The next event that arrives.
    ///
    /// An event that must not arrive is proved absent by a later one, which is then the next.
    pub async fn next_event(&self) -> Arrived {
        let mut events = self.events.lock().await;
        within_deadline("an event", events.recv()).await.unwrap()
    }

    /// The next event that arrives, which must have this name.
    pub async fn expect(&self, event: &str) -> Arrived {
        let arrived = self.next_event().await;
        assert_eq!(arrived.event(), event, "{arrived:?}");
        arrived
    }

    /// The next `count` events in the order of their numbers: notifications may overtake each other and other events.
    pub async fn by_number(&self, count: usize) -> Vec<Arrived> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.next_event().await);
        }
        all.sort_by_key(Arrived::id);
        all
    }

    /// The next events, which must be those of these names with numbers in this order, however they overtook each other.
    pub async fn expect_all(&self, events: &[&str]) -> Vec<Arrived> {
        let all = self.by_number(events.len()).await;
        let names: Vec<&str> = all.iter().map(Arrived::event).collect();
        assert_eq!(names, events, "{all:?}");
        all
    }

    /// All events that have arrived so far, each attempt of its own.
    pub fn events(&self) -> Vec<Arrived> {
        self.requests(|arrived| arrived.method == Method::POST)
    }

    /// All questions so far whether it wants events.
    pub fn validations(&self) -> Vec<Arrived> {
        self.requests(|arrived| arrived.method != Method::POST)
    }

    /// Waits until it has been asked this many times whether it wants events.
    pub async fn validated(&self, count: usize) {
        let asked = async {
            while self.validations().len() < count {
                tokio::task::yield_now().await;
            }
        };
        within_deadline("a validation", asked).await;
    }

    /// How many connections have been made to it.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    fn requests(&self, wanted: impl Fn(&Arrived) -> bool) -> Vec<Arrived> {
        self.state.arrived.lock().unwrap().iter().filter(|arrived| wanted(arrived)).cloned().collect()
    }

    fn scripts(&self, kind: &str, change: impl FnOnce(&mut Scripts)) {
        change(self.state.scripts.lock().unwrap().entry(kind.to_owned()).or_default());
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Arrived {
    /// The bytes of a header, named in lower case, of which there must not be two.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.headers.iter().filter(|(known, _)| known == name);
        let value = lines.next().map(|(_, value)| value.as_slice());
        assert!(lines.next().is_none(), "{name} stands there twice: {self:?}");
        value
    }

    /// The text of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.bytes(name).map(|value| str::from_utf8(value).unwrap())
    }

    /// The name of the event.
    pub fn event(&self) -> &str {
        self.header("ce-eventname").unwrap()
    }

    /// The id of the connection.
    pub fn connection_id(&self) -> &str {
        self.header("ce-connectionid").unwrap()
    }

    /// The number of the event within its connection.
    pub fn id(&self) -> u64 {
        self.header("ce-id").unwrap().parse().unwrap()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Waits until the broker has taken the request back, before it was answered.
    pub async fn cancelled(&self) {
        assert_eq!(self.ended().await, Fate::Dropped, "the request was answered");
    }

    /// Waits until the request has been answered.
    pub async fn answered(&self) {
        assert_eq!(self.ended().await, Fate::Answered, "the request was taken back");
    }

    /// Whether it is neither answered nor taken back.
    pub fn is_open(&self) -> bool {
        *self.fate.borrow() == Fate::Open
    }

    async fn ended(&self) -> Fate {
        let mut fate = self.fate.clone();
        let ended = fate.wait_for(|fate| *fate != Fate::Open);
        *within_deadline("the end of a request", ended).await.unwrap()
    }
}

impl fmt::Debug for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)?;
        for (name, value) in &self.headers {
            write!(f, "\n  {name}: {}", value.escape_ascii())?;
        }
        write!(f, "\n  {}", self.body.escape_ascii())
    }
}

impl Answer {
    /// An answer with this status.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), content: Content::Whole(Bytes::new()), gate: None }
    }

    /// 200 with a body of this type.
    pub fn body(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::untyped(body).header(CONTENT_TYPE.as_str(), content_type)
    }

    /// 200 with a body without a type.
    pub fn untyped(body: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(body.into()), ..Self::status(200) }
    }

    /// 200 with plain text.
    pub fn text(text: &str) -> Self {
        Self::body("text/plain", text.to_owned())
    }

    /// 200 with JSON.
    pub fn json(value: &Value) -> Self {
        Self::body("application/json", value.to_string())
    }

    /// 200 with a body that never ends.
    pub fn endless(content_type: &str) -> Self {
        Self { content: Content::Endless, ..Self::body(content_type, "") }
    }

    /// 200 with a body of which only the length comes.
    pub fn announced(content_type: &str, length: u64) -> Self {
        Self { content: Content::Announced(length), ..Self::body(content_type, "") }
    }

    /// 200 with a body in the middle of which the connection is lost.
    pub fn cut(content_type: &str, beginning: &'static str) -> Self {
        Self { content: Content::Cut(beginning.into()), ..Self::body(content_type, "") }
    }

    /// None: the connection is lost instead.
    pub fn hang_up() -> Self {
        Self { content: Content::HangUp, ..Self::status(200) }
    }

    /// None for ever.
    pub fn never() -> Self {
        Self::status(204).held_by(&Gate::new())
    }

    /// That the handler wants events for this origin, or for `*`.
    pub fn allowed(origin: &str) -> Self {
        Self::status(200).header("WebHook-Allowed-Origin", origin)
    }

    /// One more header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// The same with another status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same, when the gate has been opened.
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    fn response(self) -> io::Result<Response<Body>> {
        let whole = |bytes: Bytes| Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
        let mut announced = None;
        let body = match self.content {
            Content::Whole(bytes) => whole(bytes),
            Content::Endless => {
                let chunk = Bytes::from(vec![b' '; 64 << 10]);
                StreamBody::new(stream::repeat(chunk).map(|chunk| Ok(Frame::data(chunk)))).boxed_unsync()
            }
            Content::Cut(bytes) => {
                let parts = [Ok(Frame::data(bytes)), Err(io::Error::other("cut"))];
                StreamBody::new(stream::iter(parts)).boxed_unsync()
            }
            Content::Announced(length) => {
                announced = Some(length);
                StreamBody::new(stream::pending()).boxed_unsync()
            }
            Content::HangUp => return Err(io::Error::other("hang up")),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status.try_into().unwrap();
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().append(name, HeaderValue::from_bytes(&value).unwrap());
        }
        if let Some(length) = announced {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        Ok(response)
    }
}

impl Gate {
    /// A gate that is closed.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn passed(&self) {
        self.0.subscribe().wait_for(|is_open| *is_open).await.unwrap();
    }
}

impl State {
    fn answer(&self, arrived: &Arrived) -> Answer {
        let kind = match arrived.method {
            Method::POST => arrived.header("ce-eventname").unwrap_or_default().to_owned(),
            _ => arrived.method.to_string(),
        };
        let mut scripts = self.scripts.lock().unwrap();
        let usual = match scripts.get_mut(&kind) {
            None => None,
            Some(scripts) => match scripts.next.pop_front() {
                Some(answer) => return answer,
                None => scripts.usual.clone(),
            },
        };
        drop(scripts);
        match usual {
            Some(script) => script(arrived),
            None if arrived.method == Method::POST => Answer::status(204),
            None if arrived.method == Method::OPTIONS => Answer::allowed("*"),
            None => Answer::status(404),
        }
    }
}

/// Notes that a request was taken back unless it was answered before.
struct Ending(watch::Sender<Fate>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.send_if_modified(|fate| {
            let is_open = *fate == Fate::Open;
            if is_open {
                *fate = Fate::Dropped;
            }
            is_open
        });
    }
}

async fn serve(listener: TcpListener, state: Arc<State>, events: mpsc::UnboundedSender<Arrived>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let _ = socket.set_nodelay(true);
        state.connections.fetch_add(1, Ordering::Relaxed);
        let (state, events) = (Arc::clone(&state), events.clone());
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&state), events.clone()));
            // A broker that hangs up is no error of the handler's.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
    events: mpsc::UnboundedSender<Arrived>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let line = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.as_bytes().to_vec());
    let (sender, fate) = watch::channel(Fate::Open);
    let ending = Ending(sender);
    let arrived = Arrived {
        method: head.method,
        target: head.uri.path_and_query().unwrap().to_string(),
        version: head.version,
        headers: head.headers.iter().map(line).collect(),
        body,
        at: Instant::now(),
        fate,
    };
    let answer = state.answer(&arrived);
    state.arrived.lock().unwrap().push(arrived.clone());
    if arrived.method == Method::POST {
        // The test may have ended.
        let _ = events.send(arrived);
    }
    if let Some(gate) = &answer.gate {
        gate.passed().await;
    }
    ending.0.send_replace(Fate::Answered);
    answer.response()
}
