//! From a client's HTTP request to a connection: judge it, switch protocols, attach it to the hub.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
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

use codec::ids::ConnectionId;

use super::admission::{self, Admission, Circumstances, Guest, Refusal};
use super::closing::{self, Ended};
use super::connection::{self, Arrival, Connection};
use super::connections::{Capacity, Connections, Permit};
use super::socket::Socket;
use crate::auth::audience::{Origins, Peer};
use crate::hub::{NewMember, Outbox};
use crate::model::close::CloseReason;
use crate::session::{Opening, Session};
use crate::settings::Settings;
use crate::telemetry::metrics::ConnectOutcome;

/// What RFC 6455 has a server add to the client's key.
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
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
    /// How many connections the node may still take.
    pub capacity: Arc<Capacity>,
    /// Turns true when the node is to stop.
    pub stopping: watch::Receiver<bool>,
}

impl Handshake {
    /// Answers a request to the client endpoint whose path, without the endpoint's prefix, is `path`. When it is
    /// admitted, the connection starts once the answer has been written.
    pub fn handle(
        self: &Rc<Self>,
        mut request: Request<Incoming>,
        path: &str,
        peer: Peer,
    ) -> Response<Full<Bytes>> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (head, _) = request.into_parts();
        let settings = self.settings.borrow().clone();
        let origin = peer.origin(&head);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        let circumstances =
            Circumstances { origins: &self.origins, settings: &settings, origin: &origin, now };
        let admitted = match admission::admit(&head, path, &circumstances) {
            Ok(admission) => admission,
            Err(refusal) => return self.refuse(&refusal),
        };
        let key = head.headers.get(header::SEC_WEBSOCKET_KEY).map_or(&[][..], HeaderValue::as_bytes);
        match admitted {
            Admission::Recover { subprotocol } => {
                self.count(ConnectOutcome::BadRequest);
                tokio::task::spawn_local(refuse_recovery(Rc::clone(&self.connections), upgrade));
                switch(key, subprotocol.as_deref())
            }
            Admission::Connect(guest) => {
                if *self.stopping.borrow() {
                    self.count(ConnectOutcome::NodeStopping);
                    return later(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "The node is being stopped. Connect again.",
                    );
                }
                let Some(permit) = self.capacity.take() else {
                    self.count(ConnectOutcome::TooManyConnections);
                    tracing::warn!("connection count reaches limit");
                    let text = "The service has as many connections as it may have. Try again later.";
                    return later(StatusCode::TOO_MANY_REQUESTS, text);
                };
                let response = switch(key, guest.spelling.as_deref());
                let keep_alive = settings.hub(&guest.hub).keep_alive_interval.as_secs();
                let keep_alive = u8::try_from(keep_alive).unwrap_or(u8::MAX);
                let start = Rc::clone(self).start(upgrade, *guest, permit, keep_alive);
                tokio::task::spawn_local(start);
                response
            }
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Response<Full<Bytes>> {
        let is_unauthorized = refusal.status() == StatusCode::UNAUTHORIZED;
        if let Some(fault) = refusal.token_fault() {
            self.connections.metrics.auth_failure(fault);
        }
        self.count(if is_unauthorized { ConnectOutcome::Unauthorized } else { ConnectOutcome::BadRequest });
        tracing::info!(status = refusal.status().as_u16(), "client refused: {refusal}");
        let mut response = Response::new(Full::from(refusal.body()));
        *response.status_mut() = refusal.status();
        if is_unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn count(&self, outcome: ConnectOutcome) {
        self.connections.metrics.connect(outcome);
    }

    async fn start(self: Rc<Self>, upgrade: OnUpgrade, guest: Guest, permit: Permit, keep_alive: u8) {
        // A client that does not take the answer must not keep its place.
        let upgraded = tokio::time::timeout(self.connections.config.handshake_timeout, upgrade).await;
        let Some((socket, first)) = upgraded.ok().and_then(Result::ok).and_then(socket) else {
            return;
        };
        let connections = &self.connections;
        let router = &connections.router;
        let connection_id = ConnectionId::new(rand::random(), router.worker() as u8, router.node());
        let Guest { hub, claims, permissions, speech, subprotocol, .. } = guest;
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
        let greeting = session.greeting();
        let connections = Rc::clone(connections);
        let arrival = Arrival { key, connections, socket, session, keep_alive, permit };
        let connection = Rc::new(Connection::new(arrival));
        self.connections.insert(&connection, member.subprotocol);
        if !pending.is_settled() && self.connections.router.settle(pending).await.is_err() {
            self.count(ConnectOutcome::ServiceFault);
            self.connections.end(key, CloseReason::NotActivated);
        } else {
            self.count(ConnectOutcome::Accepted);
            tracing::info!(%hub, connection = %member.connection_id, "connection started");
            self.connections.router.shard().tell(key, &greeting);
        }
        connection::start(connection, first);
    }
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

/// Tells a client that wants to take up a connection again that there is none. An HTTP error would make the SDKs try
/// for half a minute (`client-protocols.md` 10.2).
async fn refuse_recovery(connections: Rc<Connections>, upgrade: OnUpgrade) {
    if let Some((socket, _)) = upgrade.await.ok().and_then(socket) {
        let ended = Ended { reason: CloseReason::NotRecovered, outbox: Outbox::default() };
        closing::take_leave(&connections, &RefCell::new(socket), ended).await;
    }
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
