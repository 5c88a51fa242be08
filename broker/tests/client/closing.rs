//! How a connection ends by the application's or the client's wish.

use serde_json::json;

use crate::support::{Client, ClientSpec, Received, Server, within_deadline};

async fn expect_disconnected(client: &mut Client, message: &str) {
    let farewell = client.next_json().await;
    assert_eq!(farewell, json!({"type": "system", "event": "disconnected", "message": message}));
    client.expect_close(1000, "").await;
}

#[tokio::test]
async fn a_close_by_the_application_is_told_and_then_done_with_1000() {
    let server = Server::start().await;
    let long = "so long".repeat(100);
    let reasons = [
        ("", "Application server closed the connection.".to_owned()),
        ("?reason=", "Application server closed the connection.".to_owned()),
        (
            "?reason=maintenance%20%C3%BC",
            "Application server closed the connection. Reason: maintenance ü".into(),
        ),
        (
            &*format!("?reason={}", crate::support::escape(&long)),
            format!("Application server closed the connection. Reason: {long}"),
        ),
    ];
    for (query, message) in reasons {
        let mut client = server.connect("chat", ClientSpec::json()).await;
        let target = format!("/api/hubs/chat/connections/{}{query}", client.connection_id());
        server.rest().delete(&target).expect(204).await;
        expect_disconnected(&mut client, &message).await;
    }
}

#[tokio::test]
async fn a_simple_client_that_the_application_closes_gets_only_the_close_frame() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::simple().user("ann")).await;
    server.rest().post("/api/hubs/chat/users/ann/:closeConnections?reason=x").expect(204).await;
    client.expect_close(1000, "").await;
}

#[tokio::test]
async fn what_was_sent_before_the_close_arrives_before_it() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().user("ann").group("g")).await;
    for n in 0..50 {
        server.rest().post("/api/hubs/chat/groups/g/:send").text(&n.to_string()).expect(202).await;
    }
    server.rest().post("/api/hubs/chat/users/ann/:closeConnections").expect(204).await;
    for n in 0..50 {
        assert_eq!(client.next_json().await["data"], n.to_string());
    }
    expect_disconnected(&mut client, "Application server closed the connection.").await;
}

#[tokio::test]
async fn a_closed_client_is_gone_from_its_groups() {
    let server = Server::start().await;
    let client = server.connect("chat", ClientSpec::member().user("ann").group("g")).await;
    let target = format!("/api/hubs/chat/connections/{}", client.connection_id());
    let rest = server.rest();
    rest.head(&target).expect(200).await;
    rest.head("/api/hubs/chat/groups/g").expect(200).await;
    rest.head("/api/hubs/chat/users/ann").expect(200).await;
    client.close().await;
    let gone = async {
        while rest.head(&target).send().await.status != 404
            || rest.head("/api/hubs/chat/groups/g").send().await.status != 404
            || rest.head("/api/hubs/chat/users/ann").send().await.status != 404
        {}
    };
    within_deadline("the end of the membership", gone).await;
}

#[tokio::test]
async fn a_client_that_vanishes_without_a_close_frame_is_gone_as_well() {
    let server = Server::start().await;
    let client = server.connect("chat", ClientSpec::json().user("ann")).await;
    drop(client);
    let gone = async { while server.rest().head("/api/hubs/chat/users/ann").send().await.status != 404 {} };
    within_deadline("the end of the connection", gone).await;
}

#[tokio::test]
async fn the_acks_of_what_was_sent_before_a_client_closes_are_written_or_dropped_in_order() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    for id in 0..20_u64 {
        client.send_json(json!({"type": "joinGroup", "group": "g", "ackId": id})).await;
    }
    client.send_close(1000, "bye").await;
    let received = client.drain().await;
    let (last, acks) = received.split_last().unwrap();
    assert_eq!(last, &Received::Close(1000, "bye".into()));
    for (id, ack) in acks.iter().enumerate() {
        let expected = json!({"type": "ack", "ackId": id, "success": true}).to_string();
        let Received::Text(text) = ack else { panic!("{ack:?}") };
        let ack: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(ack.to_string(), expected);
    }
}
