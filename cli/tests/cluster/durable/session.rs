//! A reliable client that loses its node and goes on at others, as the SDKs do: it repeats under the same ack ids what was
//! not answered, and drops what it has already.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::SOON;
use crate::dialect::Dialect;
use crate::peer::{Peer, Ticket};
use crate::support::{ClientSpec, Opcode, RawSocket, Server};

/// Time between two attempts to come back.
const AGAIN: Duration = Duration::from_millis(200);
/// Longest time for which it tries, less than the service gives it.
const TRIES: Duration = Duration::from_secs(25);
/// How long a socket is listened to in one go.
const QUIET: Duration = Duration::from_secs(5);
/// Messages after which it acknowledges.
const ACKNOWLEDGED_AFTER: u64 = 20;

/// See the module.
pub(super) struct Session {
    ticket: Ticket,
    socket: Option<RawSocket>,
    /// Where it goes on, one after the other.
    others: Vec<SocketAddr>,
    attempts: usize,
    last: u64,
    acknowledged: u64,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message that it has not seen yet.
    Message(Value),
    /// The answer to a request: its ack id, and whether it is done.
    Ack(u64, bool),
    /// Something that does not matter here, or a message for the second time.
    Nothing,
    /// The socket has ended.
    Lost,
}

impl Session {
    /// Connects to the hub `chat`; if it loses its node, it goes on at `others`.
    pub(super) async fn begin(
        server: &Server,
        others: &[SocketAddr],
        (dialect, spec): (Dialect, ClientSpec),
    ) -> Self {
        let Peer { socket, ticket } =
            Peer::connect_as(server, dialect, &spec.offer(dialect.subprotocol())).await;
        let others = others.to_vec();
        Self { ticket, socket: Some(patient(socket)), others, attempts: 0, last: 0, acknowledged: 0 }
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.ticket.id
    }

    /// From now on it comes back to these.
    pub(super) fn go_on_at(&mut self, nodes: &[SocketAddr]) {
        self.others = nodes.to_vec();
    }

    /// Leaves its socket without a word, and gives it away.
    pub(super) fn leave(&mut self) -> Option<RawSocket> {
        self.socket.take()
    }

    /// Sends a message, if there is a socket.
    pub(super) async fn send(&mut self, message: &Value) {
        if let Some(socket) = &mut self.socket {
            socket.send(&self.ticket.dialect.frame(message)).await;
        }
    }

    /// What comes next. Nothing is lost when the future is dropped.
    ///
    /// # Panics
    /// When the connection is closed for good, or a number is missing.
    pub(super) async fn hear(&mut self) -> Heard {
        let Some(socket) = &mut self.socket else { return Heard::Lost };
        let Some(frame) = socket.try_read_frame().await else {
            self.socket = None;
            return Heard::Lost;
        };
        if frame.opcode == Opcode::PING {
            return Heard::Nothing;
        }
        if frame.opcode == Opcode::CLOSE {
            assert!(!matches!(frame.close_code(), Some(1000 | 1008)), "closed for good: {frame:?}");
            self.socket = None;
            return Heard::Lost;
        }
        let message = self.ticket.dialect.read(&frame);
        match message["type"].as_str().unwrap() {
            "ack" => {
                // A request that is done already is refused by that name.
                let is_done = message["success"] == true || message["error"]["name"] == "Duplicate";
                Heard::Ack(message["ackId"].as_u64().unwrap(), is_done)
            }
            "message" => {
                let number = message["sequenceId"].as_u64().expect("every message has a number");
                if number <= self.last {
                    return Heard::Nothing;
                }
                assert_eq!(number, self.last + 1, "a number is missing: {message}");
                self.last = number;
                if self.last >= self.acknowledged + ACKNOWLEDGED_AFTER {
                    self.acknowledged = self.last;
                    let ack = json!({"type": "sequenceAck", "sequenceId": self.last});
                    self.send(&ack).await;
                }
                Heard::Message(message)
            }
            _ => Heard::Nothing,
        }
    }

    /// Comes back on another node.
    ///
    /// # Panics
    /// When that is refused, or takes too long.
    pub(super) async fn come_back(&mut self) {
        let end = Instant::now() + TRIES;
        while self.socket.is_none() {
            assert!(Instant::now() < end, "no node takes the connection up within {TRIES:?}");
            let address = self.others[self.attempts % self.others.len()];
            self.attempts += 1;
            // Its node may be lost, even in the midst of it.
            if let Ok(mut socket) = self.knock(address).await
                && let Some(response) = socket.try_read_response().await
                && response.status == 101
            {
                self.socket = Some(patient(socket));
            } else {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Asks a node to go on there, on a socket on which its answer is to come.
    pub(super) async fn knock(&self, address: SocketAddr) -> std::io::Result<RawSocket> {
        let offer = [("Sec-WebSocket-Protocol", self.ticket.dialect.subprotocol())];
        let mut socket = RawSocket::try_connect(address).await?;
        socket.ask_for_upgrade(&self.ticket.path(), &offer).await;
        Ok(socket)
    }

    /// The next message, wherever it comes, and whenever.
    pub(super) async fn next_message(&mut self) -> Value {
        loop {
            match timeout(QUIET, self.hear()).await {
                Ok(Heard::Message(message)) => return message,
                Ok(Heard::Lost) => self.come_back().await,
                // A node may be silent for longer than sockets wait in other tests: when one is killed just after Redis was
                // lost, the others wait for ten seconds for what it can still say.
                Ok(Heard::Ack(..) | Heard::Nothing) | Err(_) => {}
            }
        }
    }
}

/// A socket on which nothing may come until a lost node is known to be gone.
fn patient(mut socket: RawSocket) -> RawSocket {
    socket.patience = SOON;
    socket
}
