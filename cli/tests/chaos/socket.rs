//! One WebSocket of a client, plain or reliable.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};

use crate::dialect::{Dialect, Said};
use crate::record::Kind;
use crate::world::Door;

/// Longest wait for the answer to a request to connect.
const PATIENCE: Duration = Duration::from_secs(3);

/// See the module.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
    dialect: Dialect,
}

/// What comes over it.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The connection's id, and the proof by which it is taken up again if it is reliable.
    Connected {
        connection: String,
        token: Option<String>,
    },
    Ack {
        id: u64,
        outcome: Outcome,
    },
    Message {
        tag: Tag,
        sequence: Option<u64>,
    },
    /// Nothing that matters here.
    Other,
    /// A close frame with this code.
    Closed(u16),
    Ended,
}

/// What an ack says. The broker has done before what is a duplicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed(String),
}

/// What every message carries: who published it, what it belongs together with, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) publisher: u32,
    pub(crate) scope: u32,
    pub(crate) number: u32,
}

impl Socket {
    /// Connects. Nothing if nobody is there, or answers in time, or the answer is an HTTP status, which asks the client to
    /// try again.
    pub(crate) async fn open(door: Door, path: &str, (kind, dialect): (Kind, Dialect)) -> Option<Self> {
        let stream = timeout(PATIENCE, upgrade(door, path, dialect.subprotocol(kind))).await.ok()??;
        Some(Self { stream, dialect })
    }

    /// Sends a message. That it cannot be sent shows when the next thing is read.
    pub(crate) async fn say(&mut self, said: Said) {
        let _ = self.stream.send(self.dialect.write(said)).await;
    }

    /// Waits for the next thing. Dropping the future loses nothing.
    pub(crate) async fn hear(&mut self) -> Heard {
        match self.stream.next().await {
            Some(Ok(message)) => self.dialect.read(&message),
            Some(Err(_)) | None => Heard::Ended,
        }
    }

    /// Drops the socket, as a network does or as a process that ends.
    pub(crate) fn drop_as(self, reset: bool) {
        if reset {
            let _ = self.stream.get_ref().set_zero_linger();
        }
    }

    /// Ends the connection for good.
    pub(crate) async fn leave(mut self) {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = timeout(PATIENCE, self.stream.close(Some(frame))).await;
    }
}

async fn upgrade(door: Door, path: &str, subprotocol: &'static str) -> Option<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{}{path}", door.address).into_client_request().unwrap();
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    let stream = TcpStream::connect(door.address).await.ok()?;
    let _ = stream.set_nodelay(true);
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await.ok()?;
    Some(socket)
}

impl Outcome {
    /// What an ack says, and the name of the error if there is one.
    pub(crate) fn of(success: bool, fault: Option<&str>) -> Self {
        match success || fault == Some("Duplicate") {
            true => Self::Done,
            false => Self::Failed(fault.unwrap_or_default().to_owned()),
        }
    }
}

impl Tag {
    /// Reads what a message carries.
    ///
    /// # Panics
    /// When nobody publishes such a thing.
    pub(crate) fn expect(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| panic!("nobody publishes {text:?}"))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self { publisher: next()?, scope: next()?, number: next()? })
    }

    /// As a message carries it.
    pub(crate) fn text(self) -> String {
        format!("{}.{}.{}", self.publisher, self.scope, self.number)
    }
}
