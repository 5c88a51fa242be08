//! The first message, groups, pings, and messages that are heard and not answered.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::{ClientSpec, Server};

#[tokio::test]
async fn connected_is_the_first_message_and_says_who_the_client_is() {
    let server = Server::start().await;
    let mut client = server.open("chat", ClientSpec::json().user("ann").group("g")).await;
    let connected = client.next_json().await;
    let id = connected["connectionId"].as_str().unwrap().to_owned();
    let expected = json!({"type": "system", "event": "connected", "userId": "ann", "connectionId": id});
    assert_eq!(connected, expected);
}

#[tokio::test]
async fn a_client_without_a_user_is_told_null() {
    let server = Server::start().await;
    let mut client = server.open("chat", ClientSpec::json()).await;
    let connected = client.next_json().await;
    assert_eq!(connected.get("userId"), Some(&Value::Null), "{connected}");
}

#[tokio::test]
async fn connection_ids_are_fit_for_a_url_and_differ() {
    let server = Server::start().await;
    let mut ids = HashSet::new();
    for _ in 0..20 {
        let client = server.connect("chat", ClientSpec::json()).await;
        let id = client.connection_id().to_owned();
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{id}");
        assert!(ids.insert(id));
    }
}

#[tokio::test]
async fn connected_comes_before_what_is_published_to_a_group_of_the_token() {
    let server = Server::start().await;
    let mut publisher = server.connect("chat", ClientSpec::member()).await;
    for round in 0..20 {
        let mut member = server.open("chat", ClientSpec::json().group("g")).await;
        publisher.publish("g", "early").await;
        assert_eq!(member.next_json().await["event"], "connected", "round {round}");
        publisher.publish("g", "late").await;
        // The early one may have come before the member was there, the late one may not be missed.
        let mut texts = vec![member.next_json().await["data"].clone()];
        if texts[0] == "early" {
            texts.push(member.next_json().await["data"].clone());
        }
        assert_eq!(texts.last(), Some(&json!("late")));
        member.close().await;
    }
}

#[tokio::test]
async fn the_groups_of_the_token_are_joined_without_any_role() {
    let server = Server::start().await;
    let mut member = server.connect("chat", ClientSpec::json().group("a/b ü").group("other")).await;
    let mut publisher = server.connect("chat", ClientSpec::member()).await;
    publisher.publish("a/b ü", "one").await;
    assert_eq!(member.next_json().await["group"], "a/b ü");
    publisher.publish("other", "two").await;
    assert_eq!(member.next_json().await["group"], "other");
}

#[tokio::test]
async fn a_member_receives_until_it_leaves() {
    let server = Server::start().await;
    let mut member = server.connect("chat", ClientSpec::member()).await;
    let mut publisher = server.connect("chat", ClientSpec::member()).await;
    member.join("g").await;
    member.join("marker").await;
    publisher.publish("g", "first").await;
    assert_eq!(member.next_json().await["data"], "first");
    member.leave("g").await;
    publisher.publish("g", "second").await;
    publisher.publish("marker", "third").await;
    assert_eq!(member.next_json().await["data"], "third");
    member.join("g").await;
    publisher.publish("g", "fourth").await;
    assert_eq!(member.next_json().await["data"], "fourth");
}

#[tokio::test]
async fn joining_twice_and_leaving_what_one_is_not_in_succeed() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    client.leave("g").await;
    client.join("g").await;
    client.join("g").await;
    client.publish("g", "once").await;
    assert_eq!(client.next_json().await["data"], "once");
    client.expect_nothing_before_pong().await;
    client.leave("g").await;
    client.publish("g", "gone").await;
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn groups_may_have_any_name_and_their_case_matters() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    let longest = "😀".repeat(512);
    let names = ["a/b?c#d%2F", " g ", "*", "G", "你好", "a\u{0}b", "\"quoted\\\"", longest.as_str()];
    for name in names {
        client.join(name).await;
        client.publish(name, "x").await;
        assert_eq!(client.next_json().await["group"], name);
    }
    client.publish("g", "another group").await;
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn hubs_do_not_hear_each_other() {
    let server = Server::start().await;
    let mut here = server.connect("here", ClientSpec::member().user("ann")).await;
    let mut there = server.connect("there", ClientSpec::member().user("ann")).await;
    here.join("g").await;
    there.join("g").await;
    here.publish("g", "of here").await;
    assert_eq!(here.next_json().await["data"], "of here");
    there.publish("g", "of there").await;
    assert_eq!(there.next_json().await["data"], "of there");
    here.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn a_ping_is_answered_by_a_pong() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for ping in [r#"{"type":"ping"}"#, r#"{"type":"PING","extra":[1]}"#, r#"{"type":"ping","ackId":1}"#] {
        client.send_text(ping).await;
        assert_eq!(client.next_text().await, r#"{"type":"pong"}"#, "{ping}");
    }
}

#[tokio::test]
async fn a_sequence_ack_is_accepted_and_ignored() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for id in ["0", "1", "18446744073709551615"] {
        client.send_text(&format!(r#"{{"type":"sequenceAck","sequenceId":{id}}}"#)).await;
    }
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn an_event_that_nobody_handles_is_an_internal_server_error() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let event = json!({"type": "event", "event": "order.created-1_x", "data": {"id": 1}, "ackId": 7});
    // A failed id may be used again.
    for _ in 0..2 {
        client.send_json(event.clone()).await;
        let error = json!({"name": "InternalServerError", "message": "Internal server error"});
        let ack = json!({"type": "ack", "ackId": 7, "success": false, "error": error});
        assert_eq!(client.next_json().await, ack);
    }
    client.send_json(json!({"type": "event", "event": "e", "data": 1})).await;
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn every_form_of_event_is_understood() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let longest = format!("e{}", "x".repeat(127));
    for event in [
        json!({"type": "event", "event": longest, "data": 1}),
        json!({"type": "Event", "event": "e", "dataType": "text", "data": ""}),
        json!({"type": "event", "event": "e", "dataType": "BINARY", "data": "AA=="}),
        json!({"type": "event", "event": "e", "metadata": {}}),
        // Properties of other messages mean nothing here, right or wrong.
        json!({"type": "event", "event": "e", "data": 1, "noEcho": 1, "ttlSeconds": 301, "group": ""}),
        json!({"type": "event", "event": "e", "dataType": "json", "data": "x", "metadata": {"k": "v"}}),
    ] {
        let ack = client.request(event.clone()).await;
        assert_eq!(ack["error"]["name"], "InternalServerError", "{event}");
    }
}
