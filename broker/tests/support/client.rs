//! A client as an application would have it: messages out, messages in.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::server::Server;
use super::spec::ClientSpec;
use super::{DEADLINE, within_deadline};

/// What a client receives. Pings are answered unseen.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// A message of text.
    Text(String),
    /// A message of bytes.
    Binary(Vec<u8>),
    /// The answer to a ping.
    Pong(Vec<u8>),
    /// A close frame with its code, 1005 if it has none, and its reason.
    Close(u16, String),
    /// The socket has ended.
    End,
}

/// A connected WebSocket.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    subprotocol: Option<String>,
    connection_id: Option<String>,
    speaks_json: bool,
    speaks_protobuf: bool,
    next_ack: u64,
    next_marker: u64,
}

impl Client {
    /// Connects; nothing is read after the handshake.
    pub async fn open(server: &Server, hub: &str, spec: ClientSpec) -> Self {
        let url = format!("ws://{}{}", server.address(), spec.path(server, hub));
        let mut request = url.into_client_request().unwrap();
        for (_, offer) in spec.headers() {
            let value = HeaderValue::from_str(offer).unwrap();
            request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, value);
        }
        let stream = within_deadline("a connection", TcpStream::connect(server.address())).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let handshake = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        let (socket, response) = within_deadline("the handshake", handshake).await.unwrap();
        let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
        Self {
            socket,
            subprotocol: chosen.map(|name| name.to_str().unwrap().to_owned()),
            connection_id: None,
            speaks_json: spec.speaks_json(),
            speaks_protobuf: spec.speaks_protobuf(),
            next_ack: 1_000_000,
            next_marker: 0,
        }
    }

    /// Waits until the connection is visible to everybody: a client of a subprotocol reads its `connected`, any other
    /// asks for a pong, which is not answered before.
    pub async fn settle(&mut self) {
        if self.speaks_json {
            let message = self.next_json().await;
            assert_eq!((&message["type"], &message["event"]), (&json!("system"), &json!("connected")));
            self.connection_id = Some(message["connectionId"].as_str().unwrap().to_owned());
        } else if self.speaks_protobuf {
            self.connection_id = Some(self.next_connected().await.connection_id);
        } else {
            self.expect_nothing_before_pong().await;
        }
    }

    /// The id that the broker gave to a connection with a subprotocol.
    pub fn connection_id(&self) -> &str {
        self.connection_id.as_deref().expect("only a settled client of a subprotocol knows its id")
    }

    /// The subprotocol that the broker chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Message) {
        within_deadline("sending", self.socket.send(message)).await.unwrap();
    }

    /// Sends a JSON message.
    pub async fn send_json(&mut self, value: Value) {
        self.send_text(&value.to_string()).await;
    }

    /// Sends text.
    pub async fn send_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// Sends bytes.
    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.send(Message::binary(bytes.to_vec())).await;
    }

    /// Sends a close frame.
    pub async fn send_close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        self.send(Message::Close(Some(frame))).await;
    }

    /// Sends a request with an ack id of its own and returns the ack, which must be the next message.
    pub async fn request(&mut self, mut request: Value) -> Value {
        let ack_id = self.next_ack;
        self.next_ack += 1;
        request["ackId"] = ack_id.into();
        self.send_json(request).await;
        let ack = self.next_json().await;
        assert_eq!((&ack["type"], &ack["ackId"]), (&json!("ack"), &json!(ack_id)), "{ack}");
        ack
    }

    /// Joins a group.
    pub async fn join(&mut self, group: &str) {
        let ack = self.request(json!({"type": "joinGroup", "group": group})).await;
        assert_eq!(ack["success"], true, "{ack}");
    }

    /// Leaves a group.
    pub async fn leave(&mut self, group: &str) {
        let ack = self.request(json!({"type": "leaveGroup", "group": group})).await;
        assert_eq!(ack["success"], true, "{ack}");
    }

    /// Publishes text to a group without waiting for anything.
    pub async fn publish(&mut self, group: &str, text: &str) {
        self.send_json(json!({"type": "sendToGroup", "group": group, "dataType": "text", "data": text}))
            .await;
    }

    /// The next thing that comes.
    pub async fn next(&mut self) -> Received {
        within_deadline("a message", self.next_unhurried()).await
    }

    /// The next thing that comes, however long it takes.
    pub async fn next_unhurried(&mut self) -> Received {
        loop {
            return match self.socket.next().await {
                Some(Ok(Message::Text(text))) => Received::Text(text.to_string()),
                Some(Ok(Message::Binary(bytes))) => Received::Binary(bytes.to_vec()),
                Some(Ok(Message::Pong(bytes))) => Received::Pong(bytes.to_vec()),
                Some(Ok(Message::Close(None))) => Received::Close(1005, String::new()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    Received::Close(frame.code.into(), frame.reason.to_string())
                }
                Some(Ok(Message::Ping(_) | Message::Frame(_))) => continue,
                Some(Err(_)) | None => Received::End,
            };
        }
    }

    /// The next message, which must be of text.
    pub async fn next_text(&mut self) -> String {
        match self.next().await {
            Received::Text(text) => text,
            other => panic!("text was expected, not {other:?}"),
        }
    }

    /// The next message, which must be of bytes.
    pub async fn next_binary(&mut self) -> Vec<u8> {
        match self.next().await {
            Received::Binary(bytes) => bytes,
            other => panic!("bytes were expected, not {other:?}"),
        }
    }

    /// The next message, which must be JSON.
    pub async fn next_json(&mut self) -> Value {
        let text = self.next_text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Proves that nothing was on its way: asks for a pong, which must be what comes next.
    ///
    /// This holds for what the broker does on behalf of this connection's own messages. Where somebody else sends, a
    /// later message of the same sender is the proof.
    pub async fn expect_nothing_before_pong(&mut self) {
        self.next_marker += 1;
        let marker = self.next_marker.to_be_bytes().to_vec();
        self.send(Message::Ping(Bytes::from(marker.clone()))).await;
        assert_eq!(self.next().await, Received::Pong(marker));
    }

    /// The next thing is a close frame with this code and reason, and then the socket ends.
    pub async fn expect_close(&mut self, code: u16, reason: &str) {
        assert_eq!(self.next().await, Received::Close(code, reason.into()));
        assert_eq!(self.next().await, Received::End);
    }

    /// The socket ends without a close frame.
    pub async fn expect_abort(&mut self) {
        assert_eq!(self.next().await, Received::End);
    }

    /// Reads until the socket ends and returns all that came.
    pub async fn drain(&mut self) -> Vec<Received> {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Received::End => return all,
                received => all.push(received),
            }
        }
    }

    /// Closes in an orderly way and waits for the broker's answer.
    pub async fn close(mut self) {
        self.send_close(1000, "").await;
        let ended = async { while self.next_unhurried().await != Received::End {} };
        assert!(tokio::time::timeout(DEADLINE, ended).await.is_ok(), "the close was not answered");
    }
}
