//! A client of a protobuf subprotocol that comes back when it has lost its socket, if the subprotocol is reliable.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use proto::client::downstream_message::system_message::{self, ConnectedMessage};
use proto::client::downstream_message::{Message as Downstream, SystemMessage};
use proto::client::upstream_message::Message as Upstream;
use proto::client::{DownstreamMessage, UpstreamMessage};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::dialect::Dialect;
use crate::peer::Ticket;
use crate::support::{ClientSpec, Proxy, Server};

/// How long a client tries to come back: as long as the broker keeps its connection.
const RECOVERY: Duration = Duration::from_secs(30);
/// Pause before another attempt.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// A way to the broker, and what is spoken there.
pub(super) struct Line<'a> {
    server: &'a Server,
    via: SocketAddr,
    subprotocol: &'static str,
}

/// See the module.
pub(super) struct Client {
    name: String,
    via: SocketAddr,
    authority: SocketAddr,
    subprotocol: &'static str,
    /// Only on a reliable subprotocol.
    ticket: Option<Ticket>,
    socket: WebSocketStream<TcpStream>,
    /// How often it has come back.
    recoveries: u32,
}

/// The socket is lost.
#[derive(Debug)]
pub(super) struct Lost;

impl<'a> Line<'a> {
    pub(super) fn direct(server: &'a Server, subprotocol: &'static str) -> Self {
        Self { server, via: server.address(), subprotocol }
    }

    pub(super) fn through(proxy: &Proxy, server: &'a Server, subprotocol: &'static str) -> Self {
        Self { server, via: proxy.address(), subprotocol }
    }

    pub(super) fn subprotocol(&self) -> &'static str {
        self.subprotocol
    }
}

impl Client {
    /// Connects and reads the greeting. The network must not be faulty yet.
    pub(super) async fn connect(line: &Line<'_>, name: String, spec: ClientSpec) -> Self {
        let Line { server, via, subprotocol } = *line;
        let authority = server.address();
        let path = spec.path(server, "chat");
        let socket = open(via, authority, subprotocol, &path).await.unwrap();
        let mut client = Self { name, via, authority, subprotocol, ticket: None, socket, recoveries: 0 };
        let Ok(Downstream::SystemMessage(SystemMessage {
            message: Some(system_message::Message::ConnectedMessage(connected)),
        })) = client.next().await
        else {
            panic!("{} was not greeted", client.name);
        };
        let ConnectedMessage { connection_id: id, reconnection_token, .. } = connected;
        client.ticket = reconnection_token.map(|token| Ticket {
            dialect: Dialect::Protobuf,
            hub: "chat".into(),
            id,
            token,
        });
        client
    }

    /// Whether it can come back.
    pub(super) fn is_reliable(&self) -> bool {
        self.ticket.is_some()
    }

    /// How often it has come back; nothing on the plain subprotocol, where nobody can.
    pub(super) fn recoveries(&self) -> Option<u32> {
        self.is_reliable().then_some(self.recoveries)
    }

    /// The next message. Giving up to wait loses nothing.
    pub(super) async fn next(&mut self) -> Result<Downstream, Lost> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    return Ok(DownstreamMessage::decode(bytes).unwrap().message.unwrap());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Policy => {
                    panic!("{} has lost its connection for good: {}", self.name, frame.reason);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Lost),
                Some(Ok(other)) => panic!("{} was sent {other:?}", self.name),
            }
        }
    }

    pub(super) async fn send(&mut self, messages: impl IntoIterator<Item = Upstream>) -> Result<(), Lost> {
        for message in messages {
            let message = UpstreamMessage { message: Some(message) };
            self.socket.feed(Message::binary(message.encode_to_vec())).await.map_err(|_| Lost)?;
        }
        self.socket.flush().await.map_err(|_| Lost)
    }

    /// Takes the connection up again on another socket. Whether the broker agrees, [`Client::next`] will tell.
    pub(super) async fn recover(&mut self) {
        let Some(ticket) = &self.ticket else {
            panic!("{} has lost its socket, which nobody has touched", self.name);
        };
        let path = ticket.path();
        let deadline = Instant::now() + RECOVERY;
        loop {
            match open(self.via, self.authority, self.subprotocol, &path).await {
                Ok(socket) => {
                    self.socket = socket;
                    self.recoveries += 1;
                    return;
                }
                Err(Error::Http(response)) if response.status() != StatusCode::SERVICE_UNAVAILABLE => {
                    panic!("{} came back and was answered {}", self.name, response.status());
                }
                Err(error) if Instant::now() > deadline => {
                    panic!("{} could not come back within {RECOVERY:?}: {error}", self.name);
                }
                Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
            }
        }
    }
}

async fn open(
    via: SocketAddr,
    authority: SocketAddr,
    subprotocol: &'static str,
    path: &str,
) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://{authority}{path}").into_client_request()?;
    let offer = HeaderValue::from_static(subprotocol);
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, offer);
    let stream = TcpStream::connect(via).await?;
    stream.set_nodelay(true)?;
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    Ok(socket)
}
