//! A node is killed with sessions on it: they go on elsewhere, and nothing that was acknowledged is lost, doubled or out of
//! order.

use std::time::Duration;

use super::member;
use super::nodes::{Durable, GROUPS, Links, over_both};
use super::session::{Heard, Session};
use super::traffic::{Manner, Publishers, expect_whole, subscribe};
use crate::dialect::Dialect;

/// Numbers that are acknowledged before and after the kill.
const FLOWING: u64 = 100;
const DIALECTS: [Dialect; 2] = [Dialect::Json, Dialect::Protobuf];

over_both!(
    sessions_of_a_killed_node_go_on_and_miss_nothing,
    a_client_whose_node_is_killed_while_it_publishes_is_heard_once,
    what_was_acknowledged_just_before_the_kill_holds,
    a_session_outlives_one_node_after_another,
);

async fn sessions_of_a_killed_node_go_on_and_miss_nothing(links: Links) {
    let mut nodes = Durable::start(links);
    let in_all_groups = |user| GROUPS.iter().fold(member().user(user), |spec, group| spec.group(group));
    let mut publishers = Publishers::none();
    let (mut subscribers, mut targets) = (Vec::new(), vec![String::new()]);
    for dialect in DIALECTS {
        let session = nodes.session(1, dialect, in_all_groups("ann")).await;
        targets.push(format!("connections/{}/", session.id()));
        // Hub, groups, user and connection.
        subscribers.push((format!("{dialect:?} of node 1"), subscribe(session, GROUPS.len() + 3)));
    }
    let elsewhere = nodes.session(2, Dialect::Json, in_all_groups("bob")).await;
    let elsewhere = subscribe(elsewhere, GROUPS.len() + 1);
    nodes.expect_spread();
    targets.extend(["groups/one/".to_owned(), "users/ann/".to_owned()]);
    publishers.call(nodes.address(2), targets);
    for (node, (group, dialect)) in (1..).zip(GROUPS.into_iter().zip([DIALECTS[0], DIALECTS[1], DIALECTS[0]]))
    {
        let session = nodes.session(node, dialect, member()).await;
        publishers.publish(&format!("of node {node}"), session, group, Manner::default());
    }
    publishers.flow(FLOWING).await;
    nodes.kill(1);
    publishers.flow(FLOWING).await;
    let acknowledged = publishers.finish(nodes.address(3)).await;
    for (who, subscriber) in subscribers {
        let mut seen = super::soon("the farewell", subscriber).await.unwrap();
        // Each has its own.
        let mut due = acknowledged.clone();
        due.retain(|name, _| !name.starts_with("rest to connections/") || seen.contains_key(name));
        assert_eq!(seen.keys().filter(|name| name.starts_with("rest to connections/")).count(), 1, "{who}");
        expect_whole(&who, &seen, &due);
        seen.retain(|name, _| !acknowledged.contains_key(name));
        assert!(seen.is_empty(), "{who}: {seen:?}");
    }
    let seen = super::soon("the farewell", elsewhere).await.unwrap();
    let mut due = acknowledged;
    due.retain(|name, _| !name.starts_with("rest to connections/") && name != "rest to users/ann/");
    expect_whole("a member of node 2", &seen, &due);
}

async fn a_client_whose_node_is_killed_while_it_publishes_is_heard_once(links: Links) {
    let mut nodes = Durable::start(links);
    let mut subscribers = Vec::new();
    for node in [2, 3] {
        let session = nodes.session(node, Dialect::Json, member().group("one")).await;
        subscribers.push((format!("a member of node {node}"), subscribe(session, 1)));
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
        expect_whole(&who, &super::soon("the farewell", subscriber).await.unwrap(), &acknowledged);
    }
}

async fn what_was_acknowledged_just_before_the_kill_holds(links: Links) {
    const CLIENTS: usize = 10;
    let mut nodes = Durable::start(links);
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

async fn a_session_outlives_one_node_after_another(links: Links) {
    let mut nodes = Durable::start(links);
    let session = nodes.session(1, Dialect::Json, member().group("one")).await;
    let subscriber = subscribe(session, 1);
    let mut publishers = Publishers::none();
    publishers.call(nodes.address(3), vec!["groups/one/".to_owned()]);
    publishers.flow(20).await;
    nodes.kill(1);
    publishers.flow(200).await;
    nodes.kill(2);
    publishers.flow(200).await;
    let acknowledged = publishers.finish(nodes.address(3)).await;
    expect_whole("the member", &super::soon("the farewell", subscriber).await.unwrap(), &acknowledged);
}
