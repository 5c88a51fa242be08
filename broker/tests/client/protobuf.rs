//! The protobuf subprotocol over the wire. Its messages follow the rules of the JSON subprotocol; here stand those of
//! the encoding, and one case of each rule. Source: `client-protobuf.md`.

use proto::client::downstream_message::system_message::ConnectedMessage;
use proto::client::downstream_message::{DataMessage, Message as Downstream, PongMessage};
use proto::client::message_data::Data;
use proto::client::upstream_message::{Message, PingMessage, SequenceAckMessage};
use serde_json::json;

use crate::support::protobuf::{disconnected, event, failure, join, leave, of, send, success, text};
use crate::support::{ClientSpec, JSON, PROTOBUF, Server};

async fn member(server: &Server) -> crate::support::Client {
    server.connect("chat", ClientSpec::protobuf_member().group("g")).await
}

#[tokio::test]
async fn the_subprotocol_is_agreed_on_as_the_client_spells_it() {
    let server = Server::start().await;
    for (offer, chosen) in [
        (PROTOBUF.to_owned(), PROTOBUF),
        ("Protobuf.WebPubSub.Azure.v1".to_owned(), "Protobuf.WebPubSub.Azure.v1"),
        (format!("unknown, {PROTOBUF}, {JSON}"), PROTOBUF),
    ] {
        let mut client = server.open("chat", ClientSpec::simple().offer(&offer)).await;
        assert_eq!(client.subprotocol(), Some(chosen));
        assert!(!client.next_connected().await.connection_id.is_empty());
    }
}

#[tokio::test]
async fn connected_is_the_first_message_and_says_who_the_client_is() {
    let server = Server::start().await;
    for (spec, user_id) in [(ClientSpec::protobuf().user("ann"), "ann"), (ClientSpec::protobuf(), "")] {
        let mut client = server.open("chat", spec).await;
        let connected = client.next_connected().await;
        let target = format!("/api/hubs/chat/connections/{}", connected.connection_id);
        server.rest().head(&target).expect(200).await;
        let expected = ConnectedMessage { user_id: user_id.into(), ..connected.clone() };
        assert_eq!(connected, expected);
        assert_eq!(connected.reconnection_token, None);
    }
}

#[tokio::test]
async fn a_member_receives_until_it_leaves() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::protobuf_member().user("ann")).await;
    client.ask_protobuf(join("g", 1), success(1)).await;
    client.send_protobuf(Message::SendToGroupMessage(send("g", text("first")))).await;
    let expected = DataMessage {
        from: "group".into(),
        group: Some("g".into()),
        data: Some(of(text("first"))),
        ..DataMessage::default()
    };
    assert_eq!(client.next_data().await, expected);
    client.ask_protobuf(leave("g", 2), success(2)).await;
    client.send_protobuf(Message::SendToGroupMessage(send("g", text("second")))).await;
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn no_echo_leaves_out_the_sender_alone() {
    let server = Server::start().await;
    let (mut sender, mut other) = (member(&server).await, member(&server).await);
    let mut message = send("g", text("not for me"));
    message.no_echo = Some(true);
    message.ack_id = Some(7);
    sender.ask_protobuf(Message::SendToGroupMessage(message), success(7)).await;
    assert_eq!(other.next_data().await.data, Some(of(text("not for me"))));
    sender.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn metadata_and_the_sender_reach_those_who_have_a_field_for_them() {
    let server = Server::start().await;
    let mut json = server.connect("chat", ClientSpec::json().group("g")).await;
    let mut protobuf = member(&server).await;
    let mut sender = server.connect("chat", ClientSpec::protobuf_member().user("ann")).await;
    let mut message = send("g", text("x"));
    message.metadata = [("trace".into(), "1".into()), ("Trace".into(), String::new())].into();
    message.ttl_seconds = Some(300);
    sender.send_protobuf(Message::SendToGroupMessage(message.clone())).await;
    assert_eq!(protobuf.next_data().await.metadata, message.metadata);
    let expected = json!({
        "type": "message", "from": "group", "group": "g", "fromUserId": "ann", "dataType": "text", "data": "x",
        "metadata": {"Trace": "", "trace": "1"},
    });
    assert_eq!(json.next_json().await, expected);

    let call = server.rest().post("/api/hubs/chat/groups/g/:send").text("y");
    call.header("X-WebPubSub-Metadata-Trace-Id", "a1").expect(202).await;
    let expected = DataMessage {
        from: "group".into(),
        group: Some("g".into()),
        data: Some(of(text("y"))),
        metadata: [("trace-id".into(), "a1".into())].into(),
        ..DataMessage::default()
    };
    assert_eq!(protobuf.next_data().await, expected);
}

#[tokio::test]
async fn the_application_is_the_server_except_in_groups() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::protobuf().user("ann")).await;
    let connection = format!("/connections/{}", client.connection_id());
    for target in ["", "/users/ann", &connection] {
        server.rest().post(&format!("/api/hubs/chat{target}/:send")).json(&json!([1])).expect(202).await;
        let data = Some(of(Data::JsonData("[1]".into())));
        let expected = DataMessage { from: "server".into(), data, ..DataMessage::default() };
        assert_eq!(client.next_data().await, expected, "{target}");
    }
}

#[tokio::test]
async fn a_used_id_is_a_duplicate_also_the_smallest_and_the_largest() {
    let server = Server::start().await;
    let mut client = member(&server).await;
    for id in [0, 5, u64::MAX] {
        client.ask_protobuf(join("h", id), success(id)).await;
        let text_of = format!("Message with ack-id: {id} has been processed");
        let mut publication = send("h", text("not published"));
        publication.ack_id = Some(id);
        let mut raised = event("e", text("x"));
        raised.ack_id = Some(id);
        for message in [
            join("h", id),
            leave("h", id),
            Message::SendToGroupMessage(publication),
            Message::EventMessage(raised),
        ] {
            client.ask_protobuf(message, failure(id, "Duplicate", &text_of)).await;
        }
    }
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn what_is_not_permitted_is_refused_and_the_id_may_be_used_again() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    let mut publication = send("g", text("x"));
    publication.ack_id = Some(1);
    for (message, action) in [
        (join("g", 1), "join"),
        (leave("g", 1), "leave"),
        (Message::SendToGroupMessage(publication), "send to"),
    ] {
        let text = format!("The client does not have permission to {action} group 'g'.");
        client.ask_protobuf(message, failure(1, "Forbidden", &text)).await;
    }
    let target = "/api/hubs/chat/permissions/joinLeaveGroup/connections";
    server.rest().put(&format!("{target}/{}?targetName=g", client.connection_id())).expect(200).await;
    client.ask_protobuf(join("g", 1), success(1)).await;
}

#[tokio::test]
async fn without_an_id_nothing_is_answered_and_failure_does_not_close() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    for message in [
        join("g", None),
        leave("g", None),
        Message::SendToGroupMessage(send("g", text("x"))),
        Message::EventMessage(event("unhandled", text("x"))),
        Message::SequenceAckMessage(SequenceAckMessage { sequence_id: 0 }),
        Message::SequenceAckMessage(SequenceAckMessage { sequence_id: u64::MAX }),
    ] {
        client.send_protobuf(message).await;
    }
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn acks_and_pongs_come_in_the_order_of_the_requests() {
    let server = Server::start().await;
    let mut client = member(&server).await;
    for id in 0..100 {
        client.send_protobuf(join(&format!("g{id}"), id)).await;
        client.send_protobuf(Message::PingMessage(PingMessage {})).await;
    }
    for id in 0..100 {
        assert_eq!(client.next_protobuf().await, success(id));
        assert_eq!(client.next_protobuf().await, Downstream::PongMessage(PongMessage {}));
    }
}

#[tokio::test]
async fn a_close_by_the_application_is_told_and_then_done_with_1000() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    let target = format!("/api/hubs/chat/connections/{}?reason=maintenance", client.connection_id());
    server.rest().delete(&target).expect(204).await;
    let reason = "Application server closed the connection. Reason: maintenance";
    assert_eq!(client.next_protobuf().await, disconnected(reason));
    client.expect_close(1000, "").await;
}

#[tokio::test]
async fn a_filter_may_name_the_protocol() {
    let server = Server::start().await;
    let mut json = server.connect("chat", ClientSpec::json()).await;
    let mut protobuf = server.connect("chat", ClientSpec::protobuf()).await;
    let send = |filter: &str, text: &'static str| {
        let filter = crate::support::escape(filter);
        server.rest().post(&format!("/api/hubs/chat/:send?filter={filter}")).text(text).expect(202)
    };
    send(&format!("protocol eq '{PROTOBUF}'"), "for protobuf").await;
    send(&format!("protocol eq '{JSON}'"), "for JSON").await;
    assert_eq!(json.next_json().await["data"], "for JSON");
    assert_eq!(protobuf.next_data().await.data, Some(of(text("for protobuf"))));
    protobuf.expect_nothing_before_pong().await;
}
