//! From a client's HTTP request to a connection: judge it, switch protocols, attach it to the hub.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use sha1::{Digest, Sha1};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use codec::event::{EventKind, Source, What};
use codec::ids::ConnectionId;

use super::admission::{self, Admission, Circumstances, Guest, Recovering, Refusal};
use super::asking::{self, Rejection};
use super::connection::{self, Arrival, Connection};
use super::connections::{Capacity, Connections, Permit};
use super::recovery::{self, Desks, Reservation, Unreachable};
use super::socket::Socket;
use crate::auth::audience::{Origins, Peer, RequestOrigin};
use crate::events::{Attaching, Correspondence};
use crate::hub::{MemberKey, NewMember};
use crate::model::close::CloseReason;
use crate::model::command::{Target, Topic};
use crate::router::{Expected, Pending};
use crate::session::{Opening, Session};
use crate::settings::Settings;
use crate::telemetry::metrics::ConnectOutcome;
use crate::telemetry::throttle::{Pass, Throttle};

/// What RFC 6455 has a server add to the client's key.
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Longest name of a host (RFC 1035, 2.3.4).
const MAX_HOST: usize = 255;
/// Seconds after which a refused client should try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Admits the clients of one worker.
pub struct Handshake {
    /// The worker's connections.
    pub connections: Rc<Connections>,
    /// Which origins a token may name.
    pub origins: Origins,
    /// Keys and hub settings as they are now.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// Where clients that come back find their connections.
    pub desks: Desks,
    /// How many connections the node may still take.
    pub capacity: Arc<Capacity>,
    /// Turns true when the node is to stop.
    pub stopping: watch::Receiver<bool>,
    /// Host that the last client knew us by.
    pub last_host: RefCell<Arc<str>>,
    /// Refusals, which anybody can cause.
    pub refusals: Throttle,
}

/// A client that will be a connection as soon as it has taken the answer.
struct Newcomer {
    guest: Guest,
    connection_id: ConnectionId,
    correspondence: Correspondence,
    keep_alive: u8,
    permit: Permit,
    /// What is watched before the client has its answer, if it takes that for the start.
    expected: Option<Expected>,
}

impl Handshake {
    /// Answers a request to the client endpoint whose path, without the endpoint's prefix, is `path`. When it is
    /// admitted, the connection starts once the answer has been written.
    pub async fn handle(
        self: &Rc<Self>,
        mut request: Request<Incoming>,
        path: &str,
        peer: Peer,
    ) -> Response<Full<Bytes>> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (head, _) = request.into_parts();
        let key = head.headers.get(header::SEC_WEBSOCKET_KEY).cloned();
        let key = key.as_ref().map_or(&[][..], HeaderValue::as_bytes);
        match self.judge(&head, path, peer) {
            Err(refusal) => self.refuse(&refusal),
            Ok(Admission::Recover(recovering)) => match self.reserve(&recovering).await {
                Ok(Some(reservation)) => {
                    let name = reservation.subprotocol.name();
                    let spelling = asking::offers(&head).find(|offer| offer.eq_ignore_ascii_case(name));
                    let response = switch(key, Some(spelling.unwrap_or(name)));
                    tokio::task::spawn_local(Rc::clone(self).recover(upgrade, Some(reservation)));
                    response
                }
                Ok(None) => {
                    tokio::task::spawn_local(Rc::clone(self).recover(upgrade, None));
                    switch(key, recovering.spelling.as_deref())
                }
                Err(response) => *response,
            },
            Ok(Admission::Connect(guest)) => match self.receive(*guest, &head, peer).await {
                Ok(newcomer) => {
                    let response = switch(key, newcomer.guest.spelling.as_deref());
                    tokio::task::spawn_local(Rc::clone(self).start(upgrade, newcomer));
                    response
                }
                Err(response) => *response,
            },
        }
    }

    fn judge(&self, head: &Parts, path: &str, peer: Peer) -> Result<Admission, Refusal> {
        let settings = self.settings.borrow().clone();
        let circumstances = Circumstances {
            origins: &self.origins,
            settings: &settings,
            origin: &peer.origin(head),
            now: unix_time(),
        };
        admission::admit(head, path, &circumstances)
    }

    /// The connection that a client wants to take up again, if there is one for it; or the answer that makes it try
    /// again.
    async fn reserve(&self, wish: &Recovering) -> Result<Option<Reservation>, Box<Response<Full<Bytes>>>> {
        self.check_stopping()?;
        let Some(id) = wish.connection_id.as_ref().filter(|id| id.node().is_some()) else {
            return Ok(None);
        };
        self.desks.reserve(wish.hub.clone(), id.clone()).await.map_err(|Unreachable| {
            self.count(ConnectOutcome::ServiceFault);
            let text = "The connection cannot be reached now. Try again.";
            Box::new(later(StatusCode::SERVICE_UNAVAILABLE, text))
        })
    }

    /// Brings the socket of a client that comes back to its connection, or tells the client that there is none.
    async fn recover(self: Rc<Self>, upgrade: OnUpgrade, reservation: Option<Reservation>) {
        let Some((socket, first)) = self.upgraded(upgrade).await else {
            return;
        };
        match reservation {
            Some(reservation) => reservation.redeem(&self.connections, socket, first).await,
            None => recovery::refuse(&self.connections, socket).await,
        }
    }

    /// The socket, once the client has taken the answer. One that does not take it must not keep its place.
    async fn upgraded(&self, upgrade: OnUpgrade) -> Option<(Socket, Vec<u8>)> {
        let upgraded = tokio::time::timeout(self.connections.config.handshake_timeout, upgrade).await;
        upgraded.ok().and_then(Result::ok).and_then(socket)
    }

    /// Gives a client that may connect its place, its id, and what the application says of it; or the answer that it
    /// gets instead.
    async fn receive(
        &self,
        guest: Guest,
        head: &Parts,
        peer: Peer,
    ) -> Result<Newcomer, Box<Response<Full<Bytes>>>> {
        self.check_stopping()?;
        // A place is taken after the question only: clients of a hub whose handler hangs would take all of them.
        drop(self.place()?);
        let router = &self.connections.router;
        let connection_id = ConnectionId::new(rand::random(), router.worker() as u8, router.node());
        let mut correspondence = Correspondence::new(self.host(&peer.origin(head)));
        let asked = self.ask(guest, head, &connection_id, &mut correspondence).await;
        let guest = asked.map_err(|rejection| Box::new(self.reject(&rejection)))?;
        // Asking may have taken long.
        self.check_stopping()?;
        let permit = self.place()?;
        let keep_alive = self.settings.borrow().hub(&guest.hub).keep_alive_interval.as_secs();
        let keep_alive = u8::try_from(keep_alive).unwrap_or(u8::MAX);
        correspondence.agreed(guest.agreed());
        let expected = match guest.subprotocol {
            Some(_) => None,
            None => {
                let own = Topic { hub: guest.hub.clone(), target: Target::Connection(connection_id.clone()) };
                let own = router.is_durable(&guest.hub).then_some(own);
                Some(router.expect(topics(&guest).into_iter().chain(own).collect()).await)
            }
        };
        Ok(Newcomer { guest, connection_id, correspondence, keep_alive, permit, expected })
    }

    /// One of the connections that the node may have.
    fn place(&self) -> Result<Permit, Box<Response<Full<Bytes>>>> {
        self.capacity.take().ok_or_else(|| {
            self.count(ConnectOutcome::TooManyConnections);
            if let Some(Pass { withheld }) = self.refusals.pass() {
                tracing::warn!(withheld, "connection count reaches limit");
            }
            let text = "The service has as many connections as it may have. Try again later.";
            Box::new(later(StatusCode::TOO_MANY_REQUESTS, text))
        })
    }

    fn check_stopping(&self) -> Result<(), Box<Response<Full<Bytes>>>> {
        if !*self.stopping.borrow() {
            return Ok(());
        }
        self.count(ConnectOutcome::NodeStopping);
        Err(Box::new(later(StatusCode::SERVICE_UNAVAILABLE, "The node is being stopped. Connect again.")))
    }

    /// Asks the application, if it wants to be asked. A client that hangs up takes the question back.
    async fn ask(
        &self,
        guest: Guest,
        head: &Parts,
        connection_id: &ConnectionId,
        correspondence: &mut Correspondence,
    ) -> Result<Guest, Rejection> {
        let events = &self.connections.events;
        let Some(taker) = events.taker(&guest.hub, EventKind::Connect) else {
            return Ok(guest);
        };
        let source = Source {
            hub: guest.hub.clone(),
            connection_id: connection_id.clone(),
            user_id: guest.claims.user_id.clone(),
            subprotocol: None,
            connection_state: None,
        };
        let what = What::Connect(Box::new(asking::request(head, &guest)));
        let event = correspondence.first(source, what);
        let delivery = events.address(&event, &taker, correspondence);
        let (answer, wishes) = events.ask_connect(&delivery).await?;
        correspondence.learn(&delivery, &answer, Attaching::CookiesAndState);
        asking::apply(wishes, guest, head)
    }

    /// The client's name for us, shared by the connections of the worker that use the same. What is too long for a
    /// name is none: connections keep it, and so does what is known of handlers' consent.
    fn host(&self, origin: &RequestOrigin<'_>) -> Arc<str> {
        let mut host = self.origins.public_host(origin);
        if host.len() > MAX_HOST {
            host.clear();
        }
        let mut last = self.last_host.borrow_mut();
        if **last != *host {
            *last = host.into();
        }
        Arc::clone(&last)
    }

    fn reject(&self, rejection: &Rejection) -> Response<Full<Bytes>> {
        self.count(match rejection {
            Rejection::ByHandler(_) => ConnectOutcome::Rejected,
            Rejection::NoAnswer => ConnectOutcome::EventHandlerFailed,
        });
        self.log_refusal(rejection.status(), rejection);
        let mut response = Response::new(Full::from(rejection.body()));
        *response.status_mut() = rejection.status();
        response
    }

    fn refuse(&self, refusal: &Refusal) -> Response<Full<Bytes>> {
        let is_unauthorized = refusal.status() == StatusCode::UNAUTHORIZED;
        if let Some(fault) = refusal.token_fault() {
            self.connections.metrics.auth_failure(fault);
        }
        self.count(if is_unauthorized { ConnectOutcome::Unauthorized } else { ConnectOutcome::BadRequest });
        self.log_refusal(refusal.status(), refusal);
        let mut response = Response::new(Full::from(refusal.body()));
        *response.status_mut() = refusal.status();
        if is_unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn log_refusal(&self, status: StatusCode, why: &dyn std::fmt::Display) {
        if let Some(Pass { withheld }) = self.refusals.pass() {
            tracing::info!(status = status.as_u16(), withheld, "client refused: {why}");
        }
    }

    fn count(&self, outcome: ConnectOutcome) {
        self.connections.metrics.connect(outcome);
    }

    async fn start(self: Rc<Self>, upgrade: OnUpgrade, newcomer: Newcomer) {
        let Some((socket, first)) = self.upgraded(upgrade).await else {
            return;
        };
        let connections = &self.connections;
        let router = &connections.router;
        let Newcomer { guest, connection_id, correspondence, keep_alive, permit, expected: _expected } =
            newcomer;
        let speech = guest.speech();
        let Guest { hub, claims, permissions, subprotocol, .. } = guest;
        let member = NewMember {
            hub: hub.clone(),
            connection_id: connection_id.clone(),
            user_id: claims.user_id.clone(),
            subprotocol,
        };
        let (key, mut pending) = router.attach(&member);
        for group in claims.groups {
            pending = pending.and(router.join(key, &hub, group));
        }
        let opening =
            Opening { hub: hub.clone(), connection_id, user_id: claims.user_id, permissions, speech };
        let session = Session::new(opening);
        let greeting = connections.greeting(&session);
        let connections = Rc::clone(connections);
        let socket = Some(socket);
        let arrival = Arrival { key, connections, socket, session, correspondence, keep_alive, permit };
        let connection = Rc::new(Connection::new(arrival));
        self.connections.insert(&connection);
        self.connections.begin_keeping(&connection);
        // Before whatever reaches the connection while the other nodes are told of it.
        self.connections.router.shard().tell(key, &greeting);
        if self.activate(key, pending).await {
            self.count(ConnectOutcome::Accepted);
            tracing::info!(%hub, connection = %member.connection_id, "connection started");
            self.connections.raise_start(&connection);
        } else {
            self.count(ConnectOutcome::ServiceFault);
            self.connections.end(key, CloseReason::NotActivated);
        }
        connection::start(connection, first);
    }

    /// Waits until whatever is sent to a new connection reaches it; false when that cannot be promised. The client sees
    /// nothing before.
    async fn activate(&self, key: MemberKey, pending: Pending) -> bool {
        if pending.is_settled() {
            return true;
        }
        let router = &self.connections.router;
        router.shard().hold(key);
        let is_active = router.settle(pending).await.is_ok();
        let mut shard = router.shard();
        if is_active {
            shard.release(key);
        } else {
            shard.forget_queued(key);
        }
        is_active
    }
}

/// Everything that a client hears from the start.
fn topics(guest: &Guest) -> Vec<Topic> {
    let user = guest.claims.user_id.clone().map(Target::User);
    let groups = guest.claims.groups.iter().cloned().map(Target::Group);
    let targets = [Target::Hub].into_iter().chain(user).chain(groups);
    targets.map(|target| Topic { hub: guest.hub.clone(), target }).collect()
}

/// Seconds since 1970.
pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// The client's socket, out of what HTTP made of it, and the bytes that it sent after its request.
fn socket(upgraded: Upgraded) -> Option<(Socket, Vec<u8>)> {
    let upgraded = match downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => return Some((Socket::Plain(parts.io.into_inner()), parts.read_buf.to_vec())),
        Err(upgraded) => upgraded,
    };
    let parts = downcast::<TokioIo<TlsStream<TcpStream>>>(upgraded).ok()?;
    Some((Socket::Tls(Box::new(parts.io.into_inner())), parts.read_buf.to_vec()))
}

/// The answer that makes the socket a WebSocket.
fn switch(key: &[u8], subprotocol: Option<&str>) -> Response<Full<Bytes>> {
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(ACCEPT_SALT).finalize());
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(Ok(subprotocol)) = subprotocol.map(HeaderValue::from_str) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    response
}

/// The answer to a client that should try again.
fn later(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}
