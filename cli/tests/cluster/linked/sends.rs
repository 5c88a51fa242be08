//! Sends by REST to clients of other nodes: targets, `excluded`, `filter`, order.

use serde_json::{Value, json};

use super::{Nodes, chat};
use crate::support::{Client, ClientSpec, escape};

/// A client of user `ann` in `room` on node 1, and one of `bob` in `room` on node 2; calls go to node 3.
async fn ann_and_bob(nodes: &Nodes) -> (Client, Client) {
    let ann = nodes.node(1).connect("chat", ClientSpec::json().user("ann").group("room")).await;
    let bob = nodes.node(2).connect("chat", ClientSpec::json().user("bob").group("room")).await;
    (ann, bob)
}

async fn send(nodes: &Nodes, target: &str) {
    nodes.node(3).rest().post(&chat(target)).text(target).expect(202).await;
}

fn list(targets: &[&String]) -> Vec<Value> {
    targets.iter().map(|target| json!(target)).collect()
}

#[tokio::test]
async fn every_target_is_reached_on_whatever_node_it_is() {
    let nodes = Nodes::start();
    let (mut ann, mut bob) = ann_and_bob(&nodes).await;
    let mut elsewhere = nodes.node(1).connect("other", ClientSpec::json().user("ann").group("room")).await;
    let connection = format!("connections/{}/:send", bob.connection_id());
    let [hub, group, user] = [":send", "groups/room/:send", "users/ann/:send"].map(str::to_owned);
    for target in [&hub, &group, &user, &connection] {
        send(&nodes, target).await;
    }
    for target in ["groups/none/:send", "users/none/:send"] {
        send(&nodes, target).await;
    }
    assert_eq!(nodes.received(&mut ann).await, list(&[&hub, &group, &user]));
    assert_eq!(nodes.received(&mut bob).await, list(&[&hub, &group, &connection]));
    elsewhere.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn who_is_excluded_gets_nothing() {
    let nodes = Nodes::start();
    let (mut ann, mut bob) = ann_and_bob(&nodes).await;
    let without = |target: &str, client: &Client| format!("{target}?excluded={}", client.connection_id());
    let (hub, group) = (without(":send", &ann), without("groups/room/:send", &bob));
    send(&nodes, &hub).await;
    send(&nodes, &group).await;
    assert_eq!(nodes.received(&mut ann).await, list(&[&group]));
    assert_eq!(nodes.received(&mut bob).await, list(&[&hub]));
}

#[tokio::test]
async fn a_filter_chooses_on_every_node() {
    let nodes = Nodes::start();
    let (mut ann, mut bob) = ann_and_bob(&nodes).await;
    let only = |target: &str, filter: &str| format!("{target}?filter={}", escape(filter));
    let hub = only(":send", "userId eq 'ann'");
    let group = only("groups/room/:send", "startswith(userId, 'b') and 'room' in groups");
    let user = only("users/ann/:send", "userId eq 'bob'");
    for target in [&hub, &group, &user] {
        send(&nodes, target).await;
    }
    assert_eq!(nodes.received(&mut ann).await, list(&[&hub]));
    assert_eq!(nodes.received(&mut bob).await, list(&[&group]));
}

#[tokio::test]
async fn calls_awaited_one_after_another_arrive_in_order_whichever_nodes_took_them() {
    let nodes = Nodes::start();
    let mut members = Vec::new();
    for server in nodes.all() {
        members.push(server.connect("chat", ClientSpec::json().group("room")).await);
    }
    for number in 0..1000 {
        let rest = nodes.node(1 + number % Nodes::COUNT).rest();
        rest.post(&chat("groups/room/:send")).text(&number.to_string()).expect(202).await;
    }
    for member in &mut members {
        for number in 0..1000 {
            assert_eq!(member.next_json().await["data"], number.to_string());
        }
    }
}

#[tokio::test]
async fn a_client_without_a_subprotocol_is_reached_from_its_first_moment() {
    let nodes = Nodes::start();
    let keeper = nodes.node(1).connect("chat", ClientSpec::json()).await;
    for number in 0..100 {
        // Everything is new each time, so that the node has to tell the others of it.
        let spec = ClientSpec::simple().user(&format!("user-{number}")).group(&format!("group-{number}"));
        let mut client = nodes.node(1).open("chat", spec).await;
        for target in [format!("users/user-{number}/:send"), format!("groups/group-{number}/:send")] {
            send(&nodes, &target).await;
            assert_eq!(client.next_text().await, target);
        }
    }
    keeper.close().await;
}
