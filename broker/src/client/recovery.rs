//! Reliable connections without a socket, and how their clients take them up again. Source: `client-protocols.md` 10.2.
//!
//! A client that comes back may be accepted by any worker, while its connection stays with its own. So the worker that
//! accepted the socket asks the owner at its [`Desk`], which reserves the connection for it; the socket follows when
//! the client has taken the answer to its request. Whoever has the reservation gives it back by dropping it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use codec::ids::{ConnectionId, HubName};
use codec::message::Downstream;
use codec::subprotocol::Subprotocol;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::closing::{self, Ended};
use super::connection::Connection;
use super::connections::Connections;
use super::handshake::unix_time;
use super::socket::Socket;
use crate::auth::token;
use crate::hub::Outbox;
use crate::model::close::{CloseReason, Ending};
use crate::session::Session;
use crate::telemetry::metrics::ConnectOutcome;

/// Longest time from a reservation until the socket is there (`limits.md` 3).
const RESERVATION: Duration = Duration::from_secs(30);
/// Longest time that a worker may take to answer whether it has a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for a client that is on its way already: it may have lost that socket too, and come again at once.
const TURN: Duration = Duration::from_secs(2);

/// Where the workers of a node are asked for connections that clients want to take up again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desks(Arc<[UnboundedSender<Petition>]>);

/// Where one worker is asked.
#[derive(Debug)]
pub struct Desk(UnboundedReceiver<Petition>);

#[derive(Debug)]
struct Petition {
    hub: HubName,
    connection_id: ConnectionId,
    answer: oneshot::Sender<Result<Option<Reservation>, Unreachable>>,
}

/// A connection that waits for its client's socket.
#[derive(Debug)]
pub(super) struct Reservation {
    /// What was agreed on when the connection was made, and holds for the new socket too.
    pub(super) subprotocol: Subprotocol,
    /// Whether another node may have it by the time that the socket is there.
    is_durable: bool,
    place: oneshot::Sender<Arrived>,
}

/// The connection cannot be had now: who has it does not answer. The client may try again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unreachable;

/// A socket on its way to another worker, and the bytes that came with its request.
#[derive(Debug)]
struct Arrived {
    socket: Travelling,
    first: Vec<u8>,
}

#[derive(Debug)]
enum Travelling {
    Plain(std::net::TcpStream),
    /// TLS does not let go of its stream, so this stays registered with the reactor of the worker that accepted it.
    /// Tokio lets any thread poll it; it only has to end before that worker does, and workers stop together.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Desks {
    /// A desk for each worker.
    pub fn new(workers: usize) -> (Self, Vec<Desk>) {
        let (ways, desks): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded_channel()).unzip();
        (Self(ways.into()), desks.into_iter().map(Desk).collect())
    }

    /// Reserves a connection for a client whose token has been verified, and fetches it if another node has it; nothing
    /// when there is none, or it is not reliable, or is reserved already.
    ///
    /// # Errors
    /// When its worker or its node does not answer.
    pub(super) async fn reserve(
        &self,
        hub: HubName,
        connection_id: ConnectionId,
    ) -> Result<Option<Reservation>, Unreachable> {
        let worker = connection_id.worker().map(|worker| usize::from(worker) % self.0.len());
        let Some(desk) = worker.and_then(|worker| self.0.get(worker)) else {
            return Ok(None);
        };
        let (answer, answered) = oneshot::channel();
        desk.send(Petition { hub, connection_id, answer }).map_err(|_| Unreachable)?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(reservation)) => reservation,
            Ok(Err(_)) | Err(_) => Err(Unreachable),
        }
    }
}

impl Reservation {
    /// Gives the connection its client's socket. When it is too late for that, the client is told that there is no such
    /// connection, unless it may live on elsewhere.
    pub(super) async fn redeem(self, connections: &Connections, socket: Socket, first: Vec<u8>) {
        let Ok(socket) = Travelling::depart(socket) else {
            return;
        };
        if let Err(Arrived { socket, .. }) = self.place.send(Arrived { socket, first })
            && let Ok(socket) = socket.arrive()
        {
            no_more(connections, socket, self.is_durable).await;
        }
    }
}

/// A connection that was reserved has gone. If it may live on elsewhere its client comes again, and finds out from its record.
async fn no_more(connections: &Connections, socket: Socket, is_durable: bool) {
    match is_durable {
        true => socket.forget_unsent(),
        false => refuse(connections, socket).await,
    }
}

/// Tells a client that there is no connection that it could take up again. An HTTP error would make the SDKs try for
/// half a minute.
pub(super) async fn refuse(connections: &Connections, socket: Socket) {
    connections.metrics.connect(ConnectOutcome::NotRecovered);
    let ended = Ended { reason: CloseReason::NotRecovered, outbox: Outbox::default() };
    closing::take_leave(connections, socket, ended).await;
}

impl Travelling {
    fn depart(socket: Socket) -> std::io::Result<Self> {
        match socket {
            Socket::Plain(stream) => stream.into_std().map(Self::Plain),
            Socket::Tls(stream) => Ok(Self::Tls(stream)),
        }
    }

    fn arrive(self) -> std::io::Result<Socket> {
        match self {
            Self::Plain(stream) => TcpStream::from_std(stream).map(Socket::Plain),
            Self::Tls(stream) => Ok(Socket::Tls(stream)),
        }
    }
}

impl Connections {
    /// What a client is told first. It has the proof by which a reliable connection is taken up again.
    pub(super) fn greeting(&self, session: &Session) -> Downstream {
        let mint = || {
            let internal = &self.settings.borrow().keys.internal;
            token::mint_reconnection(session.connection_id(), rand::random(), internal, unix_time()).ok()
        };
        session.greeting(session.is_reliable().then(mint).flatten())
    }

    /// Answers at this worker's desk, for ever.
    pub async fn keep_reserving(self: Rc<Self>, mut desk: Desk) {
        while let Some(petition) = desk.0.recv().await {
            if self.is_reserved(&petition) {
                tokio::task::spawn_local(Rc::clone(&self).answer_later(petition));
            } else {
                self.answer(petition);
            }
        }
    }

    fn answer(self: &Rc<Self>, petition: Petition) {
        let Petition { hub, connection_id, answer, .. } = &petition;
        self.forget_behind_with_room(hub, connection_id);
        let is_here = self.router.shard().find(hub, connection_id).is_some();
        if !is_here && connection_id.node().is_some() && !answer.is_closed() {
            tokio::task::spawn_local(Rc::clone(self).answer_when_fetched(petition));
            return;
        }
        let reservation = self.reserve(hub, connection_id);
        // Whoever asked may have gone; the reservation is dropped then.
        let _ = petition.answer.send(Ok(reservation));
    }

    /// Answers when the connection has come from another node, or is known not to be anywhere.
    async fn answer_when_fetched(self: Rc<Self>, petition: Petition) {
        let Petition { hub, connection_id, answer } = &petition;
        let fetched = self.fetch_once(hub, connection_id, || !answer.is_closed()).await;
        if answer.is_closed() {
            return;
        }
        if fetched.is_ok() && self.is_reserved(&petition) {
            return self.answer_later(petition).await;
        }
        let answer = fetched.map(|()| self.reserve(hub, connection_id));
        let _ = petition.answer.send(answer);
    }

    /// Answers when the client that is on its way has come or given up, which takes no longer than the answer to its
    /// request, unless something is wrong with it.
    async fn answer_later(self: Rc<Self>, petition: Petition) {
        let turn = async {
            loop {
                // Asked for before looking, so that an end in between is not missed.
                let over = self.reservation_over.notified();
                if !self.is_reserved(&petition) {
                    return;
                }
                over.await;
            }
        };
        let _ = tokio::time::timeout(TURN, turn).await;
        self.answer(petition);
    }

    fn is_reserved(&self, petition: &Petition) -> bool {
        let key = self.router.shard().find(&petition.hub, &petition.connection_id);
        let connection = key.and_then(|key| self.table.borrow().get(key).cloned());
        connection.is_some_and(|connection| {
            connection.recovery.as_ref().is_some_and(|recovery| recovery.is_reserved.get())
        })
    }

    fn reserve(self: &Rc<Self>, hub: &HubName, connection_id: &ConnectionId) -> Option<Reservation> {
        let key = self.router.shard().find(hub, connection_id)?;
        let connection = self.table.borrow().get(key).cloned()?;
        let recovery = connection.recovery.as_ref()?;
        let subprotocol = connection.session().subprotocol()?;
        if recovery.is_reserved.replace(true) {
            return None;
        }
        // Whoever wanted it elsewhere is late.
        self.router.shard().end_record(key);
        let is_durable = connection.keeper().is_some();
        let (place, arriving) = oneshot::channel();
        let connections = Rc::clone(self);
        // The reservation must not keep a connection that has ended.
        let connection = Rc::downgrade(&connection);
        tokio::task::spawn_local(async move {
            let arrived = tokio::time::timeout(RESERVATION, arriving).await;
            let connection = connection.upgrade();
            if let Some(recovery) = connection.as_ref().and_then(|connection| connection.recovery.as_ref()) {
                recovery.is_reserved.set(false);
            }
            connections.reservation_over.notify_waiters();
            if let Ok(Ok(Arrived { socket, first })) = arrived
                && let Ok(socket) = socket.arrive()
            {
                match connection.filter(|connection| connections.has(connection)) {
                    Some(connection) => connections.resume(&connection, socket, first),
                    None => no_more(&connections, socket, is_durable).await,
                }
            }
        });
        Some(Reservation { subprotocol, is_durable, place })
    }

    pub(super) fn has(&self, connection: &Connection) -> bool {
        self.table.borrow().contains_key(connection.key)
    }

    /// A reliable connection has lost its socket. It is kept for a while, and what is sent to it as well. Nothing
    /// happens if it has none.
    pub(super) fn suspend(&self, connection: &Rc<Connection>, reason: CloseReason) {
        let (Some(recovery), Some(socket)) = (&connection.recovery, connection.take_socket()) else {
            return;
        };
        let outbox = self.router.shard().suspend(connection.key).unwrap_or_default();
        // The second that is passing now does not count.
        let window = u32::try_from(self.config.reconnect_window.as_secs()).unwrap_or(u32::MAX / 2);
        recovery.deadline.set(self.now() + window + 1);
        self.look_again(connection, recovery.deadline.get());
        self.log(connection, "connection lost its socket");
        match reason.ending() {
            Ending::Abort => socket.forget_unsent(),
            // The client wants its close frame answered, and has ended nothing but the socket by it.
            Ending::Close(..) | Ending::Echo(..) => {
                let connections = Rc::clone(&connection.connections);
                tokio::task::spawn_local(async move {
                    closing::take_leave(&connections, socket, Ended { reason, outbox }).await;
                });
            }
        }
    }

    /// A client has come back: from now on its connection has this socket. One that it had until now is dropped.
    fn resume(&self, connection: &Rc<Connection>, socket: Socket, first: Vec<u8>) {
        if let Some(old) = connection.take_socket() {
            old.forget_unsent();
            self.router.shard().suspend(connection.key);
        }
        self.metrics.connect(ConnectOutcome::Recovered);
        self.log(connection, "connection recovered");
        // The SDKs go on with their streams when they are greeted again, and not before. Others are not used to that.
        let session = connection.session();
        let greeting = session.has_streamed().then(|| self.greeting(&session));
        drop(session);
        self.router.shard().resume(connection.key, greeting.as_ref(), Instant::now());
        if connection.recovery.as_ref().is_some_and(|recovery| recovery.has_moved.replace(false)) {
            self.fail_invocations(connection);
        }
        self.look_again(connection, self.now() + u32::from(connection.keep_alive));
        connection.give_socket(socket, first);
        self.flush_soon();
    }

    fn log(&self, connection: &Connection, what: &'static str) {
        let session = connection.session();
        let (hub, connection) = (session.hub(), session.connection_id());
        tracing::info!(%hub, %connection, "{what}");
    }
}

#[cfg(test)]
mod tests;
