//! A node loses its connection for hearing while messages flow, and asks their sender for what it has missed.

use serde_json::json;

use super::traffic::{Kind, Traffic};
use super::{ASKED, LOST, counted, publish, server, start};
use crate::harness::{Cluster, eventually};
use crate::support::{ClientSpec, JSON_RELIABLE};

/// How often the connection is lost.
const TIMES: usize = 5;
/// Messages that are repaired at once: three windows of a reliable client.
const BURST: u64 = 3000;

/// Numbers by which Redis knows the connections for hearing, in the order in which they were made.
pub(super) fn hearing(cluster: &mut Cluster) -> Vec<u64> {
    let list = cluster.redis().ask("CLIENT LIST TYPE pubsub").unwrap();
    let id = |line: &str| line.rsplit_once("id=")?.1.split(' ').next()?.parse().ok();
    let mut ids: Vec<u64> = list.lines().filter_map(id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn what_a_node_misses_while_its_connection_is_made_anew_is_repaired_by_its_sender() {
    let mut cluster = start();
    let members = [(Kind::Reliable, 2), (Kind::Plain, 2), (Kind::Reliable, 3), (Kind::Plain, 3)];
    let traffic = Traffic::start(&cluster, &members);
    for round in 0..TIMES {
        let before =
            eventually("three that hear", || Some(hearing(&mut cluster)).filter(|ids| ids.len() == 3));
        let killed = format!("CLIENT KILL ID {}", before[1 + round % 2]);
        assert_eq!(cluster.redis().ask(&killed).as_deref(), Some(":1\r\n"));
        eventually("three that hear again", || {
            let ids = hearing(&mut cluster);
            (ids.len() == 3 && ids != before).then_some(())
        });
        traffic.flows();
    }
    traffic.expect_whole();
    assert!(counted(&cluster, ASKED) >= TIMES as f64);
    assert_eq!(counted(&cluster, LOST), 0.0);
}

#[test]
fn a_stalled_node_that_redis_has_given_up_gets_what_it_has_missed() {
    let mut cluster = start();
    let traffic = Traffic::start(&cluster, &[(Kind::Reliable, 2), (Kind::Plain, 2), (Kind::Plain, 3)]);
    let ears = hearing(&mut cluster);
    cluster.node(2).pause();
    assert_eq!(cluster.redis().ask(&format!("CLIENT KILL ID {}", ears[1])).as_deref(), Some(":1\r\n"));
    traffic.goes_on();
    cluster.node(2).resume();
    traffic.flows();
    traffic.expect_whole();
    assert!(cluster.node(2).metric(ASKED) > 0.0);
    assert_eq!(counted(&cluster, LOST), 0.0);
}

/// What comes at once when a node is back is more than a client may leave unacknowledged.
#[tokio::test]
async fn a_burst_that_is_repaired_ends_no_session_of_a_client_that_acknowledges() {
    let mut cluster = start();
    let spec = ClientSpec::simple().offer(JSON_RELIABLE).group("room");
    let mut member = server(&cluster, 2).connect("chat", spec).await;
    let mut publisher = server(&cluster, 1).connect("chat", ClientSpec::member()).await;
    assert_eq!(publish(&mut publisher, "room", "first").await["success"], true);
    assert_eq!(member.next_json().await["data"], "first");
    let ears = hearing(&mut cluster);
    cluster.node(2).pause();
    assert_eq!(cluster.redis().ask(&format!("CLIENT KILL ID {}", ears[1])).as_deref(), Some(":1\r\n"));
    for _ in 0..BURST {
        publisher.publish("room", "missed").await;
    }
    assert_eq!(publish(&mut publisher, "room", "last").await["success"], true);
    cluster.node(2).resume();
    for sequence_id in 2..=BURST + 2 {
        let message = member.next_json().await;
        let expected = if sequence_id == BURST + 2 { "last" } else { "missed" };
        assert_eq!((&message["data"], &message["sequenceId"]), (&json!(expected), &json!(sequence_id)));
        if sequence_id % 100 == 0 {
            member.send_json(json!({"type": "sequenceAck", "sequenceId": sequence_id})).await;
        }
    }
    assert!(cluster.node(2).metric(ASKED) > 0.0);
    assert_eq!(counted(&cluster, LOST), 0.0);
}
