//! Streams of publishers that lose their socket, and of members that do. Source: `client-protocols.md` 9.2, 9.3 and
//! 10.2.

use std::time::Duration;

use prost::Message as _;
use proto::client::downstream_message::Message as Downstream;
use proto::client::downstream_message::system_message::Message as System;
use serde_json::Value;

use crate::dialect::Dialect;
use crate::peer::{Ticket, next_frame};
use crate::support::streams::{Saying, Wire, end, heard, message, part, ping, start, start_for, start_to};
use crate::support::{Client, ClientSpec, Frame, RawSocket, Server};

/// A reliable client of either subprotocol, which has a ticket once it has been greeted.
struct Peer {
    wire: Wire,
    socket: RawSocket,
    ticket: Ticket,
}

impl Peer {
    async fn connect(server: &Server, wire: Wire, spec: &ClientSpec) -> Self {
        let mut socket = server.raw_upgraded("chat", spec).await;
        let ticket = ticket(wire, &next_frame(&mut socket).await);
        Self { wire, socket, ticket }
    }

    async fn publisher(server: &Server, wire: Wire) -> Self {
        Self::connect(server, wire, &wire.reliable_publisher()).await
    }

    async fn say(&mut self, saying: &Saying) {
        self.socket.send(&self.wire.frame(saying)).await;
    }

    async fn hear(&mut self) -> String {
        heard(&next_frame(&mut self.socket).await)
    }

    async fn ask(&mut self, saying: &Saying, expected: &str) {
        self.say(saying).await;
        assert_eq!(self.hear().await, expected, "{saying:?}");
    }

    async fn hear_all(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.hear().await, *expected);
        }
    }

    /// Loses its socket and comes back. Whatever is sent first is still to be heard.
    async fn come_back(self, server: &Server) -> Self {
        let Self { wire, ticket, .. } = self;
        Self::take_up(server, wire, ticket).await
    }

    async fn take_up(server: &Server, wire: Wire, ticket: Ticket) -> Self {
        let (socket, response) =
            ticket.try_recover(server, &[("Sec-WebSocket-Protocol", wire.reliable_name())]).await;
        assert_eq!(response.status, 101, "{response:?}");
        Self { wire, socket, ticket }
    }
}

/// What a greeting says of how to come back.
fn ticket(wire: Wire, frame: &Frame) -> Ticket {
    assert_eq!(heard(frame), "connected");
    let (id, token) = match wire {
        Wire::Json => {
            let connected: Value = serde_json::from_slice(&frame.content).unwrap();
            let text = |name: &str| connected[name].as_str().unwrap().to_owned();
            (text("connectionId"), text("reconnectionToken"))
        }
        Wire::Protobuf => {
            let message = proto::client::DownstreamMessage::decode(&frame.content[..]).unwrap().message;
            let Some(Downstream::SystemMessage(system)) = message else { panic!("no system message") };
            let Some(System::ConnectedMessage(connected)) = system.message else { panic!("not connected") };
            (connected.connection_id, connected.reconnection_token.unwrap())
        }
    };
    let dialect = match wire {
        Wire::Json => Dialect::Json,
        Wire::Protobuf => Dialect::Protobuf,
    };
    Ticket { dialect, hub: "chat".to_owned(), id, token }
}

/// A plain member of `g`.
async fn member(server: &Server, wire: Wire) -> Client {
    server.connect("chat", wire.listener().group("g")).await
}

#[tokio::test]
async fn a_member_that_was_away_is_sent_the_parts_and_the_end_that_it_missed() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let mut ann = server.connect("chat", Wire::Json.publisher()).await;
        let mut bob =
            Peer::connect(&server, wire, &ClientSpec::simple().offer(wire.reliable_name()).group("g")).await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.ask(&part("s", 1, "a"), "ack s 2").await;
        assert_eq!(bob.hear().await, "1: g s#1 a");
        let ticket = bob.ticket;
        drop(bob.socket);
        ann.ask(&part("s", 2, "b"), "ack s 3").await;
        ann.ask(&end("s"), "closed s").await;
        let mut bob = Peer::take_up(&server, wire, ticket).await;
        // It is no publisher, so nothing comes before.
        bob.hear_all(&["1: g s#1 a", "2: g s#2 b", "3: g s#3 end"]).await;
    }
}

#[tokio::test]
async fn a_publisher_that_comes_back_is_greeted_and_goes_on() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let mut bob = member(&server, wire).await;
        let spec = wire.reliable_publisher().group("g");
        let mut ann = Peer::connect(&server, wire, &spec).await;
        ann.ask(&start("s"), "ack s 1").await;
        for number in 1..=3 {
            ann.say(&part("s", number, "x")).await;
            ann.hear_all(&[&format!("{number}: g s#{number} x"), &format!("ack s {}", number + 1)]).await;
        }
        let mut ann = ann.come_back(&server).await;
        // The greeting comes before what is sent again, and its token is good.
        let again = ticket(wire, &next_frame(&mut ann.socket).await);
        assert_eq!(again.id, ann.ticket.id);
        ann.hear_all(&["1: g s#1 x", "2: g s#2 x", "3: g s#3 x"]).await;
        ann.ticket = again;
        let mut ann = ann.come_back(&server).await;
        ann.hear_all(&["connected", "1: g s#1 x", "2: g s#2 x", "3: g s#3 x"]).await;
        // It does not know that 2 and 3 have been taken.
        ann.ask(&part("s", 2, "x"), "ack s 4").await;
        ann.ask(&part("s", 3, "x"), "ack s 4").await;
        ann.say(&part("s", 4, "y")).await;
        ann.say(&end("s")).await;
        ann.hear_all(&["4: g s#4 y", "ack s 5", "5: g s#5 end", "closed s"]).await;
        bob.hear_all(&["g s#1 x", "g s#2 x", "g s#3 x", "g s#4 y", "g s#5 end"]).await;
    }
}

#[tokio::test]
async fn a_client_that_has_begun_no_stream_is_not_greeted_again() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let mut ann = Peer::publisher(&server, wire).await;
        ann.ask(&start(""), "closed  BadRequest").await;
        ann.ask(&end("s"), "closed s StreamNotFound").await;
        let mut ann = ann.come_back(&server).await;
        ann.ask(&ping(), "pong").await;
    }
}

#[tokio::test]
async fn an_end_that_was_not_heard_of_is_told_again() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let mut bob = member(&server, wire).await;
        let mut ann = Peer::publisher(&server, wire).await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.say(&part("s", 1, "x")).await;
        ann.say(&end("s")).await;
        // It has been carried out, and the answers are lost with the socket.
        bob.hear_all(&["g s#1 x", "g s#2 end"]).await;
        let mut ann = ann.come_back(&server).await;
        // The SDK would not say anything of its stream without this.
        assert_eq!(ann.hear().await, "connected");
        ann.ask(&part("s", 1, "x"), "closed s").await;
        ann.ask(&end("s"), "closed s").await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.say(&message("g", "after")).await;
        bob.hear_all(&["g after"]).await;
    }
}

#[tokio::test]
async fn a_stream_whose_publisher_stays_away_too_long_ends_and_the_connection_does_not() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let mut bob = member(&server, wire).await;
        let mut ann = Peer::publisher(&server, wire).await;
        ann.ask(&start_for("s", 200), "ack s 1").await;
        let ticket = ann.ticket;
        drop(ann.socket);
        bob.hear_all(&["g s#1 end IdleTimeout"]).await;
        let mut ann = Peer::take_up(&server, wire, ticket).await;
        assert_eq!(ann.hear().await, "connected");
        ann.ask(&part("s", 1, "x"), "closed s IdleTimeout").await;
    }
}

#[tokio::test]
async fn streams_are_cancelled_when_nobody_comes_back() {
    let server = Server::with(|setup| {
        setup.reconnect_window(Duration::from_secs(1));
    })
    .await;
    for wire in Wire::ALL {
        let mut bob = member(&server, wire).await;
        let mut ann = Peer::publisher(&server, wire).await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.ask(&part("s", 1, "x"), "ack s 2").await;
        drop(ann);
        bob.hear_all(&["g s#1 x", "g s#2 end Cancelled"]).await;
    }
}

#[tokio::test]
async fn streams_end_with_the_connection_and_not_with_the_socket() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let mut bob = member(&server, wire).await;
        let mut ann = Peer::publisher(&server, wire).await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.socket.send(&Frame::close_without_code()).await;
        let mut ann = ann.come_back(&server).await;
        assert_eq!(ann.hear().await, "connected");
        ann.ask(&part("s", 1, "x"), "ack s 2").await;
        ann.socket.send(&Frame::close(1000, "")).await;
        bob.hear_all(&["g s#1 x", "g s#2 end Cancelled"]).await;
    }
}

#[tokio::test]
async fn a_permission_that_is_revoked_while_the_publisher_is_away_ends_the_stream_at_once() {
    let server = Server::start().await;
    for wire in Wire::ALL {
        let mut bob = member(&server, wire).await;
        let mut ann = Peer::publisher(&server, wire).await;
        ann.ask(&start("s"), "ack s 1").await;
        ann.ask(&start_to("h", "t", None), "ack t 1").await;
        let ticket = ann.ticket;
        drop(ann.socket);
        let id = &ticket.id;
        let permission = format!("/api/hubs/chat/permissions/sendToGroup/connections/{id}?targetName=g");
        server.rest().delete(&permission).expect(204).await;
        bob.hear_all(&["g s#1 end Forbidden"]).await;
        let mut ann = Peer::take_up(&server, wire, ticket).await;
        assert_eq!(ann.hear().await, "connected");
        ann.ask(&part("s", 1, "x"), "closed s Forbidden").await;
        ann.ask(&part("t", 1, "x"), "ack t 2").await;
    }
}
