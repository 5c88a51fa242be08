//! A node is killed, or stalls for a while.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::traffic::{Kind, Traffic};
use super::{LOST, NOTICED, chat, counted, expect_ready, publish, server, start};
use crate::harness::DEADLINE;
use crate::support::{ClientSpec, JSON_RELIABLE, Received, Rest};

/// How long a node stalls: longer than its connections to Redis bear.
const STALLS: Duration = Duration::from_secs(4);

/// The ids of a group's members.
async fn members(rest: &Rest, group: &str) -> Vec<Value> {
    let page = rest.get(&chat(&format!("groups/{group}/connections"))).expect(200).await.json();
    page["value"].as_array().unwrap().iter().map(|one| one["connectionId"].clone()).collect()
}

/// There is no such thing, as soon as Redis knows that the node is gone. Until then nobody can say.
async fn expect_forgotten(rest: &Rest, path: &str) {
    let end = Instant::now() + DEADLINE;
    loop {
        let reply = rest.head(&chat(path)).send().await;
        if reply.status == 404 {
            return;
        }
        assert_eq!(reply.status, 503, "{path}");
        assert!(Instant::now() < end, "{path}: nobody says that it is gone");
    }
}

#[tokio::test]
async fn the_others_go_on_without_a_killed_node_and_forget_its_connections() {
    let mut cluster = start();
    let traffic = Traffic::start(&cluster, &[(Kind::Reliable, 2), (Kind::Plain, 2)]);
    let spec = || ClientSpec::json().user("ann").group("place");
    let kept = server(&cluster, 2).connect("chat", spec()).await;
    let gone = server(&cluster, 3).connect("chat", spec().group("only there")).await;
    let there = [format!("connections/{}", gone.connection_id()), "groups/only%20there".to_owned()];
    let rest = server(&cluster, 1).rest();
    for path in &there {
        rest.head(&chat(path)).expect(200).await;
    }
    assert_eq!(members(&rest, "place").await.len(), 2);

    cluster.node_mut(3).kill();
    for path in &there {
        expect_forgotten(&rest, path).await;
    }
    rest.head(&chat(&format!("connections/{}", kept.connection_id()))).expect(200).await;
    rest.head(&chat("users/ann")).expect(200).await;
    assert_eq!(members(&rest, "place").await, [kept.connection_id()]);
    traffic.flows();
    traffic.expect_whole();
    for node in [1, 2] {
        assert_eq!(cluster.node(node).metric(LOST), 0.0);
    }
}

#[tokio::test]
async fn what_was_on_a_node_that_has_stopped_is_known_to_be_gone_at_once() {
    let mut cluster = start();
    let gone = server(&cluster, 3).connect("chat", ClientSpec::json().user("ann")).await;
    let path = format!("connections/{}", gone.connection_id());
    let rest = server(&cluster, 1).rest();
    rest.head(&chat(&path)).expect(200).await;
    cluster.node(3).terminate();
    gone.close().await;
    cluster.node_mut(3).wait();
    let since = Instant::now();
    for path in [&path, "users/ann"] {
        expect_forgotten(&rest, path).await;
    }
    let noticed = since.elapsed();
    assert!(noticed < NOTICED, "{noticed:?}");
}

#[test]
fn the_members_of_a_stalled_node_get_what_was_published_meanwhile() {
    let cluster = start();
    let traffic = Traffic::start(&cluster, &[(Kind::Plain, 2), (Kind::Reliable, 2), (Kind::Reliable, 3)]);
    cluster.node(2).pause();
    std::thread::sleep(STALLS);
    cluster.node(2).resume();
    expect_ready(&cluster);
    traffic.flows();
    traffic.expect_whole();
    assert_eq!(counted(&cluster, LOST), 0.0);
}

#[tokio::test]
async fn sessions_that_miss_what_died_with_its_node_are_ended_and_counted() {
    let mut cluster = start();
    let reliable = ClientSpec::simple().offer(JSON_RELIABLE).group("room");
    let mut concerned = server(&cluster, 2).connect("chat", reliable).await;
    let mut plain = server(&cluster, 3).connect("chat", ClientSpec::json().group("room")).await;
    let mut publisher = server(&cluster, 1).connect("chat", ClientSpec::member()).await;
    publish(&mut publisher, "room", "before").await;
    for member in [&mut concerned, &mut plain] {
        assert_eq!(member.next_json().await["data"], "before");
    }
    cluster.redis().kill();
    // It is acknowledged, and has gone no further than its node.
    assert_eq!(publish(&mut publisher, "room", "lost").await["success"], true);
    cluster.node_mut(1).kill();
    cluster.redis().restart();
    let end = tokio::time::timeout(DEADLINE, concerned.next_unhurried()).await;
    assert_eq!(end, Ok(Received::End), "abruptly, so that it comes back and learns of it");
    assert!(cluster.node(2).metric(LOST) > 0.0);
    server(&cluster, 2).rest().post(&chat("groups/room/:send")).text("after").expect(202).await;
    assert_eq!(plain.next_json().await["data"], "after");
}
