//! Messages that the protobuf protocol does not know: each ends its connection, and no other. What the decoder takes
//! and refuses is shown by golden pairs; here it is seen from outside.

use proto::client::upstream_message::{InvokeEventMessage, Message};

use crate::support::protobuf::{bytes, of, send, text};
use crate::support::{ClientSpec, Frame, Opcode, Server};

const INVALID: &str = "The client message is not a valid protobuf.webpubsub.azure.v1 protocol message.";
const TEXT: &str = "The protobuf.webpubsub.azure.v1 subprotocol requires binary messages.";

/// Each frame, sent alone by a client that may do everything, ends its connection in this way.
async fn check_all(frames: impl IntoIterator<Item = Frame>, code: u16, reason: &str) {
    let server = Server::start().await;
    let mut witness = server.connect("chat", ClientSpec::json().group("g")).await;
    for frame in frames {
        let spec = ClientSpec::protobuf_member().group("g");
        let mut socket = server.raw_upgraded("chat", &spec).await;
        assert_eq!(socket.read_frame().await.opcode, Opcode::BINARY, "connected");
        socket.send(&frame).await;
        let shown = &frame.content[..frame.content.len().min(100)];
        assert_eq!(socket.read_frame().await, Frame::close(code, reason).unmasked(), "{shown:?}");
        socket.send(&Frame::close(code, "")).await;
        socket.expect_end().await;
    }
    server.rest().post("/api/hubs/chat/:send").text("marker").expect(202).await;
    assert_eq!(witness.next_json().await["data"], "marker", "nothing of it was published");
}

#[tokio::test]
async fn text_closes_with_1003() {
    check_all(["", "{\"type\":\"ping\"}", "J\0"].map(Frame::text), 1003, TEXT).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    let broken = Frame::new(Opcode::TEXT, [0xff]);
    check_all([broken], 1007, "The client message is not valid UTF-8.").await;
}

#[tokio::test]
async fn what_is_no_message_closes_with_1007() {
    let whole = bytes(Message::SendToGroupMessage(send("g", text("cut off"))));
    let frames: [&[u8]; 9] = [
        b"",
        b"\xff",
        b"hello",
        b"{\"type\":\"ping\"}",
        b"\x48\x01",
        b"\x12\x00",
        b"\x62\x00",
        b"\x32\xff\xff\xff\xff\x07",
        &whole[..whole.len() - 1],
    ];
    check_all(frames.map(Frame::binary), 1007, INVALID).await;
    check_all([Frame::binary(vec![0x0b; 1 << 20])], 1007, INVALID).await;
}

#[tokio::test]
async fn stream_messages_without_a_group_or_a_value_close_with_1007() {
    let frames: [&[u8]; 3] = [
        // A start without a group, a part whose data have no member, a part of text that is not UTF-8.
        b"\x0a\x05\x3a\x03\x0a\x01s",
        b"\x6a\x07\x0a\x01s\x10\x01\x1a\x00",
        b"\x6a\x0a\x0a\x01s\x10\x01\x1a\x03\x0a\x01\xff",
    ];
    check_all(frames.map(Frame::binary), 1007, INVALID).await;
}

#[tokio::test]
async fn messages_of_group_state_that_break_a_rule_close_with_1007() {
    let frames: [&[u8]; 7] = [
        b"\x7a\x00",
        b"\x7a\x05\x0a\x01 \x10\x03",
        b"\x7a\x06\x0a\x01g\x1a\x01\xff",
        b"\x7a\x0a\x0a\x01g\x1a\x05\x0a\x03\x0a\x01\xff",
        b"\x7a\x06\x0a\x01g\x1a\x05\x0a",
        b"\x82\x01\x02\x10\x01",
        b"\x8a\x01\x02\x10\x01",
    ];
    check_all(frames.map(Frame::binary), 1007, INVALID).await;
}

#[tokio::test]
async fn a_bad_invocation_closes_with_1007() {
    let valid = || InvokeEventMessage {
        event: "e".into(),
        invocation_id: "1".into(),
        data: Some(of(text("x"))),
        ..InvokeEventMessage::default()
    };
    let json = |json: &str| of(proto::client::message_data::Data::JsonData(json.into()));
    let broken: [&dyn Fn(&mut InvokeEventMessage); 6] = [
        &|message| message.event = String::new(),
        &|message| message.event = "1e".into(),
        &|message| message.invocation_id = String::new(),
        &|message| message.data = Some(proto::client::MessageData { data: None }),
        &|message| message.data = Some(json("{")),
        &|message| message.metadata = [("a b".into(), "x".into())].into(),
    ];
    let frames = broken.map(|break_it| {
        let mut message = valid();
        break_it(&mut message);
        Frame::binary(bytes(Message::InvokeEventMessage(message)))
    });
    let bare: [&[u8]; 3] = [b"\x52\x00", b"\x5a\x00", b"\x5a\x02\x0a\x00"];
    check_all(frames.into_iter().chain(bare.map(Frame::binary)), 1007, INVALID).await;
}

#[tokio::test]
async fn messages_that_break_a_rule_close_with_1007_even_with_an_ack_id() {
    let valid = || {
        let mut message = send("g", text("x"));
        message.ack_id = Some(1);
        message
    };
    let json = |json: &str| of(proto::client::message_data::Data::JsonData(json.into()));
    let nested = [vec!['['; 65], vec![']'; 65]].concat().into_iter().collect::<String>();
    let broken: [&dyn Fn(&mut proto::client::upstream_message::SendToGroupMessage); 12] = [
        &|message| message.group = String::new(),
        &|message| message.group = " ".into(),
        &|message| message.group = "g".repeat(1025),
        &|message| message.data = None,
        &|message| message.data = Some(proto::client::MessageData { data: None }),
        &|message| message.data = Some(json("{")),
        &|message| message.data = Some(json("")),
        &|message| message.data = Some(json(&nested)),
        &|message| message.ttl_seconds = Some(301),
        &|message| message.metadata = [("a b".into(), "x".into())].into(),
        &|message| message.metadata = [("k".into(), "é".into())].into(),
        &|message| message.metadata = [("k".into(), "v".repeat(1025))].into(),
    ];
    let frames = broken.map(|break_it| {
        let mut message = valid();
        break_it(&mut message);
        Frame::binary(bytes(Message::SendToGroupMessage(message)))
    });
    check_all(frames, 1007, INVALID).await;
}

#[tokio::test]
async fn a_message_may_have_1_mib_and_no_more() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::protobuf_member().group("g")).await;
    let envelope =
        bytes(Message::SendToGroupMessage(send("g", text(&"x".repeat(1 << 19))))).len() - (1 << 19);
    let longest = "x".repeat((1 << 20) - envelope);
    let message = bytes(Message::SendToGroupMessage(send("g", text(&longest))));
    assert_eq!(message.len(), 1 << 20);
    client.send_binary(&message).await;
    assert_eq!(client.next_data().await.data, Some(of(text(&longest))));
    client.send_binary(&[&message[..], &[0]].concat()).await;
    client.expect_close(1009, "The client message is too large.").await;
}
