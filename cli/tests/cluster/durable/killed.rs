//! A node is killed with sessions on it: they go on elsewhere, and nothing that was acknowledged is lost, doubled or out of
//! order.

use std::time::Duration;

use super::session::{Heard, Session};
use super::traffic::{Manner, Publishers, expect_whole, subscribe};
use super::{durable, member};
use crate::dialect::Dialect;

/// Numbers that are acknowledged before and after the kill.
const FLOWING: u64 = 100;
const DIALECTS: [Dialect; 2] = [Dialect::Json, Dialect::Protobuf];

#[tokio::test]
async fn sessions_of_a_killed_node_go_on_and_miss_nothing() {
    let mut nodes = durable();
    let mut publishers = Publishers::none();
    let (mut subscribers, mut targets) = (Vec::new(), vec![String::new()]);
    for dialect in DIALECTS {
        let session = nodes.session(1, dialect, member().user("ann").group("one").group("two")).await;
        targets.push(format!("connections/{}/", session.id()));
        subscribers.push((format!("{dialect:?} of node 1"), subscribe(session)));
    }
    let elsewhere = nodes.session(2, Dialect::Json, member().user("bob").group("one").group("two")).await;
    let elsewhere = subscribe(elsewhere);
    targets.extend(["groups/one/".to_owned(), "users/ann/".to_owned()]);
    publishers.call(nodes.address(2), targets);
    for (name, node) in [("of node 1", 1), ("of node 3", 3)] {
        let session = nodes.session(node, DIALECTS[node / 2], member()).await;
        publishers.publish(name, session, if node == 1 { "one" } else { "two" }, Manner::default());
    }
    publishers.flow(FLOWING).await;
    nodes.kill(1);
    publishers.flow(FLOWING).await;
    let acknowledged = publishers.finish(nodes.address(3)).await;
    for (who, subscriber) in subscribers {
        let (_, mut seen) = super::soon("the farewell", subscriber).await.unwrap();
        // Each has its own.
        let mut due = acknowledged.clone();
        due.retain(|name, _| !name.starts_with("rest to connections/") || seen.contains_key(name));
        assert_eq!(seen.keys().filter(|name| name.starts_with("rest to connections/")).count(), 1, "{who}");
        expect_whole(&who, &seen, &due);
        seen.retain(|name, _| !acknowledged.contains_key(name));
        assert!(seen.is_empty(), "{who}: {seen:?}");
    }
    let (_, seen) = super::soon("the farewell", elsewhere).await.unwrap();
    let mut due = acknowledged;
    due.retain(|name, _| !name.starts_with("rest to connections/") && name != "rest to users/ann/");
    expect_whole("a member of node 2", &seen, &due);
}

#[tokio::test]
async fn a_client_whose_node_is_killed_while_it_publishes_is_heard_once() {
    let mut nodes = durable();
    let mut subscribers = Vec::new();
    for node in [2, 3] {
        let session = nodes.session(node, Dialect::Json, member().group("one")).await;
        subscribers.push((format!("a member of node {node}"), subscribe(session)));
    }
    let mut publishers = Publishers::none();
    for (number, dialect) in [0, 1, 2, 3].map(|number| (number, DIALECTS[number % 2])) {
        let session = nodes.session(1, dialect, member()).await;
        // Many are under way when the node ends, and there is little to do for it until then.
        let manner = Manner { in_flight: 10, pace: Duration::from_millis(40) };
        publishers.publish(&format!("publisher {number}"), session, "one", manner);
    }
    publishers.flow(FLOWING).await;
    nodes.kill(1);
    publishers.flow(FLOWING).await;
    let acknowledged = publishers.finish(nodes.address(2)).await;
    for (who, subscriber) in subscribers {
        expect_whole(&who, &super::soon("the farewell", subscriber).await.unwrap().1, &acknowledged);
    }
}

#[tokio::test]
async fn what_was_acknowledged_just_before_the_kill_holds() {
    const CLIENTS: usize = 10;
    let mut nodes = durable();
    let mut sessions = Vec::new();
    for number in 0..CLIENTS {
        let session = nodes.session(1, DIALECTS[number % 2], member().group("left")).await;
        sessions.push(session);
    }
    for (number, session) in sessions.iter_mut().enumerate() {
        let group = format!("g{number}");
        session.send(&serde_json::json!({"type": "joinGroup", "group": group, "ackId": 1})).await;
        session.send(&serde_json::json!({"type": "leaveGroup", "group": "left", "ackId": 2})).await;
    }
    for session in &mut sessions {
        for expected in [1, 2] {
            assert!(matches!(acknowledged(session).await, Some(id) if id == expected));
        }
    }
    nodes.kill(1);
    for (number, session) in sessions.iter_mut().enumerate() {
        while !matches!(session.hear().await, Heard::Lost) {}
        session.come_back().await;
        nodes.send(3, "groups/left", "to those who have not left").await;
        nodes.send(2, &format!("groups/g{number}"), "to who has joined").await;
        let message = super::soon("the message", session.next_message()).await;
        assert_eq!(message["data"], "to who has joined", "client {number}");
    }
}

/// The ack id of the next request that is done.
async fn acknowledged(session: &mut Session) -> Option<u64> {
    loop {
        match session.hear().await {
            Heard::Ack(id, true) => return Some(id),
            Heard::Ack(_, false) | Heard::Lost => return None,
            Heard::Message(_) | Heard::Nothing => {}
        }
    }
}

#[tokio::test]
async fn a_session_outlives_one_node_after_another() {
    let mut nodes = durable();
    let session = nodes.session(1, Dialect::Json, member().group("one")).await;
    let subscriber = subscribe(session);
    let mut publishers = Publishers::none();
    publishers.call(nodes.address(3), vec!["groups/one/".to_owned()]);
    publishers.flow(20).await;
    nodes.kill(1);
    publishers.flow(200).await;
    nodes.kill(2);
    publishers.flow(200).await;
    let acknowledged = publishers.finish(nodes.address(3)).await;
    expect_whole("the member", &super::soon("the farewell", subscriber).await.unwrap().1, &acknowledged);
}
