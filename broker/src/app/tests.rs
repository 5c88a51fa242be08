//! What clients of a node see while its links to the others are broken. Source: `client-protocols.md` 2, row 11, and
//! 6.5; `product.md`, promise 4.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codec::ids::{GroupName, HubName};
use codec::message::{Content as MessageContent, Payload};
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;
use crate::auth::key::AccessKey;
use crate::auth::token::{Minting, mint_client};
use crate::backplane::{
    Applied, Arrival, BusError, BusFull, Channel, Content, Envelope, LinkFault, Number, Outlook, Overview,
    PartitionSet, Position, Receipt,
};
use crate::config::{Given, Kept, Machine, Place, Raw, check, entry};
use crate::model::command::{Body, Command, Target, Topic};

const KEY: &str = "a-key-that-nobody-is-shown-in-this-test";

/// Breaks in hub `broken`, and for groups of this name, while it is told to. In hub `slow` it waits to be told.
struct Breaking {
    bus: LocalBus,
    is_broken: Arc<AtomicBool>,
    is_watched: Arc<Semaphore>,
    watches: UnboundedSender<()>,
    room: Arc<Room>,
}

/// What the bus has room for.
#[derive(Default)]
struct Room {
    /// Commands that were published.
    published: AtomicUsize,
    /// Whoever publishes has to wait.
    is_crowded: AtomicBool,
    made: Notify,
}

impl Breaking {
    fn fails(&self, channel: &Channel) -> bool {
        let Channel::Topic(topic) = channel else {
            return false;
        };
        let is_group = matches!(&topic.target, Target::Group(group) if group.as_str() == "broken");
        self.is_broken.load(Ordering::Relaxed) && (is_group || topic.hub.as_str() == "broken")
    }
}

impl Bus for Breaking {
    fn publish(
        &self,
        channel: &Channel,
        envelope: Envelope,
        receipt: Option<Receipt>,
    ) -> Result<Number, BusFull> {
        if self.fails(channel) {
            return Err(BusFull);
        }
        self.room.published.fetch_add(1, Ordering::Relaxed);
        self.bus.publish(channel, envelope, receipt)
    }

    fn watch(&self, channel: &Channel) -> BoxFuture<'static, Result<(), BusError>> {
        if matches!(channel, Channel::Topic(topic) if topic.hub.as_str() == "slow") {
            let is_watched = Arc::clone(&self.is_watched);
            self.watches.send(()).unwrap();
            return async move { is_watched.acquire_owned().await.map(drop).map_err(|_| BusError) }.boxed();
        }
        let watched = if self.fails(channel) { Err(BusError) } else { Ok(()) };
        ready(watched).boxed()
    }

    fn unwatch(&self, _: &Channel) {}

    fn flush(&self) -> BoxFuture<'static, ()> {
        self.bus.flush()
    }

    fn leave(&self) -> BoxFuture<'static, ()> {
        self.bus.leave()
    }
}

impl Overview for Breaking {
    fn room(&self) -> Option<BoxFuture<'static, ()>> {
        let room = Arc::clone(&self.room);
        let is_crowded = room.is_crowded.load(Ordering::Relaxed);
        is_crowded.then(|| async move { room.made.notified().await }.boxed())
    }

    fn position(&self, partitions: &PartitionSet) -> Option<Vec<Position>> {
        self.bus.position(partitions)
    }

    fn outlook(&self) -> Outlook {
        let fault = self.is_broken.load(Ordering::Relaxed).then_some(LinkFault::Deaf);
        Outlook { fault, ..self.bus.outlook() }
    }
}

/// A node whose links are broken until it is said that they are not.
struct Node {
    addresses: Addresses,
    is_broken: Arc<AtomicBool>,
    receiver: mpsc::Receiver<Arc<Receiver>>,
    /// The watches in hub `slow` resolve when there are permits.
    is_watched: Arc<Semaphore>,
    /// Tells of each of these watches.
    watches: UnboundedReceiver<()>,
    room: Arc<Room>,
    _stop: oneshot::Sender<()>,
}

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Node {
    fn start() -> Self {
        let mut raw = Raw::default();
        for (entry, text) in [
            (&entry::ACCESS_KEY, KEY),
            (&entry::TLS_LISTEN, "off"),
            (&entry::OPERATIONS_LISTEN, "127.0.0.1:0"),
            (&entry::DATA_DIR, "unused"),
        ] {
            raw.give(entry, Given { texts: vec![text.to_owned()], place: Place::Flag(entry) });
        }
        raw.fill(&Machine { processors: NonZeroUsize::MIN, data_dir: None });
        let kept = Kept { internal_key: AccessKey::new(KEY).unwrap(), identity: None };
        let mut config = check(&raw).unwrap().into_config(kept);
        config.listen = (Ipv4Addr::LOCALHOST, 0).into();
        let broker = Broker::bind(config).unwrap();
        let addresses = broker.addresses();
        let is_broken = Arc::new(AtomicBool::new(true));
        let broken = Arc::clone(&is_broken);
        let (stop, stopped) = oneshot::channel();
        let (sender, receiver) = mpsc::channel();
        let (watching, watches) = unbounded_channel();
        let is_watched = Arc::new(Semaphore::new(0));
        let may_resolve = Arc::clone(&is_watched);
        let room = Arc::new(Room::default());
        let bus_room = Arc::clone(&room);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let link = async |receive: Receiver, _: &Metrics| {
                let receive = Arc::new(receive);
                sender.send(Arc::clone(&receive)).unwrap();
                let bus = LocalBus::new(Box::new(move |arrival| receive(arrival)));
                let (is_watched, watches) = (may_resolve, watching);
                let room = bus_room;
                Ok(Arc::new(Breaking { bus, is_broken: broken, is_watched, watches, room }) as Arc<dyn Bus>)
            };
            runtime.block_on(broker.run_on(link, async { drop(stopped.await) })).unwrap();
        });
        Self { addresses, is_broken, receiver, is_watched, watches, room, _stop: stop }
    }

    /// What the node says of its health where clients are, and where monitoring is.
    async fn health(&self) -> [String; 2] {
        let operations = self.addresses.operations.unwrap();
        let mut answers = [String::new(), String::new()];
        let places = [(self.addresses.http, "/api/health"), (operations, "/health/ready")];
        for ((address, path), answer) in places.into_iter().zip(&mut answers) {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
            socket.write_all(request.as_bytes()).await.unwrap();
            in_time(socket.read_to_string(answer)).await.unwrap();
        }
        answers
    }

    fn heal(&self) {
        self.is_broken.store(false, Ordering::Relaxed);
    }

    async fn connect(&self, path: &str, offer: Option<&'static str>) -> Client {
        let hub = path.split('?').next().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let minting = Minting {
            audience: &format!("http://{}/client/hubs/{hub}", self.addresses.http),
            user_id: None,
            roles: &["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"],
            groups: &[],
            issued_at: now,
            expires_at: now + 60,
        };
        let token = mint_client(&minting, &AccessKey::new(KEY).unwrap()).unwrap();
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("ws://{}/client/hubs/{path}{separator}access_token={token}", self.addresses.http);
        let mut request = url.into_client_request().unwrap();
        if let Some(offer) = offer {
            request.headers_mut().insert("Sec-WebSocket-Protocol", offer.parse().unwrap());
        }
        in_time(connect_async(request)).await.unwrap().0
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it did not happen in time")
}

async fn next(client: &mut Client) -> Message {
    in_time(client.next()).await.expect("the socket has ended").unwrap()
}

async fn next_json(client: &mut Client) -> Value {
    serde_json::from_str(next(client).await.to_text().unwrap()).unwrap()
}

async fn expect_close(client: &mut Client, code: u16, reason: &str) {
    match next(client).await {
        Message::Close(Some(frame)) => {
            assert_eq!((u16::from(frame.code), frame.reason.as_str()), (code, reason));
        }
        other => panic!("a close frame was expected, not {other:?}"),
    }
}

async fn ask(client: &mut Client, request: &Value) -> Value {
    in_time(client.send(Message::text(request.to_string()))).await.unwrap();
    next_json(client).await
}

const OFFERS: [Option<&str>; 5] = [
    None,
    Some("json.webpubsub.azure.v1"),
    Some("protobuf.webpubsub.azure.v1"),
    Some("json.reliable.webpubsub.azure.v1"),
    Some("protobuf.reliable.webpubsub.azure.v1"),
];

#[tokio::test]
async fn a_client_that_cannot_be_made_visible_is_closed_with_1008_before_anything_else() {
    let node = Node::start();
    for offer in OFFERS {
        let mut client = node.connect("broken", offer).await;
        expect_close(&mut client, 1008, "The connection could not be activated.").await;
    }
    node.heal();
    let mut client = node.connect("broken", OFFERS[1]).await;
    assert_eq!(next_json(&mut client).await["event"], "connected");
}

#[tokio::test]
async fn what_cannot_reach_the_other_nodes_is_an_internal_server_error_and_may_be_tried_again() {
    let node = Node::start();
    let mut client = node.connect("chat", OFFERS[1]).await;
    assert_eq!(next_json(&mut client).await["event"], "connected");
    let requests = [
        json!({"type": "sendToGroup", "group": "broken", "data": 1, "ackId": 1}),
        json!({"type": "joinGroup", "group": "broken", "ackId": 2}),
    ];
    for request in &requests {
        let error = json!({"name": "InternalServerError", "message": "Internal server error"});
        let expected = json!({"type": "ack", "ackId": request["ackId"], "success": false, "error": error});
        assert_eq!(ask(&mut client, request).await, expected);
    }
    node.heal();
    for request in &requests {
        let expected = json!({"type": "ack", "ackId": request["ackId"], "success": true});
        assert_eq!(ask(&mut client, request).await, expected);
    }
}

#[tokio::test]
async fn joins_that_wait_at_once_fail_together() {
    let node = Node::start();
    node.is_watched.add_permits(1);
    let mut client = node.connect("slow", OFFERS[1]).await;
    assert_eq!(next_json(&mut client).await["event"], "connected");
    assert_eq!(node.is_watched.forget_permits(1), 1);
    let begun = std::time::Instant::now();
    for ack_id in 1..=10 {
        let join = json!({"type": "joinGroup", "group": format!("g{ack_id}"), "ackId": ack_id});
        in_time(client.send(Message::text(join.to_string()))).await.unwrap();
    }
    for ack_id in 1..=10 {
        let ack = next_json(&mut client).await;
        assert_eq!((&ack["ackId"], &ack["success"]), (&json!(ack_id), &json!(false)), "{ack}");
    }
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(9), "{waited:?}");
    node.is_watched.add_permits(1);
    let again = json!({"type": "joinGroup", "group": "g1", "ackId": 11});
    assert_eq!(ask(&mut client, &again).await["success"], true);
}

#[tokio::test]
async fn who_publishes_is_not_read_while_the_bus_is_crowded_and_who_listens_is() {
    let node = Node::start();
    let (mut publisher, mut listener) =
        (node.connect("chat", OFFERS[1]).await, node.connect("chat", OFFERS[1]).await);
    next_json(&mut publisher).await;
    next_json(&mut listener).await;
    let published = || node.room.published.load(Ordering::Relaxed);
    let before = published();
    node.room.is_crowded.store(true, Ordering::Relaxed);
    let send = |ack_id: u32| json!({"type": "sendToGroup", "group": "g", "data": 1, "ackId": ack_id});
    assert_eq!(ask(&mut publisher, &send(1)).await["success"], true, "what it has begun is done");
    in_time(publisher.send(Message::text(send(2).to_string()))).await.unwrap();
    for _ in 0..10 {
        assert_eq!(ask(&mut listener, &json!({"type": "ping"})).await["type"], "pong");
    }
    assert_eq!(published() - before, 1);
    node.room.is_crowded.store(false, Ordering::Relaxed);
    node.room.made.notify_one();
    assert_eq!(next_json(&mut publisher).await["ackId"], 2);
    assert_eq!(published() - before, 2);
}

#[tokio::test]
async fn who_waits_for_a_crowded_bus_is_told_that_the_node_stops() {
    let node = Node::start();
    let mut client = node.connect("chat", OFFERS[1]).await;
    next_json(&mut client).await;
    node.room.is_crowded.store(true, Ordering::Relaxed);
    let send = json!({"type": "sendToGroup", "group": "g", "data": 1, "ackId": 1});
    assert_eq!(ask(&mut client, &send).await["success"], true);
    // The node stops.
    drop(node);
    expect_close(&mut client, 1001, "").await;
}

#[tokio::test]
async fn a_simple_client_whose_message_cannot_reach_the_other_nodes_is_closed_with_1011() {
    let node = Node::start();
    let mut client = node.connect("chat?webpubsub_mode=sendToGroup&group=broken", None).await;
    in_time(client.send(Message::text("hi"))).await.unwrap();
    expect_close(&mut client, 1011, "Internal server error").await;
}

#[tokio::test]
async fn a_node_that_cannot_hear_the_others_is_not_ready() {
    let node = Node::start();
    let [clients, monitoring] = node.health().await;
    assert!(clients.starts_with("HTTP/1.1 503 "), "{clients}");
    assert!(monitoring.starts_with("HTTP/1.1 503 "), "{monitoring}");
    assert!(monitoring.ends_with("\r\n\r\nnot ready: cannot hear the other nodes\n"), "{monitoring}");
    node.heal();
    for answer in node.health().await {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

/// A message of the application to a hub, as it comes from another node.
fn message(hub: &str) -> Arrival {
    let content = Body::from_application(MessageContent { payload: Payload::text("hi"), metadata: None });
    let command = Command {
        hub: HubName::new(hub).unwrap(),
        target: Target::Hub,
        body: content,
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    };
    let content = Content::Command { applied: Applied::OnReceipt, command: Arc::new(command) };
    Arrival::Envelope(
        Envelope { origin: NodeId::new("other").unwrap(), content, publication: None },
        Number { epoch: 1, sequence: 1 },
    )
}

#[tokio::test]
async fn what_comes_while_the_other_nodes_are_told_of_a_client_comes_after_connected() {
    let mut node = Node::start();
    node.heal();
    let receive = node.receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    let mut neighbour = node.connect("chat", OFFERS[1]).await;
    assert_eq!(next_json(&mut neighbour).await["event"], "connected");
    for offer in [OFFERS[1], OFFERS[3]] {
        let mut client = node.connect("slow", offer).await;
        in_time(node.watches.recv()).await.unwrap();
        // Both take the same way: when the second is there, the first has been dealt with.
        receive(message("slow"));
        receive(message("chat"));
        assert_eq!(next_json(&mut neighbour).await["data"], "hi");
        node.is_watched.add_permits(1);
        assert_eq!(next_json(&mut client).await["event"], "connected");
        assert_eq!(next_json(&mut client).await["data"], "hi");
        // Whoever comes next waits again.
        client.close(None).await.unwrap();
        while in_time(client.next()).await.is_some() {}
        node.is_watched.forget_permits(1);
    }
}

#[tokio::test]
async fn whoever_may_have_missed_messages_and_was_promised_them_begins_anew() {
    let node = Node::start();
    let receive = node.receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    let group = |name| Target::Group(GroupName::new(name).unwrap());
    let lost = [Some(Topic { hub: HubName::new("chat").unwrap(), target: group("lost") }), None];
    for topic in lost {
        let mut plain = node.connect("chat", OFFERS[1]).await;
        let mut elsewhere = node.connect("chat", OFFERS[3]).await;
        let mut member = node.connect("chat", OFFERS[3]).await;
        let mut recovery = String::new();
        for (client, group) in [(&mut plain, "lost"), (&mut elsewhere, "other"), (&mut member, "lost")] {
            let connected = next_json(client).await;
            let join = json!({"type": "joinGroup", "group": group, "ackId": 1});
            assert_eq!(ask(client, &join).await["success"], true);
            let text = |name: &str| connected[name].as_str().unwrap_or_default().to_owned();
            recovery = format!(
                "chat?awps_connection_id={}&awps_reconnection_token={}",
                text("connectionId"),
                text("reconnectionToken")
            );
        }
        receive(Arrival::Lost(topic.clone()));
        assert!(
            in_time(member.next()).await.unwrap().is_err(),
            "the socket is dropped without a close frame"
        );
        let mut again = node.connect(&recovery, OFFERS[3]).await;
        expect_close(&mut again, 1008, "The connection could not be recovered.").await;
        // A plain client was promised nothing, and who was not in the group has missed nothing.
        let ping = json!({"type": "ping"});
        assert_eq!(ask(&mut plain, &ping).await["type"], "pong");
        if topic.is_some() {
            assert_eq!(ask(&mut elsewhere, &ping).await["type"], "pong");
        } else {
            assert!(in_time(elsewhere.next()).await.unwrap().is_err());
        }
    }
}
