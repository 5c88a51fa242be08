//! The reliable protocol in protobuf: numbers and recovery as in JSON, in the fields of the schema. Source:
//! `client-protobuf.md` 3 and 5.

use prost::Message as _;
use proto::client::downstream_message::system_message::{self, ConnectedMessage};
use proto::client::downstream_message::{DataMessage, Message, PongMessage};
use proto::client::upstream_message::{Message as Upstream, PingMessage, SequenceAckMessage};
use proto::client::{DownstreamMessage, UpstreamMessage};

use crate::dialect::Dialect;
use crate::peer::{Ticket, next_frame, publish};
use crate::support::protobuf::{join, of, success, text};
use crate::support::{ClientSpec, Frame, JSON_RELIABLE, Opcode, PROTOBUF_RELIABLE, RawSocket, Server};

async fn next(socket: &mut RawSocket) -> Message {
    let frame = next_frame(socket).await;
    assert_eq!(frame.opcode, Opcode::BINARY, "{frame:?}");
    DownstreamMessage::decode(&frame.content[..]).unwrap().message.unwrap()
}

async fn send(socket: &mut RawSocket, message: Upstream) {
    let message = UpstreamMessage { message: Some(message) };
    socket.send(&Frame::binary(message.encode_to_vec())).await;
}

async fn acknowledge(socket: &mut RawSocket, sequence_id: u64) {
    send(socket, Upstream::SequenceAckMessage(SequenceAckMessage { sequence_id })).await;
    send(socket, Upstream::PingMessage(PingMessage {})).await;
    assert_eq!(next(socket).await, Message::PongMessage(PongMessage {}));
}

fn data(content: &str, sequence_id: u64) -> Message {
    Message::DataMessage(DataMessage {
        from: "group".into(),
        group: Some("g".into()),
        data: Some(of(text(content))),
        sequence_id: Some(sequence_id),
        ..DataMessage::default()
    })
}

async fn connect(server: &Server) -> (RawSocket, Ticket) {
    let spec = ClientSpec::simple().offer(PROTOBUF_RELIABLE).user("ann").group("g");
    let mut socket = server.raw_upgraded("chat", &spec.role("webpubsub.joinLeaveGroup")).await;
    let Message::SystemMessage(system) = next(&mut socket).await else {
        panic!("no system message");
    };
    let Some(system_message::Message::ConnectedMessage(connected)) = system.message else {
        panic!("not connected");
    };
    let ConnectedMessage { connection_id: id, user_id, reconnection_token } = connected;
    assert_eq!(user_id, "ann");
    (
        socket,
        Ticket { dialect: Dialect::Protobuf, hub: "chat".into(), id, token: reconnection_token.unwrap() },
    )
}

#[tokio::test]
async fn messages_are_numbered_and_come_again_as_they_were_until_they_are_acknowledged() {
    let server = Server::start().await;
    let (mut socket, ticket) = connect(&server).await;
    let contents = ["1".to_owned(), "2".repeat(110), "3".repeat(200), "4".repeat(70_000)];
    for content in &contents {
        publish(&server, content).await;
    }
    let mut frames = Vec::new();
    for (content, sequence_id) in contents.iter().zip(1..) {
        let frame = next_frame(&mut socket).await;
        let message = DownstreamMessage::decode(&frame.content[..]).unwrap().message.unwrap();
        assert!(message == data(content, sequence_id), "message {sequence_id}");
        frames.push(frame);
    }
    acknowledge(&mut socket, 1).await;
    drop(socket);
    publish(&server, "5").await;
    // Whatever is offered, the subprotocol stays what it was.
    let offer = [("Sec-WebSocket-Protocol", JSON_RELIABLE)];
    let (mut socket, response) = ticket.try_recover(&server, &offer).await;
    assert_eq!(response.status, 101);
    assert_eq!(response.header("sec-websocket-protocol"), Some(PROTOBUF_RELIABLE));
    for frame in &frames[1..] {
        assert!(next_frame(&mut socket).await == *frame, "not the bytes of before");
    }
    assert_eq!(next(&mut socket).await, data("5", 5));
    send(&mut socket, join("h", 9)).await;
    assert_eq!(next(&mut socket).await, success(9), "what is no data message has no number");
}

#[tokio::test]
async fn both_reliable_encodings_of_a_group_get_the_same_messages() {
    let server = Server::start().await;
    let (mut socket, _) = connect(&server).await;
    let mut peer = crate::peer::Peer::connect(&server, Dialect::Json).await;
    for (content, sequence_id) in [("a", 1), ("b", 2)] {
        publish(&server, content).await;
        assert_eq!(next(&mut socket).await, data(content, sequence_id));
        peer.expect(content, sequence_id).await;
    }
}
