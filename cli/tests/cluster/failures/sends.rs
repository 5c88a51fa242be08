//! REST sends while Redis is away: nobody is told that a message was taken in of which that cannot be known.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{NODES, chat, expect_ready, server, start};
use crate::harness::Redis;
use crate::support::ClientSpec;

/// Longest time that a caller waits for an answer.
const ANSWERED: Duration = Duration::from_secs(7);
/// Where a message reaches the member, by each of its addresses.
const TARGETS: [&str; 3] = [":send", "groups/room/:send", "users/ann/:send"];

/// Sends fail in time while Redis is away, and work when it is back. What failed may still arrive, once.
async fn check(go: fn(&mut Redis), come_back: fn(&mut Redis)) {
    let mut cluster = start();
    let servers: Vec<_> = (1..=NODES).map(|node| server(&cluster, node)).collect();
    let mut member = servers[1].connect("chat", ClientSpec::json().user("ann").group("room")).await;
    go(cluster.redis());
    let begun = Instant::now();
    let sends = servers.iter().enumerate().flat_map(|(node, server)| {
        let send = move |target: &str| server.rest().post(&chat(target)).text(&format!("{target} by {node}"));
        TARGETS.map(|target| send(target).expect(503))
    });
    join_all(sends).await;
    assert!(begun.elapsed() < ANSWERED, "{:?}", begun.elapsed());

    come_back(cluster.redis());
    expect_ready(&cluster);
    for server in &servers {
        for target in TARGETS {
            server.rest().post(&chat(target)).text("in time").expect(202).await;
        }
    }
    let (mut in_time, mut late) = (0, HashSet::new());
    while in_time < NODES * TARGETS.len() {
        let message = member.next_json().await;
        match message["data"].as_str().unwrap() {
            "in time" => in_time += 1,
            other => assert!(late.insert(other.to_owned()), "twice: {other}"),
        }
    }
    member.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn sends_fail_in_time_while_redis_is_down_and_work_when_it_is_up() {
    check(Redis::kill, Redis::restart).await;
}

#[tokio::test]
async fn sends_fail_in_time_while_redis_hangs_and_work_when_it_goes_on() {
    check(|redis| redis.pause(), |redis| redis.resume()).await;
}
