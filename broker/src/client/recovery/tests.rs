//! Who may have a connection whose client wants it back, while the clock stands still.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener as StdListener, TcpStream as StdStream};

use codec::ids::NodeId;
use codec::message::Downstream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use super::*;
use crate::auth::key::{AccessKey, Keys};
use crate::auth::permission::Permissions;
use crate::backplane::LocalBus;
use crate::client::connection::{self, Arrival};
use crate::client::connections::{Capacity, ConnectionsParts};
use crate::client::{ClientConfig, Connections};
use crate::events::webhook::{
    AddressRules, Authorities, HandlerLimits, ProxyConfig, WebhookConfig, Webhooks,
};
use crate::events::{Correspondence, Events};
use crate::hub::{NewMember, Shard, Switchboard};
use crate::router::{self, Place, Router};
use crate::session::{Opening, Session, Speech};
use crate::settings::Settings;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::Tap;

const REFUSED: &[u8] = b"\x88\x28\x03\xf0The connection could not be recovered.";

const CONFIG: ClientConfig = ClientConfig {
    max_connections: 10,
    handshake_timeout: Duration::from_secs(10),
    reconnect_window: Duration::from_secs(30),
    message_bytes: 1 << 20,
    outbox_messages: 1000,
    outbox_bytes: 16 << 20,
    window_messages: 1000,
    window_bytes: 16 << 20,
};

fn hub() -> HubName {
    HubName::new("chat").unwrap()
}

fn node() -> NodeId {
    NodeId::new("n").unwrap()
}

fn id() -> ConnectionId {
    ConnectionId::new(1, 0, &node())
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(["chat"]))
}

fn settings() -> watch::Receiver<Arc<Settings>> {
    let key = AccessKey::new("a-key-that-nobody-is-shown-in-this-test").unwrap();
    let keys = Keys { primary: key.clone(), secondary: None, internal: key };
    watch::channel(Arc::new(Settings { keys, hubs: BTreeMap::new() })).1
}

fn events() -> Events {
    let config = WebhookConfig {
        timeout: Duration::from_secs(1),
        limits: HandlerLimits { calls: 1, waiting_calls: 1, waiting_bytes: 1, answer_room: 1 },
        answer_bytes: 1,
        addresses: AddressRules::default(),
        authorities: Authorities::default(),
        proxy: ProxyConfig::Direct,
        h2c: Vec::new(),
        tokens: None,
    };
    Events::new(Webhooks::new(config, metrics()).unwrap().client().unwrap(), settings(), Tap::default())
}

/// The broker's and the client's end of a TCP connection.
fn sockets() -> (Socket, StdStream) {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    let (broker, _) = listener.accept().unwrap();
    broker.set_nonblocking(true).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (Socket::Plain(TcpStream::from_std(broker).unwrap()), client)
}

/// What has been written to a client.
fn received(client: &mut StdStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    client.read_exact(&mut bytes).unwrap();
    bytes
}

/// A worker with one reliable connection that has lost its socket.
struct Worker {
    connections: Rc<Connections>,
    desks: Desks,
    connection: Rc<Connection>,
}

impl Worker {
    async fn start() -> Self {
        let switchboard = Arc::new(Switchboard::new(1));
        let bus = Arc::new(LocalBus::new(router::receiver(node(), Arc::clone(&switchboard))));
        let shard = Shard::new(CONFIG.queue_limits());
        let router = Router::new(Place { node: node(), worker: 0 }, shard, switchboard, bus);
        let connections = Rc::new(Connections::new(ConnectionsParts {
            router: router.clone(),
            events: Rc::new(events()),
            config: CONFIG,
            metrics: metrics(),
            tap: Tap::default(),
        }));
        let (desks, mut own) = Desks::new(1);
        tokio::task::spawn_local(Rc::clone(&connections).keep_reserving(own.remove(0)));
        tokio::task::spawn_local(Rc::clone(&connections).keep_flushing());
        let subprotocol = Subprotocol::JsonReliable;
        let member =
            NewMember { hub: hub(), connection_id: id(), user_id: None, subprotocol: Some(subprotocol) };
        let (key, pending) = router.attach(&member);
        router.settle(pending).await.unwrap();
        let session = Session::new(Opening {
            hub: hub(),
            connection_id: id(),
            user_id: None,
            permissions: Permissions::from_roles(&[]).0,
            speech: Speech::Messages(subprotocol),
        });
        let (socket, client) = sockets();
        let connection = Rc::new(Connection::new(Arrival {
            key,
            connections: Rc::clone(&connections),
            socket,
            session,
            correspondence: Correspondence::new("localhost".into()),
            keep_alive: 20,
            permit: Arc::new(Capacity::new(1)).take().unwrap(),
        }));
        connections.insert(&connection);
        connection::start(Rc::clone(&connection), Vec::new());
        drop(client);
        connections.end(key, CloseReason::ConnectionLost);
        Self { connections, desks, connection }
    }

    async fn reserve(&self) -> Option<Reservation> {
        self.desks.reserve(hub(), id()).await.unwrap()
    }
}

/// Runs a test on a worker's runtime, where time passes only when nothing else can happen.
fn with_worker(test: impl AsyncFnOnce(Worker)) {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async { test(Worker::start().await).await });
}

#[test]
fn of_two_at_once_the_second_is_refused_and_the_first_has_the_connection() {
    with_worker(async |worker| {
        let first = worker.reserve().await.expect("the first may come");
        assert_eq!(first.subprotocol, Subprotocol::JsonReliable);
        for _ in 0..2 {
            assert!(worker.reserve().await.is_none(), "the first is still on its way");
            let (socket, mut client) = sockets();
            refuse(&worker.connections, socket).await;
            assert_eq!(received(&mut client, REFUSED.len()), REFUSED);
        }
        let (socket, mut client) = sockets();
        first.redeem(&worker.connections, socket, Vec::new()).await;
        while worker.connection.is_missing_until().is_some() {
            tokio::task::yield_now().await;
        }
        worker.connections.router.shard().tell(worker.connection.key, &Downstream::Pong);
        worker.connections.flush();
        assert_eq!(received(&mut client, 17), b"\x81\x0f{\"type\":\"pong\"}");
        assert!(worker.reserve().await.is_some(), "its socket may be taken over in turn");
    });
}

#[test]
fn who_does_not_come_after_all_leaves_the_connection_to_others() {
    with_worker(async |worker| {
        drop(worker.reserve().await.expect("the first may come"));
        while worker.connection.recovery.as_ref().is_some_and(|recovery| recovery.is_reserved.get()) {
            tokio::task::yield_now().await;
        }
        assert!(worker.reserve().await.is_some());
    });
}

#[test]
fn a_reservation_holds_for_thirty_seconds_and_whoever_comes_later_is_refused() {
    with_worker(async |worker| {
        let late = worker.reserve().await.expect("the first may come");
        tokio::time::sleep(RESERVATION - Duration::from_millis(10)).await;
        assert!(worker.reserve().await.is_none());
        tokio::time::sleep(Duration::from_millis(20)).await;
        let next = worker.reserve().await.expect("it has waited long enough");
        let (socket, mut client) = sockets();
        late.redeem(&worker.connections, socket, Vec::new()).await;
        assert_eq!(received(&mut client, REFUSED.len()), REFUSED);
        let (socket, _client) = sockets();
        next.redeem(&worker.connections, socket, Vec::new()).await;
        while worker.connection.is_missing_until().is_some() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_connection_that_ends_while_its_client_is_on_the_way_is_gone() {
    with_worker(async |worker| {
        let reservation = worker.reserve().await.expect("there is one");
        worker.connections.end(worker.connection.key, CloseReason::ClosedByApplication(None));
        assert!(worker.reserve().await.is_none());
        let (socket, mut client) = sockets();
        reservation.redeem(&worker.connections, socket, Vec::new()).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(received(&mut client, REFUSED.len()), REFUSED);
    });
}

#[test]
fn a_worker_that_does_not_answer_is_not_taken_for_a_connection_that_is_gone() {
    with_worker(async |_| {
        let (desks, own) = Desks::new(1);
        let asked = Instant::now();
        assert!(desks.reserve(hub(), id()).await.is_err(), "nobody looks at the desk");
        assert_eq!(asked.elapsed(), PATIENCE);
        drop(own);
        assert!(desks.reserve(hub(), id()).await.is_err(), "nobody is there any more");
    });
}
