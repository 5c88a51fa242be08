//! What is refused, in which order, and with which words.

use serde_json::{Value, json};

use super::{GET, SET, connect, next_item, request, set, spec, subscribe};
use crate::support::{Client, ClientSpec, Server};

fn refused(ack_id: u64, name: &str, message: &str) -> Value {
    json!({"type": "ack", "ackId": ack_id, "success": false, "error": {"name": name, "message": message}})
}

/// Sends a request with ack id 1, and without one, which must be answered by nothing.
async fn check(client: &mut Client, mut message: Value, expected: Value) {
    client.send_json(message.clone()).await;
    client.expect_nothing_before_pong().await;
    message["ackId"] = json!(1);
    for _ in 0..2 {
        client.send_json(message.clone()).await;
        assert_eq!(client.next_json().await, expected, "{message}");
    }
}

fn state_of(bytes: usize) -> Value {
    json!({"type": "setGroupState", "group": "g", "state": {"k": "v".repeat(bytes - 1)}})
}

#[tokio::test]
async fn to_set_takes_a_role_then_a_small_state_and_then_membership() {
    let server = Server::start().await;
    let forbidden = refused(1, "Forbidden", "Permission denied.");
    let too_large = refused(1, "BadRequest", "State payload exceeds maximum size 512 bytes.");
    let not_member = refused(1, "Forbidden", "Not a member of group.");
    let clear = request("setGroupState", "g");
    let stranger = ClientSpec::member().role(GET);
    for (spec, message, expected) in [
        (stranger.clone(), state_of(513), &forbidden),
        (stranger.clone(), state_of(1), &forbidden),
        (stranger.clone().role("webpubsub.setGroupState.h*"), state_of(1), &forbidden),
        (stranger.clone().group("g"), clear.clone(), &forbidden),
        (stranger.clone().role(SET), state_of(513), &too_large),
        (stranger.clone().role("webpubsub.setGroupState.?"), state_of(513), &too_large),
        (stranger.clone().role(SET).group("g"), state_of(513), &too_large),
        (stranger.clone().role(SET).group("h"), state_of(512), &not_member),
        (stranger.clone().role(SET), clear, &not_member),
    ] {
        let mut client = server.connect("chat", spec).await;
        check(&mut client, message, expected.clone()).await;
    }
    let mut client = connect(&server).await;
    assert!(subscribe(&mut client).await.is_empty(), "nothing of it was done");
}

#[tokio::test]
async fn to_subscribe_takes_a_role_and_then_membership_and_to_stop_neither() {
    let server = Server::start().await;
    let subscribe = request("subscribeGroupState", "g 1");
    let forbidden = refused(1, "Forbidden", "No permission to get states of group g 1.");
    let not_member = refused(1, "Forbidden", "Not a member of group g 1.");
    let stranger = ClientSpec::member().role(SET);
    for (spec, expected) in [
        (stranger.clone(), &forbidden),
        (stranger.clone().group("g 1").role("webpubsub.getGroupState.g"), &forbidden),
        (stranger.clone().role(GET), &not_member),
        (stranger.clone().role("webpubsub.getGroupState.g*").group("h"), &not_member),
    ] {
        let mut client = server.connect("chat", spec).await;
        check(&mut client, subscribe.clone(), expected.clone()).await;
    }
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for group in ["g", "h"] {
        assert_eq!(client.request(request("unsubscribeGroupState", group)).await["success"], true);
    }
}

#[tokio::test]
async fn a_pattern_of_a_role_covers_what_it_matches() {
    let server = Server::start().await;
    let roles = ["webpubsub.setGroupState.room*", "webpubsub.getGroupState.room*"];
    let spec = ClientSpec::json().role(roles[0]).role(roles[1]).group("room1").group("room1.sub");
    let mut client = server.connect("chat", spec).await;
    for (group, is_covered) in [("room1", true), ("room1.sub", false)] {
        let ack = client.request(request("setGroupState", group)).await;
        assert_eq!(ack["success"], is_covered, "{group}");
        let ack = client.request(request("subscribeGroupState", group)).await;
        assert_eq!(ack["success"], is_covered, "{group}");
        if is_covered {
            assert_eq!(client.next_json().await["type"], "groupStateSnapshot");
        }
    }
}

#[tokio::test]
async fn a_state_has_512_bytes_of_utf8_in_keys_and_values() {
    let server = Server::start().await;
    let mut client = connect(&server).await;
    for (state, is_taken) in [
        (json!({"k": "v".repeat(511)}), true),
        (json!({"k": "v".repeat(512)}), false),
        (json!({"k".repeat(512): ""}), true),
        (json!({"é": "é".repeat(255)}), true),
        (json!({"é": "é".repeat(255) + "v"}), false),
        (json!({"": "😀".repeat(128)}), true),
        (json!({"": "😀".repeat(128), "a": ""}), false),
        (json!({"a": "x".repeat(254), "b": "\u{0}\"\\".to_owned() + &"x".repeat(253)}), true),
    ] {
        let ack = client.request(json!({"type": "setGroupState", "group": "g", "state": state})).await;
        assert_eq!(ack["success"], is_taken, "{state}");
        if is_taken {
            assert_eq!(subscribe(&mut client).await[0]["state"], state);
            client.request(request("unsubscribeGroupState", "g")).await;
        }
    }
}

#[tokio::test]
async fn an_id_is_used_up_by_success_alone_and_a_duplicate_does_nothing() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member().role(SET).role(GET)).await;
    let duplicate =
        |id: u64| refused(id, "Duplicate", &format!("Message with ack-id: {id} has been processed"));
    for (id, kind) in [(7, "setGroupState"), (8, "subscribeGroupState"), (9, "unsubscribeGroupState")] {
        let message = |kind: &str| json!({"type": kind, "group": "g", "ackId": id});
        if id < 9 {
            client.send_json(message(kind)).await;
            assert_eq!(client.next_json().await["error"]["name"], "Forbidden", "not a member");
        }
        client.join("g").await;
        client.send_json(message(kind)).await;
        assert_eq!(client.next_json().await, json!({"type": "ack", "ackId": id, "success": true}));
        if id == 8 {
            assert_eq!(client.next_json().await["type"], "groupStateSnapshot");
        }
        for again in ["setGroupState", "subscribeGroupState", "unsubscribeGroupState", "joinGroup"] {
            client.send_json(message(again)).await;
            assert_eq!(client.next_json().await, duplicate(id), "{again}");
        }
        client.leave("g").await;
    }
    client.join("g").await;
    let mut other = connect(&server).await;
    subscribe(&mut other).await;
    let set_with_used_id = json!({"type": "setGroupState", "group": "g", "state": {"s": "x"}, "ackId": 8});
    client.send_json(set_with_used_id).await;
    assert_eq!(client.next_json().await, duplicate(8));
    set(&mut client, json!({"s": "y"})).await;
    assert_eq!(next_item(&mut other).await["state"], json!({"s": "y"}), "the duplicate was not shown");
}

#[tokio::test]
async fn the_application_cannot_grant_it() {
    let server = Server::start().await;
    let client = server.connect("chat", spec()).await;
    for permission in ["setGroupState", "getGroupState", "3", "4"] {
        let target = format!(
            "/api/hubs/chat/permissions/{permission}/connections/{}?targetName=g",
            client.connection_id()
        );
        for call in [server.rest().put(&target), server.rest().head(&target), server.rest().delete(&target)] {
            assert_eq!(call.send().await.status, 400, "{permission}");
        }
    }
}
