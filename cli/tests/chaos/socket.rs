//! One WebSocket of a client that speaks JSON, plain or reliable.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};

use crate::record::Kind;
use crate::support::{JSON, JSON_RELIABLE};
use crate::world::Door;

/// Longest wait for the answer to a request to connect.
const PATIENCE: Duration = Duration::from_secs(3);

/// See the module.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incoming<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    event: Option<Cow<'a, str>>,
    connection_id: Option<Cow<'a, str>>,
    reconnection_token: Option<Cow<'a, str>>,
    ack_id: Option<u64>,
    success: Option<bool>,
    error: Option<Fault<'a>>,
    data: Option<Cow<'a, str>>,
    sequence_id: Option<u64>,
}

#[derive(Deserialize)]
struct Fault<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl Socket {
    /// Connects. Nothing if nobody is there, or answers in time, or the answer is an HTTP status, which asks the client to
    /// try again.
    pub(crate) async fn open(door: Door, path: &str, kind: Kind) -> Option<Self> {
        timeout(PATIENCE, Self::upgrade(door, path, kind)).await.ok()?
    }

    async fn upgrade(door: Door, path: &str, kind: Kind) -> Option<Self> {
        let mut request = format!("ws://{}{path}", door.address).into_client_request().unwrap();
        let offer = HeaderValue::from_static(match kind {
            Kind::Plain => JSON,
            Kind::Reliable => JSON_RELIABLE,
        });
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, offer);
        let stream = TcpStream::connect(door.address).await.ok()?;
        let _ = stream.set_nodelay(true);
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.ok()?;
        Some(Self(socket))
    }

    /// Sends text. That it cannot be sent shows when the next thing is read.
    pub(crate) async fn say(&mut self, text: String) {
        let _ = self.0.send(Message::text(text)).await;
    }

    /// Waits for the next thing. Dropping the future loses nothing.
    pub(crate) async fn hear(&mut self) -> Heard {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Heard::parse(&text),
            Some(Ok(Message::Close(frame))) => Heard::Closed(frame.map_or(1005, |frame| frame.code.into())),
            Some(Ok(_)) => Heard::Other,
            Some(Err(_)) | None => Heard::Ended,
        }
    }

    /// Drops the socket, as a network does or as a process that ends.
    pub(crate) fn drop_as(self, reset: bool) {
        if reset {
            let _ = self.0.get_ref().set_zero_linger();
        }
    }

    /// Ends the connection for good.
    pub(crate) async fn leave(mut self) {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = timeout(PATIENCE, self.0.close(Some(frame))).await;
    }
}

impl Heard {
    fn parse(text: &str) -> Self {
        let incoming: Incoming<'_> =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        match (incoming.r#type.as_ref(), incoming.event.as_deref()) {
            ("system", Some("connected")) => Self::Connected {
                connection: incoming.connection_id.expect("every connection has an id").into_owned(),
                token: incoming.reconnection_token.map(Cow::into_owned),
            },
            ("ack", _) => {
                let is_duplicate = || incoming.error.as_ref().is_some_and(|fault| fault.name == "Duplicate");
                let outcome = match incoming.success == Some(true) || is_duplicate() {
                    true => Outcome::Done,
                    false => {
                        Outcome::Failed(incoming.error.map_or_else(String::new, |e| e.name.into_owned()))
                    }
                };
                Self::Ack { id: incoming.ack_id.expect("an ack names what it answers"), outcome }
            }
            ("message", _) => {
                let data = incoming.data.unwrap_or_default();
                let tag = Tag::parse(&data).unwrap_or_else(|| panic!("nobody publishes {data:?}"));
                Self::Message { tag, sequence: incoming.sequence_id }
            }
            _ => Self::Other,
        }
    }
}

impl Tag {
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
