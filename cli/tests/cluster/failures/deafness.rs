//! A node loses its connection for hearing while messages flow, and asks their sender for what it has missed.

use super::traffic::{Kind, Traffic};
use super::{ASKED, LOST, counted, start};
use crate::harness::{Cluster, eventually};

/// How often the connection is lost.
const TIMES: usize = 5;

/// Numbers by which Redis knows the connections for hearing, in the order in which they were made.
fn hearing(cluster: &mut Cluster) -> Vec<u64> {
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
