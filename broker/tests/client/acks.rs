//! Acks: who gets one, what it says, and which ids are remembered.

use serde_json::{Value, json};

use crate::support::{Client, ClientSpec, Server};

fn success(id: u64) -> Value {
    json!({"type": "ack", "ackId": id, "success": true})
}

fn duplicate(id: u64) -> Value {
    let message = format!("Message with ack-id: {id} has been processed");
    json!({"type": "ack", "ackId": id, "success": false, "error": {"name": "Duplicate", "message": message}})
}

fn join(group: &str, id: u64) -> Value {
    json!({"type": "joinGroup", "group": group, "ackId": id})
}

/// Sends a request and compares the ack.
async fn check(client: &mut Client, request: Value, expected: Value) {
    client.send_json(request.clone()).await;
    assert_eq!(client.next_json().await, expected, "{request}");
}

#[tokio::test]
async fn success_is_acknowledged_without_an_error() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    check(&mut client, join("g", 1), success(1)).await;
    let send = json!({"type": "sendToGroup", "group": "g", "data": 1, "noEcho": true, "ackId": 2});
    check(&mut client, send, success(2)).await;
    check(&mut client, json!({"type": "leaveGroup", "group": "g", "ackId": 3}), success(3)).await;
}

#[tokio::test]
async fn the_smallest_and_the_largest_id_are_ordinary() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    for id in [0, u64::MAX] {
        check(&mut client, join("g", id), success(id)).await;
        check(&mut client, join("g", id), duplicate(id)).await;
    }
}

#[tokio::test]
async fn a_repeated_id_is_a_duplicate_whatever_the_message_is_and_nothing_is_done() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    check(&mut client, join("g", 5), success(5)).await;
    for request in [
        join("g", 5),
        join("another", 5),
        json!({"type": "leaveGroup", "group": "g", "ackId": 5}),
        json!({"type": "sendToGroup", "group": "g", "data": "not published", "ackId": 5}),
        json!({"type": "event", "event": "e", "data": 1, "ackId": 5}),
    ] {
        check(&mut client, request, duplicate(5)).await;
    }
    client.publish("another", "not joined").await;
    client.publish("g", "still a member").await;
    assert_eq!(client.next_json().await["data"], "still a member");
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn a_duplicate_leave_does_not_undo_a_join() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    let leave = json!({"type": "leaveGroup", "group": "g", "ackId": 2});
    check(&mut client, join("g", 1), success(1)).await;
    check(&mut client, leave.clone(), success(2)).await;
    check(&mut client, join("g", 3), success(3)).await;
    check(&mut client, leave, duplicate(2)).await;
    client.publish("g", "still here").await;
    assert_eq!(client.next_json().await["data"], "still here");
}

#[tokio::test]
async fn a_forbidden_id_may_be_used_again() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let message = "The client does not have permission to join group 'g'.";
    let forbidden = json!({
        "type": "ack", "ackId": 7, "success": false, "error": {"name": "Forbidden", "message": message},
    });
    check(&mut client, join("g", 7), forbidden.clone()).await;
    check(&mut client, join("g", 7), forbidden).await;
    let grant = format!(
        "/api/hubs/chat/permissions/joinLeaveGroup/connections/{}?targetName=g",
        client.connection_id()
    );
    server.rest().put(&grant).expect(200).await;
    check(&mut client, join("g", 7), success(7)).await;
    check(&mut client, join("g", 7), duplicate(7)).await;
}

#[tokio::test]
async fn the_thousand_and_first_id_evicts_the_first() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    for id in 1..=1000 {
        check(&mut client, join("g", id), success(id)).await;
    }
    check(&mut client, join("g", 1), duplicate(1)).await;
    check(&mut client, join("g", 1001), success(1001)).await;
    check(&mut client, join("g", 2), duplicate(2)).await;
    check(&mut client, join("g", 1), success(1)).await;
    check(&mut client, join("g", 2), success(2)).await;
    check(&mut client, join("g", 1001), duplicate(1001)).await;
}

#[tokio::test]
async fn failed_ids_take_no_place_among_the_remembered() {
    let server = Server::start().await;
    let spec = ClientSpec::json().role("webpubsub.joinLeaveGroup.g");
    let mut client = server.connect("chat", spec).await;
    check(&mut client, join("g", 1), success(1)).await;
    for id in 2..=1100 {
        client.send_json(join("forbidden", id)).await;
        assert_eq!(client.next_json().await["error"]["name"], "Forbidden");
    }
    check(&mut client, join("g", 1), duplicate(1)).await;
}

#[tokio::test]
async fn ids_belong_to_the_connection_and_not_to_the_user() {
    let server = Server::start().await;
    for _ in 0..2 {
        let mut client = server.connect("chat", ClientSpec::member().user("ann")).await;
        check(&mut client, join("g", 1), success(1)).await;
    }
}

#[tokio::test]
async fn without_an_id_nothing_is_answered_and_failure_does_not_close() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().role("webpubsub.joinLeaveGroup.g")).await;
    for request in [
        json!({"type": "joinGroup", "group": "g"}),
        json!({"type": "joinGroup", "group": "g", "ackId": null}),
        json!({"type": "joinGroup", "group": "forbidden"}),
        json!({"type": "leaveGroup", "group": "forbidden"}),
        json!({"type": "leaveGroup", "group": "g"}),
        json!({"type": "sendToGroup", "group": "forbidden", "data": 1}),
        json!({"type": "event", "event": "unhandled", "data": 1}),
    ] {
        client.send_json(request).await;
    }
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn acks_and_pongs_come_in_the_order_of_the_requests() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    for id in 0..100_u64 {
        client.send_json(join(&format!("g{id}"), id)).await;
        client.send_json(json!({"type": "ping"})).await;
    }
    for id in 0..100 {
        assert_eq!(client.next_json().await, success(id));
        assert_eq!(client.next_json().await, json!({"type": "pong"}));
    }
}
