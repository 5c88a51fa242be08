//! Clients without a subprotocol, in both modes.

use serde_json::json;

use crate::support::{ClientSpec, Received, Server};

const FORBIDDEN: &str = "The connection is not authorized for raw sendToGroup mode.";

fn permitted(group: &str) -> ClientSpec {
    ClientSpec::publisher(group).role(&format!("webpubsub.sendToGroup.{group}"))
}

#[tokio::test]
async fn a_simple_client_gets_payloads_and_nothing_else() {
    let server = Server::start().await;
    let mut simple = server.open("chat", ClientSpec::simple().user("ann").group("g")).await;
    // The pong would come after a first message, were there one.
    simple.expect_nothing_before_pong().await;
    let mut publisher = server.connect("chat", ClientSpec::member()).await;
    publisher
        .send_json(json!({
            "type": "sendToGroup", "group": "g", "dataType": "text", "data": "hi", "metadata": {"k": "v"},
        }))
        .await;
    assert_eq!(simple.next().await, Received::Text("hi".into()));
}

#[tokio::test]
async fn what_a_simple_client_sends_without_a_handler_closes_with_1011() {
    let server = Server::start().await;
    for spec in [
        ClientSpec::simple(),
        ClientSpec::simple().query("webpubsub_mode", "sendEvent").role("webpubsub.sendToGroup"),
        ClientSpec::simple().query("group", "g").role("webpubsub.sendToGroup"),
    ] {
        let mut client = server.connect("chat", spec.clone()).await;
        client.send_text("hello").await;
        client.expect_close(1011, "Internal server error").await;
        let mut client = server.connect("chat", spec.clone()).await;
        client.send_binary(&[1, 2]).await;
        client.expect_close(1011, "Internal server error").await;
        let mut client = server.connect("chat", spec).await;
        client.send_text("").await;
        client.expect_close(1011, "Internal server error").await;
    }
}

#[tokio::test]
async fn the_publishing_mode_sends_every_message_to_its_group_without_joining_it() {
    let server = Server::start().await;
    let mut json = server.connect("chat", ClientSpec::json().group("g")).await;
    let mut simple = server.connect("chat", ClientSpec::simple().group("g")).await;
    let mut publisher = server.connect("chat", permitted("g").user("ann")).await;
    publisher.send_text("text").await;
    publisher.send_binary(&[0, 255]).await;
    publisher.send_text("").await;
    for (data_type, data) in [("text", "text"), ("binary", "AP8="), ("text", "")] {
        let expected = json!({
            "type": "message", "from": "group", "group": "g", "fromUserId": "ann",
            "dataType": data_type, "data": data,
        });
        assert_eq!(json.next_json().await, expected);
    }
    assert_eq!(simple.next().await, Received::Text("text".into()));
    assert_eq!(simple.next().await, Received::Binary(vec![0, 255]));
    assert_eq!(simple.next().await, Received::Text(String::new()));
    publisher.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn the_publishing_mode_echoes_unless_told_otherwise() {
    let server = Server::start().await;
    for (no_echo, echoes) in [("", true), ("false", true), ("FALSE", true), ("true", false), ("True", false)]
    {
        let spec = permitted("g").user("ann").group("g");
        let mut other = server.connect("chat", spec.clone()).await;
        let mut sender = server.connect("chat", spec.query("noEcho", no_echo)).await;
        sender.send_text("hi").await;
        assert_eq!(other.next_text().await, "hi", "another connection of the user: {no_echo}");
        if echoes {
            assert_eq!(sender.next_text().await, "hi", "{no_echo}");
        }
        sender.expect_nothing_before_pong().await;
        other.close().await;
        sender.close().await;
    }
}

#[tokio::test]
async fn publishing_without_permission_closes_with_1008() {
    let server = Server::start().await;
    for spec in [
        ClientSpec::publisher("g"),
        ClientSpec::publisher("g").role("webpubsub.sendToGroup.other"),
        ClientSpec::publisher("g").role("webpubsub.joinLeaveGroup").group("g"),
        ClientSpec::publisher("g").role("webpubsub.sendToGroups.h*"),
    ] {
        let mut client = server.connect("chat", spec).await;
        client.send_text("hi").await;
        client.expect_close(1008, FORBIDDEN).await;
    }
}

#[tokio::test]
async fn a_role_a_literal_and_a_pattern_permit_publishing() {
    let server = Server::start().await;
    let mut member = server.connect("chat", ClientSpec::json().group("g")).await;
    for role in ["webpubsub.sendToGroup", "webpubsub.sendToGroup.g", "webpubsub.sendToGroups.?"] {
        let mut client = server.connect("chat", ClientSpec::publisher("g").role(role)).await;
        client.send_text(role).await;
        assert_eq!(member.next_json().await["data"], role);
    }
}

#[tokio::test]
async fn the_permission_is_looked_at_for_every_message() {
    let server = Server::start().await;
    let mut member = server.connect("chat", ClientSpec::json().group("g")).await;
    let mut client = server.connect("chat", ClientSpec::publisher("g").user("ann").group("of-ann")).await;
    let listing = server.rest().get("/api/hubs/chat/groups/of-ann/connections").expect(200).await.json();
    let id = listing["value"][0]["connectionId"].as_str().unwrap();
    let permission = format!("/api/hubs/chat/permissions/sendToGroup/connections/{id}?targetName=g");
    server.rest().put(&permission).expect(200).await;
    client.send_text("granted").await;
    assert_eq!(member.next_json().await["data"], "granted");
    server.rest().delete(&permission).expect(204).await;
    client.send_text("revoked").await;
    client.expect_close(1008, FORBIDDEN).await;
    server.rest().post("/api/hubs/chat/groups/g/:send").text("marker").expect(202).await;
    assert_eq!(member.next_json().await["data"], "marker");
}

#[tokio::test]
async fn a_simple_message_is_text_whatever_it_looks_like() {
    let server = Server::start().await;
    let mut client = server.connect("chat", permitted("g").group("g")).await;
    for text in [r#"{"type":"ping"}"#, "\u{0}", "null", "é😀"] {
        client.send_text(text).await;
        assert_eq!(client.next_text().await, text);
    }
}

#[tokio::test]
async fn a_simple_message_may_have_one_mebibyte_and_no_more() {
    let server = Server::start().await;
    let mut client = server.connect("chat", permitted("g").group("g")).await;
    let bytes = vec![7; 1 << 20];
    client.send_binary(&bytes).await;
    assert_eq!(client.next_binary().await, bytes);
    client.send_binary(&vec![7; (1 << 20) + 1]).await;
    client.expect_close(1009, "The client message is too large.").await;
}

#[tokio::test]
async fn the_raw_mode_means_nothing_to_a_json_client() {
    let server = Server::start().await;
    let spec = ClientSpec::member().group("g").group("h");
    let spec = spec.query("webpubsub_mode", "sendToGroup").query("group", "h").query("noEcho", "true");
    let mut client = server.connect("chat", spec).await;
    client.publish("g", "as a JSON client").await;
    assert_eq!(client.next_json().await["group"], "g");
    client.send_text("not JSON").await;
    client.expect_close(1007, "The client message is not a valid JSON protocol message.").await;
}
