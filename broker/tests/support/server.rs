//! A broker node in a thread of its own.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use broker::Broker;
use tokio::sync::oneshot;

use super::client::Client;
use super::config::Setup;
use super::panics;
use super::raw::RawSocket;
use super::rest::Rest;
use super::spec::ClientSpec;
use super::token::Token;

/// Longest time for a broker to start.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// How often it is looked whether the thread has ended.
const JOIN_POLL: Duration = Duration::from_millis(5);

/// A running broker. It is told to stop when this is dropped; whoever wants to see it end calls [`Server::stop`].
pub struct Server {
    http: SocketAddr,
    https: Option<SocketAddr>,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Log lines are made as in production, where they are written, and thrown away: making one can fail as well.
fn log_everything_to_nowhere() {
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(std::io::sink);
    // Only the first test of a process sets it.
    let _ = log.try_init();
}

impl Server {
    /// Starts a broker with the defaults of the house and two workers.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a broker that differs from the defaults.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        panics::watch();
        log_everything_to_nowhere();
        let mut setup = Setup::new();
        change(&mut setup);
        let (shutdown, stopped) = oneshot::channel();
        let (started, address) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let broker = Broker::bind(setup.config).unwrap();
                started.send(broker.addresses()).unwrap();
                broker.run(async { drop(stopped.await) }).await.unwrap();
            });
        });
        let addresses = address.recv_timeout(START_DEADLINE).expect("the broker did not start");
        let (http, https) = (addresses.http, addresses.https);
        Self { http, https, shutdown: Some(shutdown), thread: Some(thread) }
    }

    /// A broker that somebody else runs and stops, with the keys of the suites.
    pub fn at(http: SocketAddr) -> Self {
        Self { http, https: None, shutdown: None, thread: None }
    }

    /// Where clients and REST callers connect.
    pub fn address(&self) -> SocketAddr {
        self.http
    }

    /// Where they connect with TLS.
    pub fn tls_address(&self) -> SocketAddr {
        self.https.expect("the broker was started without TLS")
    }

    /// Scheme, host and port, as a connection string's endpoint has them.
    pub fn origin(&self) -> String {
        format!("http://{}", self.http)
    }

    /// A token that opens a hub's client endpoint; nothing is granted yet.
    pub fn client_token(&self, hub: &str) -> Token {
        Token::for_audience(&format!("{}/client/hubs/{hub}", self.origin()))
    }

    /// Connects and waits until the connection is visible to everybody. A JSON client's `connected` has been read.
    pub async fn connect(&self, hub: &str, spec: ClientSpec) -> Client {
        let mut client = self.open(hub, spec).await;
        client.settle().await;
        client
    }

    /// Connects and reads nothing after the handshake.
    pub async fn open(&self, hub: &str, spec: ClientSpec) -> Client {
        Client::open(self, hub, spec).await
    }

    /// A socket on which nothing has been written.
    pub async fn raw(&self) -> RawSocket {
        RawSocket::connect(self.http).await
    }

    /// A bare socket after a successful handshake.
    pub async fn raw_upgraded(&self, hub: &str, spec: &ClientSpec) -> RawSocket {
        let mut socket = self.raw().await;
        let response = socket.upgrade(&spec.path(self, hub), &spec.headers()).await;
        assert_eq!(response.status, 101, "{response:?}");
        socket
    }

    /// Calls operations with a valid token.
    pub fn rest(&self) -> Rest {
        Rest::new(self)
    }

    /// Tells the broker to stop and does not wait.
    pub fn begin_stop(&mut self) {
        drop(self.shutdown.take());
    }

    /// Stops the broker in an orderly way and waits until all of it has ended.
    ///
    /// # Panics
    /// When it does not end, or has panicked.
    pub async fn stop(mut self) {
        self.begin_stop();
        self.stopped().await;
    }

    /// Waits until the broker has ended.
    ///
    /// # Panics
    /// When it does not end, or has panicked.
    pub async fn stopped(&mut self) {
        let thread = self.thread.take().expect("the broker was stopped twice");
        let ended = async {
            while !thread.is_finished() {
                tokio::time::sleep(JOIN_POLL).await;
            }
        };
        let limit = Duration::from_secs(60);
        assert!(tokio::time::timeout(limit, ended).await.is_ok(), "the broker did not stop within {limit:?}");
        assert!(thread.join().is_ok(), "the broker panicked");
        panics::assert_none();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panics::assert_none();
        }
    }
}
