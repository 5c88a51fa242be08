//! Who may have a connection whose client wants it back, while the clock stands still.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};

use codec::ids::NodeId;
use codec::message::{Content, Downstream, Origin, Payload};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use super::*;
use crate::auth::key::{AccessKey, Keys};
use crate::auth::permission::Permissions;
use crate::backplane::{Bus, LocalBus};
use crate::client::connection::{self, Arrival};
use crate::client::connections::{Capacity, ConnectionsParts, Permit};
use crate::client::{ClientConfig, Connections};
use crate::events::webhook::{
    AddressRules, Authorities, HandlerLimits, ProxyConfig, WebhookConfig, Webhooks,
};
use crate::events::{Correspondence, Events};
use crate::hub::{NewMember, Shard, Switchboard};
use crate::router::{DurableHubs, Exchange, Router};
use crate::session::{Opening, Session, Speech};
use crate::settings::Settings;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::Tap;

mod fetching;
mod mesh;
mod moving;

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
    client.set_nonblocking(true).unwrap();
    (Socket::Plain(TcpStream::from_std(broker).unwrap()), client)
}

fn socket_peer(socket: &Socket) -> Option<SocketAddr> {
    match socket {
        Socket::Plain(stream) => stream.peer_addr().ok(),
        Socket::Tls(_) => None,
    }
}

/// What has been written to a client. The worker goes on while it has not come.
async fn received(client: &mut StdStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut count = 0;
    for _ in 0..1000 {
        match client.read(&mut bytes[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if count == len {
            return bytes;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("only {count} bytes came: {:?}", String::from_utf8_lossy(&bytes[..count]));
}

fn capacity() -> Arc<Capacity> {
    Arc::new(Capacity::new(1))
}

fn permit() -> Permit {
    capacity().take().unwrap()
}

/// The one worker of a node, without connections.
fn connections(node: NodeId) -> (Rc<Connections>, Desks) {
    linked(node, |exchange| Arc::new(LocalBus::new(exchange.receiver())))
}

fn linked(node: NodeId, bus: impl FnOnce(&Arc<Exchange>) -> Arc<dyn Bus>) -> (Rc<Connections>, Desks) {
    let switchboard = Arc::new(Switchboard::new(1));
    let exchange = Exchange::new(node, Arc::clone(&switchboard), DurableHubs::default());
    let bus = bus(&exchange);
    exchange.link(&bus);
    let router = Router::new(0, Shard::new(CONFIG.queue_limits()), exchange, bus);
    let connections = Rc::new(Connections::new(ConnectionsParts {
        router,
        events: Rc::new(events()),
        settings: settings(),
        config: CONFIG,
        metrics: metrics(),
        tap: Tap::default(),
        capacity: capacity(),
    }));
    let (desks, mut own) = Desks::new(1);
    tokio::task::spawn_local(Rc::clone(&connections).keep_reserving(own.remove(0)));
    tokio::task::spawn_local(Rc::clone(&connections).keep_flushing());
    let reading = Rc::clone(&connections);
    tokio::task::spawn_local(async move { reading.keep_reading(switchboard.inbox(0)).await });
    (connections, desks)
}

/// A worker with one reliable connection that has lost its socket.
struct Worker {
    connections: Rc<Connections>,
    desks: Desks,
    connection: Rc<Connection>,
}

impl Worker {
    async fn start() -> Self {
        let (connections, desks) = connections(node());
        let subprotocol = Subprotocol::JsonReliable;
        let member =
            NewMember { hub: hub(), connection_id: id(), user_id: None, subprotocol: Some(subprotocol) };
        let (key, pending) = connections.router.attach(&member);
        connections.router.settle(pending).await.unwrap();
        let session = Session::new(Opening {
            hub: hub(),
            connection_id: id(),
            user_id: None,
            permissions: Permissions::from_roles(&["webpubsub.sendToGroup".to_owned()]).0,
            speech: Speech::Messages(subprotocol),
        });
        let (socket, client) = sockets();
        let connection = Rc::new(Connection::new(Arrival {
            key,
            connections: Rc::clone(&connections),
            socket: Some(socket),
            session,
            correspondence: Correspondence::new("localhost".into()),
            keep_alive: 20,
            permit: permit(),
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

    /// Where the socket that the connection has comes from.
    fn peer(&self) -> Option<SocketAddr> {
        self.connection.socket.borrow().as_ref().and_then(socket_peer)
    }

    /// The connection has a socket.
    async fn arrived(&self) {
        while self.connection.is_missing_until().is_some() {
            tokio::task::yield_now().await;
        }
    }

    /// The client is back.
    async fn come_back(&self) -> StdStream {
        let (socket, client) = sockets();
        let reservation = self.reserve().await.expect("it may come back");
        reservation.redeem(&self.connections, socket, Vec::new()).await;
        self.arrived().await;
        client
    }

    async fn pass(&self, seconds: u32) {
        for _ in 0..seconds {
            self.connections.tick().await;
        }
    }

    fn has_it(&self) -> bool {
        self.connections.has(&self.connection)
    }

    /// The application sends to the connection.
    fn tell(&self, text: &str) {
        let content = Content { payload: Payload::text(text), metadata: None };
        let message = Downstream::Message { origin: Origin::Server, content, stream: None };
        self.connections.router.shard().tell(self.connection.key, &message);
        self.connections.flush();
    }
}

/// Runs a test on a worker's runtime, where time passes only when nothing else can happen.
fn with_worker(test: impl AsyncFnOnce(Worker)) {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async { test(Worker::start().await).await });
}

#[test]
fn of_two_at_once_the_second_is_refused_while_the_first_is_on_its_way() {
    with_worker(async |worker| {
        let first = worker.reserve().await.expect("the first may come");
        assert_eq!(first.subprotocol, Subprotocol::JsonReliable);
        for _ in 0..2 {
            let asked = Instant::now();
            assert!(worker.reserve().await.is_none(), "the first is still on its way");
            assert_eq!(asked.elapsed(), TURN, "it might have come, or have given up");
            let (socket, mut client) = sockets();
            refuse(&worker.connections, socket).await;
            assert_eq!(received(&mut client, REFUSED.len()).await, REFUSED);
        }
        let (socket, mut client) = sockets();
        first.redeem(&worker.connections, socket, Vec::new()).await;
        worker.arrived().await;
        worker.connections.router.shard().tell(worker.connection.key, &Downstream::Pong);
        worker.connections.flush();
        assert_eq!(received(&mut client, 17).await, b"\x81\x0f{\"type\":\"pong\"}");
        assert!(worker.reserve().await.is_some(), "its socket may be taken over in turn");
    });
}

/// A client whose new socket is lost at once comes again before anybody has noticed.
#[test]
fn whoever_comes_while_another_is_on_its_way_has_the_connection_after_it() {
    with_worker(async |worker| {
        let first = worker.reserve().await.expect("the first may come");
        let desks = worker.desks.clone();
        let second = tokio::task::spawn_local(async move { desks.reserve(hub(), id()).await.unwrap() });
        tokio::task::yield_now().await;
        let (socket, lost) = sockets();
        drop(lost);
        first.redeem(&worker.connections, socket, Vec::new()).await;
        let second = second.await.unwrap().expect("the first has come");
        let (socket, _client) = sockets();
        let address = socket_peer(&socket);
        second.redeem(&worker.connections, socket, Vec::new()).await;
        while worker.peer() != address {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn who_does_not_come_after_all_leaves_the_connection_to_others() {
    with_worker(async |worker| {
        drop(worker.reserve().await.expect("the first may come"));
        assert!(worker.reserve().await.is_some());
    });
}

#[test]
fn a_reservation_holds_for_thirty_seconds_and_whoever_comes_later_is_refused() {
    with_worker(async |worker| {
        let late = worker.reserve().await.expect("the first may come");
        tokio::time::sleep(RESERVATION - TURN - Duration::from_millis(10)).await;
        assert!(worker.reserve().await.is_none());
        tokio::time::sleep(Duration::from_millis(20)).await;
        let next = worker.reserve().await.expect("it has waited long enough");
        let (socket, mut client) = sockets();
        late.redeem(&worker.connections, socket, Vec::new()).await;
        assert_eq!(received(&mut client, REFUSED.len()).await, REFUSED);
        let (socket, _client) = sockets();
        next.redeem(&worker.connections, socket, Vec::new()).await;
        worker.arrived().await;
    });
}

#[test]
fn a_connection_is_kept_for_its_window_and_each_loss_begins_it_anew() {
    // Seconds before each return, then those until the end: the window, and what is left of the second that passes.
    for losses in [&[][..], &[1], &[30], &[29, 30, 15]] {
        with_worker(async |worker| {
            let mut clients = Vec::new();
            for &seconds in losses {
                worker.pass(seconds).await;
                clients.push(worker.come_back().await);
                worker.pass(5).await;
                worker.connections.end(worker.connection.key, CloseReason::ConnectionLost);
            }
            worker.pass(30).await;
            assert!(worker.has_it(), "{losses:?}");
            worker.pass(1).await;
            assert!(!worker.has_it() && worker.reserve().await.is_none(), "{losses:?}");
        });
    }
}

#[test]
fn whoever_is_on_the_way_when_the_window_ends_is_refused() {
    with_worker(async |worker| {
        worker.pass(30).await;
        let late = worker.reserve().await.expect("there is one still");
        worker.pass(1).await;
        let (socket, mut client) = sockets();
        late.redeem(&worker.connections, socket, Vec::new()).await;
        assert_eq!(received(&mut client, REFUSED.len()).await, REFUSED);
    });
}

#[test]
fn a_client_that_takes_over_gets_what_was_not_acknowledged_and_the_old_socket_nothing_more() {
    with_worker(async |worker| {
        let mut old = worker.come_back().await;
        worker.tell("one");
        let one = br#"{"sequenceId":1,"type":"message","from":"server","dataType":"text","data":"one"}"#;
        assert_eq!(received(&mut old, 2 + one.len()).await[2..], *one);
        worker.tell("two");
        let reservation = worker.reserve().await.expect("its socket may be taken over");
        let two = br#"{"sequenceId":2,"type":"message","from":"server","dataType":"text","data":"two"}"#;
        assert_eq!(
            received(&mut old, 2 + two.len()).await[2..],
            *two,
            "the old one is used until the new one is there"
        );
        let (socket, mut new) = sockets();
        let new_address = new.local_addr().unwrap();
        reservation.redeem(&worker.connections, socket, Vec::new()).await;
        while worker.peer() != Some(new_address) {
            tokio::task::yield_now().await;
        }
        worker.tell("three");
        let three = br#"{"sequenceId":3,"type":"message","from":"server","dataType":"text","data":"three"}"#;
        for expected in [&one[..], two, three] {
            assert_eq!(received(&mut new, 2 + expected.len()).await[2..], *expected);
        }
        let mut rest = Vec::new();
        let end = old.read_to_end(&mut rest);
        assert!(
            end.is_ok() || end.is_err_and(|error| error.kind() != ErrorKind::WouldBlock),
            "it is still open"
        );
        assert!(rest.is_empty(), "{rest:?}");
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
        assert_eq!(received(&mut client, REFUSED.len()).await, REFUSED);
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

#[test]
fn others_have_their_turn_while_connections_end_and_much_is_queued() {
    with_worker(async |worker| {
        worker.pass(30).await;
        let router = &worker.connections.router;
        let other = NewMember {
            hub: hub(),
            connection_id: ConnectionId::new(2, 0, &node()),
            user_id: None,
            subprotocol: Some(Subprotocol::Json),
        };
        let (key, pending) = router.attach(&other);
        router.settle(pending).await.unwrap();
        (0..=CONFIG.outbox_messages).for_each(|_| router.shard().tell(key, &Downstream::Pong));
        assert!(router.shard().needs_flush());
        let had_turn = Rc::new(Cell::new(false));
        let turn = Rc::clone(&had_turn);
        tokio::task::spawn_local(async move { turn.set(true) });
        worker.pass(1).await;
        assert!(!worker.has_it() && had_turn.get());
        assert!(!router.shard().needs_flush(), "what was queued has been written");
    });
}
