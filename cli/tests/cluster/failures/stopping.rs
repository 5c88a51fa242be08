//! A node stops in order: its reliable connections go on at other nodes, whether their clients have come back by then or
//! not.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::deafness::hearing;
use super::{LOST, chat, server, start};
use crate::dialect::Dialect;
use crate::harness::{Cluster, eventually};
use crate::peer::{Peer, member, next_frame};
use crate::support::{ClientSpec, Frame, PRIMARY_KEY};

/// Messages to each target while the node stops.
const MEANWHILE: usize = 100;
/// The same when it has gone.
const AFTERWARDS: usize = 10;
/// What a node logs that has waited in vain for others to say that they have all of it.
const IN_VAIN: &str = "another node may still miss messages of this one";
/// How soon a node ends that has nothing to wait for: well before it would have waited in vain.
const PROMPTLY: Duration = Duration::from_secs(3);
/// Longer than a node that hears can be without a look at the others.
const PAUSE: Duration = Duration::from_millis(1500);

/// The application sends a number to each target, through the first node.
async fn send(cluster: &Cluster, targets: &[String], numbers: std::ops::Range<usize>) {
    for number in numbers {
        for target in targets {
            let text = format!("{target} {number}");
            server(cluster, 1).rest().post(&chat(&format!("{target}/:send"))).text(&text).expect(202).await;
        }
    }
}

/// Waits until a node knows that the two others are there.
fn expect_others(cluster: &Cluster, node: usize) {
    eventually("the others", || (cluster.node(node).metric("hubbub_backplane_nodes") == 2.0).then_some(()));
}

/// Waits until a node that was told to stop has ended, and has waited for nobody in vain.
fn expect_end(cluster: &mut Cluster, node: usize) {
    assert!(cluster.node_mut(node).wait().success());
    let log = cluster.node(node).log();
    assert!(!log.contains(IN_VAIN), "{log}");
}

#[tokio::test]
async fn reliable_clients_of_a_stopped_node_miss_nothing() {
    let mut cluster = start();
    let mut peer = Peer::connect(&server(&cluster, 3), Dialect::Json).await;
    peer.send(json!({"type": "joinGroup", "group": "h", "ackId": 1})).await;
    assert_eq!(peer.next().await["success"], true);
    let ticket = peer.ticket.clone();
    let targets = ["groups/h".to_owned(), "users/ann".to_owned(), format!("connections/{}", ticket.id)];

    expect_others(&cluster, 3);
    cluster.node(3).terminate();
    send(&cluster, &targets, 0..MEANWHILE).await;
    expect_end(&mut cluster, 3);
    send(&cluster, &targets, MEANWHILE..MEANWHILE + AFTERWARDS).await;
    for target in &targets {
        server(&cluster, 2).rest().head(&chat(target)).expect(200).await;
    }

    // The first socket goes on to the close frame, what was not read on it comes again.
    drop(peer);
    let mut peer = ticket.recover(&server(&cluster, 1)).await;
    let count = (MEANWHILE + AFTERWARDS) * targets.len();
    let mut heard: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for sequence_id in 1..=count {
        let message = peer.next().await;
        assert_eq!(message["sequenceId"], sequence_id, "{message}");
        let (target, number) = message["data"].as_str().unwrap().rsplit_once(' ').unwrap();
        heard.entry(target.to_owned()).or_default().push(number.parse().unwrap());
    }
    for target in &targets {
        assert_eq!(heard[target], (0..MEANWHILE + AFTERWARDS).collect::<Vec<_>>(), "{target}");
    }
    peer.expect_nothing_before_pong().await;
    // It may do what it might, and be sent away like any other.
    peer.send(json!({"type": "sendToGroup", "group": "h", "dataType": "text", "data": "own", "ackId": 2}))
        .await;
    peer.expect("own", count as u64 + 1).await;
    assert_eq!(peer.next().await["success"], true);
    server(&cluster, 2).rest().delete(&chat(&targets[2])).expect(204).await;
    server(&cluster, 2).rest().head(&chat(&targets[2])).expect(404).await;
}

#[tokio::test]
async fn a_reliable_client_of_a_stopped_node_goes_on_seeing_what_members_of_its_group_show() {
    const ROLES: [&str; 2] = ["webpubsub.setGroupState", "webpubsub.getGroupState"];
    let mut cluster = start();
    let spec = ROLES.into_iter().fold(member(Dialect::Json), ClientSpec::role);
    let mut peer = Peer::connect_as(&server(&cluster, 3), Dialect::Json, &spec).await;
    peer.send(json!({"type": "subscribeGroupState", "group": "g"})).await;
    assert_eq!(peer.next().await["type"], "groupStateSnapshot");
    expect_others(&cluster, 3);
    cluster.node(3).terminate();
    assert!(cluster.node_mut(3).wait().success());
    let shown = ROLES.into_iter().fold(ClientSpec::member().group("g"), ClientSpec::role);
    let mut owner = server(&cluster, 1).connect("chat", shown).await;
    let state = json!({"type": "setGroupState", "group": "g", "state": {"s": "a"}, "ackId": 1});
    assert_eq!(owner.request(state).await["success"], true);
    let mut peer = peer.lose().recover(&server(&cluster, 2)).await;
    assert_eq!(peer.next().await["type"], "groupStateSnapshot", "it has not been acknowledged");
    let update = peer.next().await;
    assert_eq!(
        (&update["type"], &update["items"][0]["state"]["s"]),
        (&json!("groupStateUpdate"), &json!("a"))
    );
}

/// Each would have three quarters of its grace period to find a place, which is longer than anybody waits here.
#[tokio::test]
async fn nodes_that_stop_together_do_not_wait_for_each_other() {
    let mut cluster = start();
    let mut peers = Vec::new();
    for node in 1..=3 {
        peers.push(Peer::connect(&server(&cluster, node), Dialect::Json).await);
        expect_others(&cluster, node);
    }
    send(&cluster, &["users/ann".to_owned()], 0..MEANWHILE).await;
    let stopped = Instant::now();
    (1..=3).for_each(|node| cluster.node(node).terminate());
    drop(peers);
    (1..=3).for_each(|node| expect_end(&mut cluster, node));
    let took = stopped.elapsed();
    assert!(took < PROMPTLY, "{took:?}");
}

/// What a node has missed that stood still says nothing of those who had said farewell before.
#[tokio::test]
async fn a_node_that_stops_waits_for_nobody_who_has_said_farewell() {
    let mut cluster = start();
    expect_others(&cluster, 1);
    for node in [2, 3] {
        cluster.node(node).terminate();
        expect_end(&mut cluster, node);
    }
    cluster.node(1).pause();
    thread::sleep(PAUSE);
    cluster.node(1).resume();
    let stopped = Instant::now();
    cluster.node(1).terminate();
    expect_end(&mut cluster, 1);
    let took = stopped.elapsed();
    assert!(took < PROMPTLY, "{took:?}");
}

/// By then it has given up the channel of its connections.
#[tokio::test]
async fn a_node_that_stops_after_its_connections_have_moved_is_still_asked_for_what_was_missed() {
    const GIVEN_UP: &str = "PUBSUB SHARDCHANNELS *:node:n3";
    let mut cluster = start();
    let peer = Peer::connect(&server(&cluster, 3), Dialect::Json).await;
    let _peer = peer.lose().recover(&server(&cluster, 2)).await;
    let mut member = server(&cluster, 1).connect("chat", ClientSpec::member().group("g")).await;
    expect_others(&cluster, 3);
    let ears = hearing(&mut cluster);
    cluster.node(1).pause();
    assert_eq!(cluster.redis().ask(&format!("CLIENT KILL ID {}", ears[0])).as_deref(), Some(":1\r\n"));
    for number in 0..AFTERWARDS {
        let path = chat("groups/g/:send");
        server(&cluster, 3).rest().post(&path).text(&number.to_string()).expect(202).await;
    }
    cluster.node(3).terminate();
    eventually("a node that hears nothing for its connections", || {
        cluster.redis().ask(GIVEN_UP).filter(|answer| answer == "*0\r\n")
    });
    cluster.node(1).resume();
    for number in 0..AFTERWARDS {
        assert_eq!(member.next_json().await["data"], number.to_string());
    }
    expect_end(&mut cluster, 3);
    assert_eq!(cluster.node(1).metric(LOST), 0.0);
}

#[tokio::test]
async fn a_node_with_nobody_to_turn_to_ends_its_connections() {
    let mut cluster = Cluster::start(1, &["--access-key", PRIMARY_KEY]);
    let mut reliable = Peer::connect(&server(&cluster, 1), Dialect::Json).await;
    let mut plain = server(&cluster, 1).connect("chat", ClientSpec::json()).await;
    cluster.node(1).terminate();
    plain.expect_close(1001, "").await;
    assert_eq!(next_frame(&mut reliable.socket).await, Frame::close(1001, "").unmasked());
    drop(reliable);
    assert!(cluster.node_mut(1).wait().success());
}
