//! Coming back.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use crate::dialect::{Dialect, both};
use crate::peer::{NOT_RECOVERED, Peer, Ticket, publish};
use crate::support::{
    ClientSpec, Frame, JSON, JSON_RELIABLE, Opcode, PROTOBUF, PROTOBUF_RELIABLE, RawSocket, Server, escape,
};

both!(
    groups_user_and_permissions_are_kept,
    permissions_that_were_changed_over_rest_stay_changed,
    the_hub_may_be_spelled_otherwise_and_named_in_the_query,
    no_connected_message_is_sent_again,
    an_old_socket_that_is_still_open_is_dropped_without_a_word,
    a_token_may_be_used_again_and_again_on_any_worker,
    of_many_who_come_at_once_one_has_the_connection_in_the_end,
    each_loss_begins_the_window_anew,
    the_subprotocol_is_the_one_of_before_whatever_is_offered,
    the_token_by_which_the_client_once_connected_is_not_looked_at,
    frames_that_come_with_the_request_are_taken_in,
);

async fn groups_user_and_permissions_are_kept(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await;
    peer.send(json!({"type": "joinGroup", "group": "h", "ackId": 1})).await;
    assert_eq!(peer.next().await["success"], true);
    let ticket = peer.lose();
    for target in ["groups/h", "users/ann", &format!("connections/{}", ticket.id)] {
        server.rest().post(&format!("/api/hubs/chat/{target}/:send")).text(target).expect(202).await;
    }
    let mut peer = ticket.recover(&server).await;
    peer.expect("groups/h", 1).await;
    peer.expect("users/ann", 2).await;
    peer.expect(&format!("connections/{}", ticket.id), 3).await;
    peer.send(json!({"type": "leaveGroup", "group": "h", "ackId": 2})).await;
    assert_eq!(peer.next().await["success"], true);
    peer.expect_nothing_before_pong().await;
}

async fn permissions_that_were_changed_over_rest_stay_changed(dialect: Dialect) {
    let server = Server::start().await;
    let spec = ClientSpec::simple().offer(dialect.subprotocol()).role("webpubsub.sendToGroup.revoked");
    let peer = Peer::connect_as(&server, dialect, &spec).await;
    let id = peer.ticket.id.clone();
    let permission = |permission: &str, group: &str| {
        format!("/api/hubs/chat/permissions/{permission}/connections/{id}?targetName={group}")
    };
    server.rest().put(&permission("sendToGroup", "granted")).expect(200).await;
    server.rest().put(&permission("joinLeaveGroup", "granted")).expect(200).await;
    server.rest().delete(&permission("sendToGroup", "revoked")).expect(204).await;
    let lost = peer.away().await;
    server.rest().put(&permission("sendToGroup", "elsewhere")).expect(200).await;
    let mut peer = lost.recover(&server).await;
    let requests = [
        ("joinGroup", "granted", true),
        ("joinGroup", "revoked", false),
        ("sendToGroup", "elsewhere", true),
        ("sendToGroup", "revoked", false),
        ("leaveGroup", "granted", true),
        ("sendToGroup", "granted", true),
    ];
    for (ack_id, (kind, group, is_allowed)) in (1..).zip(requests) {
        let request = json!({"type": kind, "group": group, "dataType": "text", "data": "x", "ackId": ack_id});
        peer.send(request).await;
        let answer = peer.next().await;
        assert_eq!(
            (&answer["ackId"], &answer["success"]),
            (&json!(ack_id), &json!(is_allowed)),
            "{kind} {group}"
        );
        assert_eq!(answer["error"]["name"] == "Forbidden", !is_allowed, "{answer}");
    }
}

async fn the_hub_may_be_spelled_otherwise_and_named_in_the_query(dialect: Dialect) {
    let server = Server::start().await;
    let mut ticket = Peer::connect(&server, dialect).await.lose();
    let offer = [("Sec-WebSocket-Protocol", dialect.subprotocol())];
    let hubs = [
        "/client/hubs/CHAT?",
        "/client/hubs/cHaT?",
        "/client/?hub=chat&",
        "/client?hub=chat&",
        "/client/?hub=Chat&",
    ];
    for (round, hub) in (1..).zip(hubs) {
        publish(&server, hub).await;
        let mut socket = server.raw().await;
        let response = socket.upgrade(&format!("{hub}{}", ticket.query()), &offer).await;
        assert_eq!(response.status, 101, "{hub}");
        let mut peer = Peer { socket, ticket };
        peer.expect(hub, round).await;
        peer.acknowledge(round).await;
        ticket = peer.lose();
    }
    for hub in ["/client/hubs/chats?", "/client/?hub=other&"] {
        let mut socket = server.raw().await;
        assert_eq!(socket.upgrade(&format!("{hub}{}", ticket.query()), &offer).await.status, 101, "{hub}");
        socket.expect_close(1008, NOT_RECOVERED).await;
    }
    ticket.recover(&server).await.expect_nothing_before_pong().await;
}

async fn no_connected_message_is_sent_again(dialect: Dialect) {
    let server = Server::start().await;
    let mut peer = Peer::connect(&server, dialect).await.lose().recover(&server).await;
    peer.expect_nothing_before_pong().await;
}

async fn an_old_socket_that_is_still_open_is_dropped_without_a_word(dialect: Dialect) {
    let server = Server::start().await;
    let mut old = Peer::connect(&server, dialect).await;
    publish(&server, "a").await;
    old.expect("a", 1).await;
    let mut new = old.ticket.recover(&server).await;
    old.socket.expect_end().await;
    new.expect("a", 1).await;
    publish(&server, "b").await;
    new.expect("b", 2).await;
}

async fn a_token_may_be_used_again_and_again_on_any_worker(dialect: Dialect) {
    let server = Server::with(|setup| {
        setup.workers(4);
    })
    .await;
    let mut peer = Peer::connect(&server, dialect).await;
    // The system spreads the sockets: that all of so many came to the same worker is next to impossible.
    for round in 1..=40 {
        let ticket = peer.lose();
        publish(&server, "x").await;
        peer = ticket.recover(&server).await;
        peer.expect("x", round).await;
        peer.acknowledge(round).await;
    }
}

async fn of_many_who_come_at_once_one_has_the_connection_in_the_end(dialect: Dialect) {
    let server = Server::with(|setup| {
        setup.workers(4);
    })
    .await;
    let ticket = Peer::connect(&server, dialect).await.lose();
    let sent = ["a", "b"];
    publish(&server, sent[0]).await;
    let offer = [("Sec-WebSocket-Protocol", dialect.subprotocol())];
    let attempts = (0..16).map(|_| ticket.try_recover(&server, &offer));
    publish(&server, sent[1]).await;
    let mut comers: Vec<Comer> = Vec::new();
    for (socket, response) in futures_util::future::join_all(attempts).await {
        assert_eq!(response.status, 101);
        comers.push(Comer { socket, messages: Vec::new(), is_over: false });
    }
    {
        let mut ends: FuturesUnordered<_> = comers.iter_mut().map(|comer| comer.read(dialect)).collect();
        for _ in 1..ends.len() {
            ends.next().await;
        }
    }
    for comer in &comers {
        // Not all of it, if a later one has taken over or it was refused; but in order and once.
        let expected = sent.iter().zip(1_u64..).map(|(data, number)| json!([data, number]));
        assert_eq!(comer.messages, expected.take(comer.messages.len()).collect::<Vec<_>>());
    }
    let index =
        comers.iter().position(|comer| !comer.is_over).expect("only one has not been looked at to its end");
    let Comer { socket, messages, .. } = comers.swap_remove(index);
    let mut holder = Peer { socket, ticket };
    for (data, number) in sent.iter().zip(1..).skip(messages.len()) {
        holder.expect(data, number).await;
    }
    holder.expect_nothing_before_pong().await;
    // The sockets of the others have ended, so it comes to nobody else.
    publish(&server, "c").await;
    holder.expect("c", 3).await;
    holder.expect_nothing_before_pong().await;
}

/// One of several that come back at once.
struct Comer {
    socket: RawSocket,
    /// Data and number of each that it was sent.
    messages: Vec<Value>,
    is_over: bool,
}

impl Comer {
    /// Reads until it is refused or its socket ends. Giving up to wait loses nothing.
    async fn read(&mut self, dialect: Dialect) {
        while let Some(frame) = self.socket.try_read_frame().await {
            match frame.opcode {
                Opcode::PING => {}
                Opcode::CLOSE => {
                    assert_eq!(frame, Frame::close(1008, NOT_RECOVERED).unmasked());
                    break;
                }
                _ => {
                    let message = dialect.read(&frame);
                    self.messages.push(json!([message["data"], message["sequenceId"]]));
                }
            }
        }
        self.is_over = true;
    }
}

async fn each_loss_begins_the_window_anew(dialect: Dialect) {
    let server = Server::with(|setup| {
        setup.reconnect_window(Duration::from_secs(2));
    })
    .await;
    let mut peer = Peer::connect(&server, dialect).await;
    for round in 0..4 {
        let ticket = peer.lose();
        // Not a wait for an event: that time passes is what is tested.
        tokio::time::sleep(Duration::from_millis(900)).await;
        peer = ticket.recover(&server).await;
        publish(&server, "x").await;
        let first = peer.next().await;
        assert_eq!(first["sequenceId"], round + 1);
        peer.acknowledge(round + 1).await;
    }
}

async fn the_subprotocol_is_the_one_of_before_whatever_is_offered(dialect: Dialect) {
    let server = Server::start().await;
    let mut ticket = Peer::connect(&server, dialect).await.lose();
    let name = dialect.subprotocol();
    let spelled = name.to_ascii_uppercase();
    let after_others = format!("mqtt, {JSON_RELIABLE}x, {spelled}");
    for (offer, expected) in [
        (Some(JSON), name),
        (Some(PROTOBUF), name),
        (Some(JSON_RELIABLE), name),
        (Some(PROTOBUF_RELIABLE), name),
        (Some(&*after_others), &spelled),
        (None, name),
    ] {
        let headers: Vec<_> = offer.iter().map(|offer| ("Sec-WebSocket-Protocol", *offer)).collect();
        let (socket, response) = ticket.try_recover(&server, &headers).await;
        assert_eq!(response.header("sec-websocket-protocol"), Some(expected), "{offer:?}");
        let mut peer = Peer { socket, ticket };
        peer.expect_nothing_before_pong().await;
        ticket = peer.lose();
    }
}

async fn the_token_by_which_the_client_once_connected_is_not_looked_at(dialect: Dialect) {
    let server = Server::start().await;
    let ticket = Peer::connect(&server, dialect).await.lose();
    let expired = server.client_token("chat").expires_in(-1000).sign();
    for token in [&*expired, "nonsense"] {
        let mut socket = server.raw().await;
        let path = format!("{}&access_token={}", ticket.path(), escape(token));
        let response = socket.upgrade(&path, &[("Sec-WebSocket-Protocol", JSON_RELIABLE)]).await;
        assert_eq!(response.status, 101);
        let mut peer = Peer { socket, ticket: ticket.clone() };
        peer.expect_nothing_before_pong().await;
    }
}

async fn frames_that_come_with_the_request_are_taken_in(dialect: Dialect) {
    let server = Server::start().await;
    let ticket: Ticket = Peer::connect(&server, dialect).await.lose();
    let mut socket = server.raw().await;
    let mut request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ticket.path(),
        server.address(),
    )
    .into_bytes();
    request.extend(dialect.frame(&json!({"type": "ping"})).bytes());
    socket.write(&request).await;
    assert_eq!(socket.read_response().await.status, 101);
    let mut peer = Peer { socket, ticket };
    assert_eq!(peer.next().await, json!({"type": "pong"}));
}
