//! Three brokers on one Redis, of which something fails while a client of node 1 publishes: what its members on other
//! nodes see of it, and what callers are told meanwhile.

mod answers;
mod deafness;
mod joins;
mod limits;
mod nodes;
mod outages;
mod readiness;
mod returning;
mod sends;
mod skew;
mod stopping;
mod traffic;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Cluster, eventually};
use crate::support::{Client, PRIMARY_KEY, Server};

/// Brokers of each test.
const NODES: usize = 3;
/// How soon a node that hears nothing must say so.
const NOTICED: Duration = Duration::from_secs(2);
/// What a node counts when messages of another one are lost for good.
const LOST: &str = "hubbub_backplane_gap_total{outcome=\"lost\"}";
/// What it counts when it asks another one for what it may have missed.
const ASKED: &str = "hubbub_backplane_gap_total{outcome=\"asked\"}";

fn start() -> Cluster {
    Cluster::start(NODES, &["--access-key", PRIMARY_KEY])
}

/// A node as clients see it.
fn server(cluster: &Cluster, node: usize) -> Server {
    Server::at(cluster.node(node).address())
}

/// The path of an operation on the hub `chat`.
fn chat(rest: &str) -> String {
    format!("/api/hubs/chat/{rest}")
}

/// Every node says in time that it is not ready, counted from `since`.
fn expect_not_ready(cluster: &Cluster, since: Instant) {
    for node in 1..=NODES {
        eventually("a node that is not ready", || (!cluster.node(node).is_ready()).then_some(()));
    }
    let noticed = since.elapsed();
    assert!(noticed < NOTICED, "{noticed:?}");
}

fn expect_ready(cluster: &Cluster) {
    for node in 1..=NODES {
        eventually("a node that is ready again", || cluster.node(node).is_ready().then_some(()));
    }
}

/// How often something has been counted by all nodes together.
fn counted(cluster: &Cluster, metric: &str) -> f64 {
    (1..=NODES).map(|node| cluster.node(node).metric(metric)).sum()
}

/// Publishes text to a group of node 1 and waits for the ack.
async fn publish(client: &mut Client, group: &str, text: &str) -> Value {
    client
        .request(
            json!({"type": "sendToGroup", "group": group, "dataType": "text", "data": text, "noEcho": true}),
        )
        .await
}
