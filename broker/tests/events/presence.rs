//! Groups that are joined and left, as the application is told.

use serde_json::json;

use crate::broker_with;
use crate::support::{Answer, Arrived, ClientSpec, Handler, HandlerSpec, Server};

const BOTH: [&str; 2] = ["joined", "left"];

fn presence(spec: HandlerSpec) -> HandlerSpec {
    spec.groups(&BOTH)
}

/// The name of an event and the group in its body.
fn told(arrived: &Arrived) -> (String, String) {
    assert_eq!(arrived.header("content-type"), Some("application/json"));
    let mut body = arrived.json();
    let group = body["group"].take().as_str().unwrap().to_owned();
    assert_eq!(body, json!({"group": null}));
    (arrived.event().to_owned(), group)
}

/// The next events, all of one connection, are these in the order of their numbers.
async fn expect(handler: &Handler, events: &[(&str, &str)]) {
    let arrived = handler.by_number(events.len()).await;
    let arrived: Vec<(String, String)> = arrived.iter().map(told).collect();
    let expected = events.iter().map(|(event, group)| ((*event).to_owned(), (*group).to_owned()));
    assert_eq!(arrived, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_group_is_joined_after_the_connection_began_and_left_before_it_ended() {
    let handler = Handler::start().await;
    let all = |spec: HandlerSpec| presence(spec.system(&["connected", "disconnected"]));
    let server = broker_with(&handler, all).await;
    let mut client = server.connect("chat", ClientSpec::member().group("of token")).await;
    client.join("room").await;
    client.close().await;
    let events = handler.by_number(6).await;
    let names: Vec<&str> = events.iter().map(Arrived::event).collect();
    assert_eq!(names, ["connected", "joined", "joined", "left", "left", "disconnected"]);
    let joined = [told(&events[1]).1, told(&events[2]).1];
    assert_eq!(joined, ["of token", "room"]);
    let mut left = [told(&events[3]).1, told(&events[4]).1];
    left.sort();
    assert_eq!(left, ["of token", "room"]);
    let numbers: Vec<u64> = events.iter().map(Arrived::id).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn what_a_client_joins_and_leaves_is_told_and_what_changes_nothing_is_not() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, presence).await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    for group in ["a", "a", "b"] {
        client.join(group).await;
    }
    for group in ["never joined", "a", "a"] {
        client.leave(group).await;
    }
    client.join("a").await;
    expect(&handler, &[("joined", "a"), ("joined", "b"), ("left", "a"), ("joined", "a")]).await;
    let mut stranger = server.connect("chat", ClientSpec::json()).await;
    stranger.request(json!({"type": "joinGroup", "group": "a"})).await;
    client.leave("b").await;
    expect(&handler, &[("left", "b")]).await;
}

#[tokio::test]
async fn what_the_application_changes_is_told() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, presence).await;
    let client = server.connect("chat", ClientSpec::json().user("ann")).await;
    let id = client.connection_id();
    let rest = server.rest();
    let hub = "/api/hubs/chat";
    for _ in 0..2 {
        rest.put(&format!("{hub}/groups/a/connections/{id}")).expect(200).await;
    }
    rest.put(&format!("{hub}/users/ann/groups/b")).expect(200).await;
    rest.delete(&format!("{hub}/groups/a/connections/{id}")).expect(204).await;
    rest.delete(&format!("{hub}/groups/a/connections/{id}")).send().await;
    rest.delete(&format!("{hub}/users/ann/groups/b")).expect(204).await;
    let expected = [("joined", "a"), ("joined", "b"), ("left", "a"), ("left", "b")];
    expect(&handler, &expected).await;
    rest.put(&format!("{hub}/groups/c/connections/{id}")).expect(200).await;
    rest.delete(&format!("{hub}/users/ann/groups")).expect(204).await;
    expect(&handler, &[("joined", "c"), ("left", "c")]).await;
    rest.put(&format!("{hub}/groups/d/connections/{id}")).expect(200).await;
    rest.delete(&format!("{hub}/connections/{id}/groups")).expect(204).await;
    expect(&handler, &[("joined", "d"), ("left", "d")]).await;
    let filter = json!({"filter": "userId eq 'ann'", "groups": ["e"]});
    rest.post(&format!("{hub}/:addToGroups")).json(&filter).expect(200).await;
    rest.post(&format!("{hub}/:removeFromGroups")).json(&filter).expect(200).await;
    expect(&handler, &[("joined", "e"), ("left", "e")]).await;
}

#[tokio::test]
async fn a_user_on_several_connections_joins_with_each() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, presence).await;
    let mut ids = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..6 {
        let client = server.connect("chat", ClientSpec::json().user("ann")).await;
        ids.push(client.connection_id().to_owned());
        clients.push(client);
    }
    server.rest().put("/api/hubs/chat/users/ann/groups/g").expect(200).await;
    let mut joined = Vec::new();
    for _ in 0..6 {
        let arrived = handler.expect("joined").await;
        assert_eq!(arrived.header("ce-userid"), Some("ann"));
        joined.push(arrived.connection_id().to_owned());
    }
    ids.sort();
    joined.sort();
    assert_eq!(joined, ids);
}

#[tokio::test]
async fn groups_that_the_application_names_at_connect_are_joined() {
    let handler = Handler::start().await;
    handler.always("connect", Answer::json(&json!({"groups": ["wanted"]})));
    let server = broker_with(&handler, |spec| presence(spec.system(&["connect"]))).await;
    let _client = server.connect("chat", ClientSpec::json().group("of token")).await;
    handler.expect("connect").await;
    expect(&handler, &[("joined", "wanted")]).await;
    let mut other = server.connect("chat", ClientSpec::member()).await;
    other.join("marker").await;
    let other = handler.expect_all(&["connect", "joined", "joined"]).await;
    let groups: Vec<String> = other[1..].iter().map(|joined| told(joined).1).collect();
    assert_eq!(groups, ["wanted", "marker"]);
}

#[tokio::test]
async fn only_the_wanted_events_of_the_wanted_groups_are_told() {
    let handler = Handler::start().await;
    let leaving = Handler::start().await;
    let server = Server::with(|setup| {
        setup.handler("chat", &handler, |spec| spec.groups(&["joined"]).only_groups(&["room.*", "lobby.**"]));
        setup.handler("chat", &leaving, |spec| spec.groups(&["left"]));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    let groups = ["other", "room.1", "room.1.2", "rooms", "lobby.1.2", "ROOM.1"];
    for group in groups {
        client.join(group).await;
    }
    for group in groups {
        client.leave(group).await;
    }
    expect(&handler, &[("joined", "room.1"), ("joined", "lobby.1.2")]).await;
    expect(&leaving, &groups.map(|group| ("left", group))).await;
}

#[tokio::test]
async fn a_handler_of_user_events_is_told_nothing_of_groups() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.connect("chat", ClientSpec::member().group("g")).await;
    client.join("room").await;
    client.close().await;
    for event in ["connect", "connected", "disconnected"] {
        handler.expect(event).await;
    }
}
