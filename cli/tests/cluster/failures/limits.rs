//! Redis has no memory left, takes nothing for a while, or gives up whoever reads too slowly.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::traffic::{Kind, Traffic};
use super::{ASKED, LOST, NODES, counted, expect_not_ready, expect_ready, publish, server, start};
use crate::harness::{Cluster, eventually};
use crate::support::{ClientSpec, JSON_RELIABLE};

/// How long Redis takes nothing.
const PAUSED: Duration = Duration::from_secs(3);
/// Messages that a node is sent while it does not read, and bytes of each: more than Redis and the sockets in between
/// hold, and less than the window of a reliable client.
const MISSED: u64 = 400;
const LENGTH: usize = 30_000;

fn tell(cluster: &mut Cluster, command: &str) {
    assert_eq!(cluster.redis().ask(command).as_deref(), Some("+OK\r\n"), "{command}");
}

/// What nodes say to each other is not kept in Redis, so that it does not matter.
#[test]
fn a_redis_without_memory_costs_no_message() {
    let mut cluster = start();
    let traffic = Traffic::start(&cluster, &[(Kind::Reliable, 2), (Kind::Plain, 3)]);
    tell(&mut cluster, "CONFIG SET maxmemory 1");
    assert!(cluster.redis().ask("SET a b").unwrap().starts_with("-OOM"), "it is full");
    traffic.flows();
    let ears = cluster.redis().ask("CLIENT KILL TYPE pubsub");
    assert_eq!(ears.as_deref(), Some(":3\r\n"), "one of each node");
    expect_ready(&cluster);
    traffic.flows();
    (1..=NODES).for_each(|node| assert!(cluster.node(node).is_ready()));
    traffic.expect_whole();
    assert_eq!(counted(&cluster, LOST), 0.0);
}

/// Nodes are not ready while Redis is told to take nothing, whether it answers all else or not.
#[test]
fn a_redis_that_is_told_to_pause_costs_no_message() {
    let mut cluster = start();
    let traffic = Traffic::start(&cluster, &[(Kind::Reliable, 2), (Kind::Plain, 3)]);
    for what in ["WRITE", "ALL"] {
        let since = Instant::now();
        tell(&mut cluster, &format!("CLIENT PAUSE {} {what}", PAUSED.as_millis()));
        expect_not_ready(&cluster, since);
        sleep(PAUSED.saturating_sub(since.elapsed()));
        expect_ready(&cluster);
        traffic.flows();
    }
    traffic.expect_whole();
    assert_eq!(counted(&cluster, LOST), 0.0);
}

/// The limit is an eighth of what Redis has by default, and less than what the node misses. It must be more than what one
/// node sends at once of an answer, about a megabyte, and more than the longest message.
#[tokio::test]
async fn a_node_that_redis_gives_up_for_reading_slowly_gets_what_it_has_missed() {
    let mut cluster = start();
    tell(&mut cluster, "CONFIG SET client-output-buffer-limit \"pubsub 4mb 0 0\"");
    let spec = ClientSpec::simple().offer(JSON_RELIABLE).group("room");
    let mut member = server(&cluster, 2).connect("chat", spec).await;
    let mut publisher = server(&cluster, 1).connect("chat", ClientSpec::member()).await;
    cluster.node(2).pause();
    for number in 0..MISSED {
        let text = format!("{number} {}", "x".repeat(LENGTH));
        assert_eq!(publish(&mut publisher, "room", &text).await["success"], true);
    }
    eventually("that Redis gives it up", || {
        let list = cluster.redis().ask("CLIENT LIST TYPE pubsub")?;
        (list.matches("id=").count() == NODES - 1).then_some(())
    });
    cluster.node(2).resume();
    for number in 0..MISSED {
        let message = member.next_json().await;
        let data = message["data"].as_str().unwrap();
        assert_eq!(data.split(' ').next(), Some(number.to_string().as_str()));
        assert_eq!(message["sequenceId"], number + 1);
        if number % 100 == 0 {
            member.send_json(json!({"type": "sequenceAck", "sequenceId": number + 1})).await;
        }
    }
    expect_ready(&cluster);
    assert!(cluster.node(2).metric(ASKED) > 0.0);
    assert_eq!(counted(&cluster, LOST), 0.0);
}
