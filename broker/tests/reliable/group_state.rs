//! Group state on reliable connections: its messages have numbers and come again, but never end a connection that does
//! not acknowledge them. Source: `client-protocols.md` 10.1 and 11.

use std::time::Duration;

use prost::Message as _;
use proto::client::downstream_message::{
    GroupStateSnapshotMessage, GroupStateUpdateMessage, Message, SystemMessage, system_message,
};
use proto::client::upstream_message::{Message as Upstream, SubscribeGroupStateMessage};
use proto::client::{DownstreamMessage, UpstreamMessage};
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::peer::{Peer, Ticket, member, next_frame, publish};
use crate::support::{Client, ClientSpec, Frame, PROTOBUF_RELIABLE, RawSocket, Server};

const SET: &str = "webpubsub.setGroupState";
const GET: &str = "webpubsub.getGroupState";

async fn connect(server: &Server) -> Peer {
    Peer::connect_as(server, Dialect::Json, &member(Dialect::Json).role(SET).role(GET)).await
}

/// A client of the plain protocol that is in the group as well.
async fn owner(server: &Server) -> Client {
    server.connect("chat", ClientSpec::member().role(SET).role(GET).group("g")).await
}

fn set(text: &str) -> Value {
    json!({"type": "setGroupState", "group": "g", "state": {"s": text}})
}

/// Subscribes and gives the snapshot.
async fn subscribe(peer: &mut Peer) -> Value {
    peer.send(json!({"type": "subscribeGroupState", "group": "g"})).await;
    let snapshot = peer.next().await;
    assert_eq!(snapshot["type"], "groupStateSnapshot", "{snapshot}");
    snapshot
}

/// The next message must be an update with this state, and gives its number.
async fn expect_update(peer: &mut Peer, text: impl Into<Value>) -> u64 {
    let message = peer.next().await;
    assert_eq!(message["type"], "groupStateUpdate", "{message}");
    let text: Value = text.into();
    assert_eq!(message["items"][0]["state"]["s"], text, "{message}");
    message["sequenceId"].as_u64().unwrap()
}

#[tokio::test]
async fn snapshots_and_updates_have_numbers_and_come_again_as_they_were() {
    let server = Server::start().await;
    let (mut first, mut second) = (owner(&server).await, owner(&server).await);
    let mut peer = connect(&server).await;
    first.request(set("a")).await;
    publish(&server, "one").await;
    peer.expect("one", 1).await;
    peer.send(json!({"type": "subscribeGroupState", "group": "g", "ackId": 1})).await;
    assert_eq!(peer.next().await, json!({"type": "ack", "ackId": 1, "success": true}));
    let mut frames = vec![next_frame(&mut peer.socket).await];
    second.send_json(set("b")).await;
    frames.push(next_frame(&mut peer.socket).await);
    let numbers = frames.iter().map(|frame| {
        let message: Value = serde_json::from_slice(&frame.content).unwrap();
        message["sequenceId"].clone()
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [2, 3]);
    publish(&server, "four").await;
    peer.expect("four", 4).await;
    peer.acknowledge(1).await;
    let mut peer = peer.lose().recover(&server).await;
    for frame in &frames {
        assert_eq!(next_frame(&mut peer.socket).await, *frame, "the bytes of before");
    }
    peer.expect("four", 4).await;
    peer.acknowledge(4).await;
    let mut peer = peer.lose().recover(&server).await;
    peer.expect_nothing_before_pong().await;
}

/// JS 1.1.0 acknowledges no message of group state.
#[tokio::test]
async fn five_thousand_updates_without_an_acknowledgement_end_nothing() {
    let server = Server::start().await;
    let mut owner = owner(&server).await;
    let mut peer = connect(&server).await;
    subscribe(&mut peer).await;
    for round in 0..5_000 {
        owner.send_json(set(&round.to_string())).await;
        assert_eq!(expect_update(&mut peer, round.to_string()).await, round + 2);
    }
    let mut peer = peer.lose().recover(&server).await;
    assert_eq!(peer.next().await["type"], "groupStateSnapshot");
    assert_eq!(expect_update(&mut peer, "4999").await, 5_001);
    owner.send_json(set("again")).await;
    assert_eq!(expect_update(&mut peer, "again").await, 5_002);
}

#[tokio::test]
async fn nor_do_they_while_there_is_no_socket() {
    let server = Server::start().await;
    let (mut one, mut other) = (owner(&server).await, owner(&server).await);
    let mut peer = connect(&server).await;
    subscribe(&mut peer).await;
    let ticket = peer.lose();
    for round in 0..2_500 {
        one.send_json(set(&format!("one {round}"))).await;
        other.send_json(set(&format!("other {round}"))).await;
    }
    for client in [&mut one, &mut other] {
        client.expect_nothing_before_pong().await;
    }
    publish(&server, "marker").await;
    for client in [&mut one, &mut other] {
        assert_eq!(client.next_json().await["data"], "marker");
    }
    let mut peer = ticket.recover(&server).await;
    assert_eq!(peer.next().await["type"], "groupStateSnapshot");
    let mut last = Vec::new();
    loop {
        let message = peer.next().await;
        match message["type"].as_str() {
            Some("groupStateUpdate") => last.push(message["items"][0]["state"]["s"].clone()),
            _ => break assert_eq!(message["data"], "marker"),
        }
    }
    last.sort_by_key(Value::to_string);
    assert_eq!(last, ["one 2499", "other 2499"], "of each owner the last");
    peer.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn states_give_way_to_messages_and_messages_to_nothing() {
    let server = Server::with(|setup| {
        setup.window(5, 1 << 20);
    })
    .await;
    let mut peer = connect(&server).await;
    subscribe(&mut peer).await;
    let mut owners = Vec::new();
    for number in 0..8 {
        let mut owner = owner(&server).await;
        owner.request(set(&number.to_string())).await;
        expect_update(&mut peer, number.to_string()).await;
        owners.push(owner);
    }
    for text in ["a", "b", "c"] {
        publish(&server, text).await;
        assert_eq!(peer.next().await["data"], text);
    }
    let mut peer = peer.lose().recover(&server).await;
    expect_update(&mut peer, "6").await;
    expect_update(&mut peer, "7").await;
    peer.expect("a", 10).await;
    peer.expect("b", 11).await;
    peer.expect("c", 12).await;
    for text in ["d", "e"] {
        publish(&server, text).await;
        assert_eq!(peer.next().await["data"], text);
    }
    publish(&server, "f").await;
    peer.socket.expect_end().await;
    peer.ticket.expect_refused(&server, "an overrun connection has ended").await;
}

#[tokio::test]
async fn a_lost_socket_clears_nothing_and_the_end_of_the_connection_does() {
    let server = Server::with(|setup| {
        setup.reconnect_window(Duration::from_secs(4));
    })
    .await;
    let mut other = owner(&server).await;
    let mut watching = connect(&server).await;
    let mut peer = connect(&server).await;
    subscribe(&mut watching).await;
    peer.send(set("mine")).await;
    expect_update(&mut watching, "mine").await;
    let snapshot = subscribe(&mut peer).await;
    let time = snapshot["items"][0]["updatedAt"].as_i64().unwrap();

    let ticket = peer.lose();
    other.request(set("theirs")).await;
    expect_update(&mut watching, "theirs").await;
    let items = subscribe(&mut watching).await["items"].as_array().unwrap().len();
    assert_eq!(items, 2, "the state of whoever may come back is there");
    let mut peer = ticket.recover(&server).await;
    assert_eq!(peer.next().await["type"], "groupStateSnapshot");
    expect_update(&mut peer, "theirs").await;
    peer.send(set("mine again")).await;
    expect_update(&mut peer, "mine again").await;
    expect_update(&mut watching, "mine again").await;

    let id = peer.lose().id;
    let cleared = watching.next().await;
    let item = &cleared["items"][0];
    assert_eq!((&item["connectionId"], item.get("state")), (&json!(id), None), "{cleared}");
    assert!(item["updatedAt"].as_i64().unwrap() > time);
}

#[tokio::test]
async fn the_end_of_an_overrun_connection_is_told_too() {
    let server = Server::with(|setup| {
        setup.window(5, 1 << 20);
    })
    .await;
    for _ in 0..4 {
        let mut peer = connect(&server).await;
        let mut watching = owner(&server).await;
        watching.request(json!({"type": "subscribeGroupState", "group": "g"})).await;
        watching.next_json().await;
        peer.send(set("mine")).await;
        assert_eq!(watching.next_json().await["items"][0]["state"]["s"], "mine");
        let target = format!("/api/hubs/chat/connections/{}/:send", peer.ticket.id);
        for _ in 0..6 {
            server.rest().post(&target).text("x").expect(202).await;
        }
        assert_eq!(watching.next_json().await["items"][0]["connectionId"], json!(peer.ticket.id));
        watching.close().await;
    }
}

async fn next_protobuf(socket: &mut RawSocket) -> Message {
    let frame = next_frame(socket).await;
    DownstreamMessage::decode(&frame.content[..]).unwrap().message.unwrap()
}

#[tokio::test]
async fn protobuf_has_the_same_numbers_and_keeps_the_last_as_well() {
    let server = Server::start().await;
    let spec = ClientSpec::simple().offer(PROTOBUF_RELIABLE).role(GET).group("g");
    let mut socket = server.raw_upgraded("chat", &spec).await;
    let Message::SystemMessage(SystemMessage {
        message: Some(system_message::Message::ConnectedMessage(connected)),
    }) = next_protobuf(&mut socket).await
    else {
        panic!("not connected");
    };
    let message = SubscribeGroupStateMessage { group: "g".into(), ack_id: None };
    let message = UpstreamMessage { message: Some(Upstream::SubscribeGroupStateMessage(message)) };
    socket.send(&Frame::binary(message.encode_to_vec())).await;
    let snapshot = GroupStateSnapshotMessage { group: "g".into(), items: Vec::new(), sequence_id: Some(1) };
    let snapshot = Message::GroupStateSnapshotMessage(snapshot);
    assert_eq!(next_protobuf(&mut socket).await, snapshot);
    let mut owner = owner(&server).await;
    let mut last = None;
    for number in 2..10 {
        owner.send_json(set("x")).await;
        let update = next_protobuf(&mut socket).await;
        let Message::GroupStateUpdateMessage(GroupStateUpdateMessage { sequence_id, .. }) = &update else {
            panic!("not an update: {update:?}");
        };
        assert_eq!(*sequence_id, Some(number));
        last = Some(update);
    }
    drop(socket);
    let token = connected.reconnection_token.unwrap();
    let ticket =
        Ticket { dialect: Dialect::Protobuf, hub: "chat".into(), id: connected.connection_id, token };
    let (mut socket, response) = ticket.try_recover(&server, &[]).await;
    assert_eq!(response.status, 101);
    assert_eq!(next_protobuf(&mut socket).await, snapshot);
    assert_eq!(Some(next_protobuf(&mut socket).await), last);
}
