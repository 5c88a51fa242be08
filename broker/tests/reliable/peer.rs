//! A reliable client on a bare socket, which loses it when told to.

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::support::{ClientSpec, Frame, Opcode, RawSocket, Response, Server, escape};

/// What a client is told that may not come back.
pub(crate) const NOT_RECOVERED: &str = "The connection could not be recovered.";

/// A connected client.
pub(crate) struct Peer {
    pub(crate) socket: RawSocket,
    pub(crate) ticket: Ticket,
}

/// What a client keeps to come back.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) dialect: Dialect,
    pub(crate) hub: String,
    pub(crate) id: String,
    pub(crate) token: String,
}

/// A client that may do everything with groups, and is in group `g`.
pub(crate) fn member(dialect: Dialect) -> ClientSpec {
    let spec = ClientSpec::simple().offer(dialect.subprotocol()).user("ann").group("g");
    spec.role("webpubsub.joinLeaveGroup").role("webpubsub.sendToGroup")
}

impl Peer {
    /// Connects to hub `chat` and reads `connected`.
    pub(crate) async fn connect(server: &Server, dialect: Dialect) -> Self {
        Self::connect_as(server, dialect, &member(dialect)).await
    }

    pub(crate) async fn connect_as(server: &Server, dialect: Dialect, spec: &ClientSpec) -> Self {
        let mut socket = server.raw_upgraded("chat", spec).await;
        let connected = dialect.read(&next_frame(&mut socket).await);
        assert_eq!(connected["event"], "connected", "{connected}");
        let text = |name: &str| connected[name].as_str().unwrap().to_owned();
        let (id, token) = (text("connectionId"), text("reconnectionToken"));
        let ticket = Ticket { dialect, hub: "chat".to_owned(), id, token };
        Self { socket, ticket }
    }

    /// The next message; pings are not looked at.
    pub(crate) async fn next(&mut self) -> Value {
        self.dialect().read(&next_frame(&mut self.socket).await)
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.ticket.dialect
    }

    /// The next message must have these data and this number.
    pub(crate) async fn expect(&mut self, data: &str, sequence_id: u64) {
        let message = self.next().await;
        assert_eq!((&message["data"], &message["sequenceId"]), (&json!(data), &json!(sequence_id)));
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.socket.send(&self.dialect().frame(&message)).await;
    }

    /// Acknowledges all up to a number, and waits until the broker knows it.
    pub(crate) async fn acknowledge(&mut self, sequence_id: u64) {
        self.send(json!({"type": "sequenceAck", "sequenceId": sequence_id})).await;
        self.expect_nothing_before_pong().await;
    }

    pub(crate) async fn expect_nothing_before_pong(&mut self) {
        self.send(json!({"type": "ping"})).await;
        assert_eq!(self.next().await, json!({"type": "pong"}));
    }

    /// Gives its socket up by a close without a code, and waits until the broker knows it.
    pub(crate) async fn away(mut self) -> Ticket {
        self.socket.send(&Frame::close_without_code()).await;
        while self.socket.try_read_frame().await.is_some() {}
        self.ticket
    }

    /// Loses its socket without a word.
    pub(crate) fn lose(self) -> Ticket {
        self.ticket
    }
}

impl Ticket {
    /// Comes back, with nothing but id and token.
    pub(crate) async fn recover(&self, server: &Server) -> Peer {
        let offer = self.dialect.subprotocol();
        let (socket, response) = self.try_recover(server, &[("Sec-WebSocket-Protocol", offer)]).await;
        assert_eq!(response.status, 101, "{response:?}");
        assert_eq!(response.header("sec-websocket-protocol"), Some(offer));
        Peer { socket, ticket: self.clone() }
    }

    pub(crate) async fn try_recover(
        &self,
        server: &Server,
        headers: &[(&str, &str)],
    ) -> (RawSocket, Response) {
        let mut socket = server.raw().await;
        let response = socket.upgrade(&self.path(), headers).await;
        (socket, response)
    }

    /// Path and query of the request.
    pub(crate) fn path(&self) -> String {
        format!("/client/hubs/{}?{}", self.hub, self.query())
    }

    /// What says in the request who comes back.
    pub(crate) fn query(&self) -> String {
        let (id, token) = (escape(&self.id), escape(&self.token));
        format!("awps_connection_id={id}&awps_reconnection_token={token}")
    }

    /// Must not come back.
    pub(crate) async fn expect_refused(&self, server: &Server, why: &str) {
        let offer = self.dialect.subprotocol();
        let (mut socket, response) = self.try_recover(server, &[("Sec-WebSocket-Protocol", offer)]).await;
        assert_eq!(response.status, 101, "{why}: an HTTP error would make the SDKs try again");
        assert_eq!(response.header("sec-websocket-protocol"), Some(offer), "{why}");
        assert_eq!(socket.read_frame().await, Frame::close(1008, NOT_RECOVERED).unmasked(), "{why}");
    }
}

/// The next frame that is no ping.
pub(crate) async fn next_frame(socket: &mut RawSocket) -> Frame {
    loop {
        let frame = socket.read_frame().await;
        if frame.opcode != Opcode::PING {
            return frame;
        }
    }
}

/// The application sends to group `g`.
pub(crate) async fn publish(server: &Server, data: &str) {
    server.rest().post("/api/hubs/chat/groups/g/:send").text(data).expect(202).await;
}

/// Waits until a connection has ended for good, as the application sees it.
pub(crate) async fn ended(server: &Server, id: &str) {
    let gone = async {
        let target = format!("/api/hubs/chat/connections/{id}");
        while server.rest().head(&target).send().await.status == 200 {
            tokio::task::yield_now().await;
        }
    };
    crate::support::within_deadline("the end of the connection", gone).await;
}
