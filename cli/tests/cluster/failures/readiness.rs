//! Nodes that hear and yet are not fit for clients: they say so, and what to change, and keep the clients that they have.

use std::thread::sleep;
use std::time::Duration;

use super::{chat, server, start};
use crate::harness::{Broker, eventually};
use crate::support::ClientSpec;

/// Looks at a node that must stay ready, and the time between them: longer than it takes to notice a second one.
const LOOKS: u32 = 400;
const LOOK: Duration = Duration::from_millis(10);

/// Why a node says that it is not ready, once it does.
fn reason(broker: &Broker) -> String {
    eventually("a node that is not ready", || {
        broker.page("/health/ready")?.split_once("not ready: ").map(|(_, reason)| reason.to_owned())
    })
}

fn expect_ready(broker: &Broker) {
    eventually("a node that is ready", || broker.is_ready().then_some(()));
}

#[tokio::test]
async fn a_node_whose_messages_redis_refuses_is_not_ready_and_keeps_its_clients() {
    let mut cluster = start();
    let mut client = server(&cluster, 1).connect("chat", ClientSpec::member().group("room")).await;
    assert_eq!(cluster.redis().ask("ACL SETUSER default -spublish").as_deref(), Some("+OK\r\n"));
    assert!(reason(cluster.node(1)).contains("SPUBLISH"));
    eventually("what to change in the log", || cluster.node(1).log().contains("SPUBLISH").then_some(()));
    client.expect_nothing_before_pong().await;
    assert_eq!(cluster.redis().ask("ACL SETUSER default +spublish").as_deref(), Some("+OK\r\n"));
    expect_ready(cluster.node(1));
    let rest = server(&cluster, 2).rest();
    expect_ready(cluster.node(2));
    rest.post(&chat("groups/room/:send")).text("hi").expect(202).await;
    assert_eq!(client.next_json().await["data"], "hi");
}

#[test]
fn the_younger_of_two_nodes_with_one_id_is_not_ready_until_the_other_has_gone() {
    const NAMESAKES: &str = "hubbub_backplane_namesakes";
    let mut cluster = start();
    let younger = cluster.start_again("n1");
    assert!(reason(&younger).contains("--node-id"));
    for node in [cluster.node(1), &younger] {
        eventually("a word in the log", || {
            let is_error = |line: &str| line.contains("\"ERROR\"") && line.contains("--node-id");
            node.log().lines().any(is_error).then_some(())
        });
        eventually("a count of it", || (node.metric(NAMESAKES) == 1.0).then_some(()));
    }
    assert!(cluster.node(1).is_ready() && cluster.node(2).is_ready());
    cluster.node_mut(1).kill();
    expect_ready(&younger);
    eventually("a count of nobody", || (younger.metric(NAMESAKES) == 0.0).then_some(()));
}

#[test]
fn a_node_that_is_started_again_is_not_taken_for_a_second_one() {
    let mut cluster = start();
    for is_orderly in [true, false] {
        if is_orderly {
            cluster.node(1).terminate();
            cluster.node_mut(1).wait();
        }
        cluster.replace(1);
        for _ in 0..LOOKS {
            sleep(LOOK);
            assert!(cluster.node(1).is_ready());
        }
        assert!(!cluster.node(1).log().contains("--node-id"));
    }
}
