//! Black-box tests of clients that do not read: dropped once too much waits for them, to nobody else's harm. Source:
//! `limits.md` 3 and `client-protocols.md` 4.1.
//!
//! How much the kernel takes before anything waits in the broker is not ours to say, so the tests publish until the
//! client is gone and only bound how much that may take.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Client, ClientSpec, Frame, Opcode, RawSocket, Server, Setup};

/// More than the kernel buffers for one connection on either side.
const KERNEL: usize = 24 << 20;

/// The memory of the process is looked at, so one test runs at a time.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Filling the kernel's buffers may take longer than the usual interval between pings, which are not what is read for.
fn without_pings(setup: &mut Setup) {
    setup.keep_alive("chat", Duration::from_secs(120));
}

/// A client that has read its `connected` and will read nothing more for now, and its connection id.
async fn sleeper(server: &Server, hub: &str) -> (RawSocket, String) {
    let mut socket = server.raw_upgraded(hub, &ClientSpec::json().group("g")).await;
    let connected: Value = serde_json::from_slice(&socket.read_frame().await.content).unwrap();
    (socket, connected["connectionId"].as_str().unwrap().to_owned())
}

async fn exists(server: &Server, id: &str) -> bool {
    server.rest().head(&format!("/api/hubs/chat/connections/{id}")).send().await.status == 200
}

/// Publishes text to the group, and its only reading member receives it in full and in order.
struct Traffic {
    publisher: Client,
    neighbour: Client,
    size: usize,
    sent: usize,
}

impl Traffic {
    async fn start(server: &Server, size: usize) -> Self {
        let publisher = server.connect("chat", ClientSpec::member()).await;
        let neighbour = server.connect("chat", ClientSpec::json().group("g")).await;
        Self { publisher, neighbour, size, sent: 0 }
    }

    async fn exchange(&mut self, count: usize) {
        let batch = self.sent..self.sent + count;
        self.sent += count;
        let text = |n: usize| text(n, self.size);
        let (publisher, neighbour) = (&mut self.publisher, &mut self.neighbour);
        let publish = async {
            for n in batch.clone() {
                publisher.publish("g", &text(n)).await;
            }
        };
        let receive = async {
            for n in batch.clone() {
                assert!(neighbour.next_json().await["data"] == text(n), "message {n} is wrong or lost");
            }
        };
        tokio::join!(publish, receive);
    }

    fn bytes(&self) -> usize {
        self.sent * self.size
    }
}

/// The number of a message in a text of so many characters.
fn text(number: usize, size: usize) -> String {
    let number = number.to_string();
    "-".repeat(size - number.len()) + &number
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// Publishes until the sleeper is gone, which must happen before `limit` bytes have been sent.
async fn publish_until_gone(server: &Server, traffic: &mut Traffic, id: &str, limit: usize) {
    let batch = ((256 << 10) / traffic.size).clamp(1, 200);
    while exists(server, id).await {
        assert!(traffic.bytes() <= limit, "still there after {} bytes", traffic.bytes());
        traffic.exchange(batch).await;
    }
}

/// The socket ends without a close frame after the messages that the kernel had taken.
async fn expect_abort(mut socket: RawSocket) {
    while let Some(frame) = socket.try_read_frame().await {
        assert_eq!(frame.opcode, Opcode::TEXT, "no close frame for a slow client");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_when_16_mib_wait_and_its_neighbour_misses_nothing() {
    let _turn = TURN.lock().await;
    let server = Server::with(without_pings).await;
    let (socket, id) = sleeper(&server, "chat").await;
    let mut traffic = Traffic::start(&server, 256 << 10).await;
    let before = resident();
    publish_until_gone(&server, &mut traffic, &id, KERNEL + (16 << 20)).await;
    assert!(traffic.bytes() > 16 << 20, "gone after only {} bytes", traffic.bytes());
    let growth = resident().saturating_sub(before);
    assert!(growth < 96 << 20, "the process grew by {growth} bytes");
    traffic.exchange(20).await;
    expect_abort(socket).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_when_1000_messages_wait() {
    let _turn = TURN.lock().await;
    let server = Server::with(without_pings).await;
    let (socket, id) = sleeper(&server, "chat").await;
    // With so small messages the thousand is reached long before the sixteen mebibytes.
    let mut traffic = Traffic::start(&server, 4 << 10).await;
    publish_until_gone(&server, &mut traffic, &id, KERNEL + (1200 * (4 << 10))).await;
    assert!(traffic.sent > 1000, "gone after only {} messages", traffic.sent);
    traffic.exchange(100).await;
    expect_abort(socket).await;
}

#[tokio::test]
async fn the_bounds_are_those_that_were_configured() {
    let _turn = TURN.lock().await;
    let server = Server::with(|setup| {
        without_pings(setup);
        setup.outbox(10, 1 << 20);
    })
    .await;
    let (socket, id) = sleeper(&server, "chat").await;
    let mut traffic = Traffic::start(&server, 32 << 10).await;
    // One at a time, so that the neighbour, who reads, never has ten waiting.
    while exists(&server, &id).await {
        assert!(traffic.bytes() <= KERNEL, "still there after {} bytes", traffic.bytes());
        traffic.exchange(8).await;
    }
    expect_abort(socket).await;
}

#[tokio::test]
async fn a_pause_shorter_than_the_bounds_costs_nothing() {
    let _turn = TURN.lock().await;
    let server = Server::with(without_pings).await;
    let (mut socket, id) = sleeper(&server, "chat").await;
    let mut traffic = Traffic::start(&server, 1 << 10).await;
    traffic.exchange(900).await;
    assert!(exists(&server, &id).await);
    for n in 0..900 {
        let message: Value = serde_json::from_slice(&socket.read_frame().await.content).unwrap();
        assert_eq!(message["data"], text(n, 1 << 10));
    }
    socket.send(&Frame::text(&json!({"type": "ping"}).to_string())).await;
    assert_eq!(socket.read_frame().await.content, br#"{"type":"pong"}"#);
}

#[tokio::test]
async fn a_client_that_reads_again_gets_all_that_waited() {
    let _turn = TURN.lock().await;
    let server = Server::with(|setup| {
        without_pings(setup);
        setup.outbox(100_000, 256 << 20);
    })
    .await;
    let (mut socket, _) = sleeper(&server, "chat").await;
    let mut traffic = Traffic::start(&server, 64 << 10).await;
    let total = (KERNEL + (8 << 20)) / traffic.size;
    traffic.exchange(total).await;
    // Nothing more is published meanwhile: what waits must come by itself.
    for n in 0..total {
        let message: Value = serde_json::from_slice(&socket.read_frame().await.content).unwrap();
        assert!(message["data"] == text(n, 64 << 10), "message {n} is wrong or lost");
    }
    traffic.exchange(1).await;
    assert_eq!(socket.read_frame().await.opcode, Opcode::TEXT);
}

#[tokio::test]
async fn what_expired_while_it_waited_makes_room_and_is_not_delivered() {
    const LIFE: Duration = Duration::from_secs(3);
    const SHORT_LIVED: usize = 2_000;
    let _turn = TURN.lock().await;
    let server = Server::with(|setup| {
        without_pings(setup);
        setup.outbox(2_600, 256 << 20);
    })
    .await;
    let (mut socket, id) = sleeper(&server, "chat").await;
    let mut traffic = Traffic::start(&server, 64 << 10).await;
    // At most so many wait, and some do, for the kernel does not take all of them.
    let lasting = (KERNEL + (8 << 20)) / traffic.size;
    traffic.exchange(lasting).await;
    for _ in 0..SHORT_LIVED {
        let send = json!({"type": "sendToGroup", "group": "g", "data": 0, "ttlSeconds": LIFE.as_secs()});
        traffic.publisher.send_json(send).await;
        assert_eq!(traffic.neighbour.next_json().await["data"], 0);
    }
    // Not a wait for an event: that time passes is what is tested.
    tokio::time::sleep(LIFE + Duration::from_millis(500)).await;
    traffic.size = 16;
    traffic.exchange(600).await;
    assert!(exists(&server, &id).await, "with what has expired it would have too many, without it has not");
    for n in 0..lasting + 600 {
        let size = if n < lasting { 64 << 10 } else { 16 };
        let message: Value = serde_json::from_slice(&socket.read_frame().await.content).unwrap();
        assert!(message["data"] == text(n, size), "message {n} is wrong or lost");
    }
}

#[tokio::test]
async fn a_client_that_sends_and_never_reads_its_answers_is_dropped_too() {
    let _turn = TURN.lock().await;
    let server = Server::with(without_pings).await;
    let (mut socket, id) = sleeper(&server, "chat").await;
    let request = Frame::text(r#"{"type":"ping"}"#).bytes().repeat(10_000);
    // Seventeen bytes come back for each, so some million pings are needed to fill the kernel's buffers.
    let flood = async {
        loop {
            use tokio::io::AsyncWriteExt;
            if socket.stream.write_all(&request).await.is_err() {
                break;
            }
        }
    };
    let limit = Duration::from_secs(60);
    let gone = tokio::time::timeout(limit, flood).await;
    assert!(gone.is_ok(), "the flood was not stopped");
    assert!(!exists(&server, &id).await);
}
