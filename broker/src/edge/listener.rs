//! Sockets in: accepts them, with TLS where the listener has it, and serves HTTP on them until they become a client's
//! or end.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use super::routes::Routes;
use super::tls::Identity;
use crate::auth::audience::{Peer, Scheme};

/// Connections that the system keeps until they are accepted; it has a limit of its own as well.
const BACKLOG: i32 = 4096;
/// Largest head of a request, in bytes: tokens stand in the URL, and roles may be many.
const MAX_HEAD: usize = 64 * 1024;
/// Most headers of a request: metadata travels in them, one entry in each.
const MAX_HEADERS: usize = 256;
/// How long a socket may be silent between two requests.
const IDLE: Duration = Duration::from_secs(120);
/// Pause after the system could not give a socket, most often for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket of one worker.
#[derive(Debug)]
pub struct Bound {
    listener: std::net::TcpListener,
    identity: Option<Identity>,
}

/// Binds `address` once for each worker: the system spreads the connections over them. Port 0 takes a free one.
///
/// # Errors
/// When the address is in use, by another process too, or cannot be bound.
pub fn bind(
    address: SocketAddr,
    identity: Option<&Identity>,
    workers: usize,
) -> io::Result<(SocketAddr, Vec<Bound>)> {
    if address.port() != 0 {
        // Sharing a port would let two processes share it unnoticed, so it is taken alone first.
        drop(socket(address, Sharing::Alone)?);
    }
    let first = socket(address, Sharing::WithWorkers)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(socket(address, Sharing::WithWorkers)?);
    }
    let bound = |listener| Bound { listener, identity: identity.cloned() };
    Ok((address, listeners.into_iter().map(bound).collect()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    WithWorkers,
}

fn socket(address: SocketAddr, sharing: Sharing) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::WithWorkers)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // A socket that only tries the address must not take connections.
    if sharing == Sharing::WithWorkers {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

/// Serves HTTP for one worker.
pub struct Http {
    routes: Rc<Routes>,
    handshake_timeout: Duration,
    stopping: watch::Receiver<bool>,
    /// Sockets that are served HTTP now.
    open: Cell<usize>,
    one_closed: Notify,
}

impl Http {
    /// Requests go to `routes`. A socket whose first request is not there after `handshake_timeout` is closed.
    pub fn new(routes: Rc<Routes>, handshake_timeout: Duration, stopping: watch::Receiver<bool>) -> Self {
        Self { routes, handshake_timeout, stopping, open: Cell::new(0), one_closed: Notify::new() }
    }

    /// Accepts connections until the node stops.
    pub async fn listen(self: Rc<Self>, bound: Bound) {
        let listener = match TcpListener::from_std(bound.listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "listener not started"),
        };
        let acceptor = bound.identity.map(|identity| TlsAcceptor::from(identity.server_config()));
        let mut stopping = self.stopping.clone();
        let accept = async {
            loop {
                match listener.accept().await {
                    Ok((stream, peer)) => self.open(stream, peer.ip(), acceptor.clone()),
                    Err(error) => {
                        tracing::warn!(%error, "no connection accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            () = accept => {}
            _ = stopping.wait_for(|&stopping| stopping) => {}
        }
    }

    /// Resolves when no request is under way any more.
    pub async fn drained(&self) {
        while self.open.get() > 0 {
            self.one_closed.notified().await;
        }
    }

    fn open(self: &Rc<Self>, stream: TcpStream, address: IpAddr, acceptor: Option<TlsAcceptor>) {
        // Messages are written whole, so there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        let open = OpenSocket::new(Rc::clone(self));
        let http = Rc::clone(self);
        match acceptor {
            None => drop(tokio::task::spawn_local(async move {
                http.serve(stream, Peer { address, scheme: Scheme::Http }).await;
                drop(open);
            })),
            Some(acceptor) => drop(tokio::task::spawn_local(async move {
                let accepted = tokio::time::timeout(http.handshake_timeout, acceptor.accept(stream)).await;
                if let Ok(Ok(stream)) = accepted {
                    http.serve(stream, Peer { address, scheme: Scheme::Https }).await;
                }
                drop(open);
            })),
        }
    }

    async fn serve<S>(&self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let has_request = Rc::new(Cell::new(false));
        let service = service_fn(|request: Request<Incoming>| {
            has_request.set(true);
            let routes = Rc::clone(&self.routes);
            async move { Ok::<_, Infallible>(routes.handle(request, peer).await) }
        });
        let mut builder = auto::Builder::new(OnThisThread);
        let http1 = &mut builder.http1();
        http1.timer(TokioTimer::new()).header_read_timeout(IDLE);
        http1.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
        let http2 = &mut builder.http2();
        http2.timer(TokioTimer::new()).keep_alive_interval(IDLE);
        http2.max_concurrent_streams(256).max_header_list_size(MAX_HEAD as u32);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(connection);

        let mut stopping = self.stopping.clone();
        let first_request = tokio::time::sleep(self.handshake_timeout);
        tokio::pin!(first_request);
        let mut waits = true;
        loop {
            tokio::select! {
                // What goes wrong on a socket is its client's affair.
                _ = connection.as_mut() => return,
                () = &mut first_request, if waits => {
                    if !has_request.get() {
                        return;
                    }
                    waits = false;
                }
                _ = stopping.wait_for(|&stopping| stopping) => break,
            }
        }
        connection.as_mut().graceful_shutdown();
        // A request that is under way is answered; one that never becomes whole is not waited for.
        let _ = tokio::time::timeout(self.handshake_timeout, connection).await;
    }
}

/// Counts a socket as long as it is served HTTP.
struct OpenSocket(Rc<Http>);

impl OpenSocket {
    fn new(http: Rc<Http>) -> Self {
        http.open.set(http.open.get() + 1);
        Self(http)
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.one_closed.notify_one();
    }
}

/// Runs what HTTP/2 starts on the worker's own thread.
#[derive(Debug, Clone, Copy)]
struct OnThisThread;

impl<F> Executor<F> for OnThisThread
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}
