//! Connections and users of other nodes are added to groups and removed from them.

use serde_json::json;

use super::{Nodes, chat};
use crate::support::{Client, ClientSpec};

/// Whether the client gets what is sent to a group through node 1.
async fn is_member(nodes: &Nodes, client: &mut Client, group: &str) -> bool {
    nodes.node(1).rest().post(&chat(&format!("groups/{group}/:send"))).text("hi").expect(202).await;
    nodes.received(client).await == [json!("hi")]
}

#[tokio::test]
async fn a_connection_of_another_node_is_added_and_removed() {
    let nodes = Nodes::start();
    let mut client = nodes.node(2).connect("chat", ClientSpec::json()).await;
    let path = chat(&format!("groups/room/connections/{}", client.connection_id()));
    for _ in 0..20 {
        nodes.node(3).rest().put(&path).expect(200).await;
        assert!(is_member(&nodes, &mut client, "room").await);
        nodes.node(3).rest().delete(&path).expect(204).await;
        assert!(!is_member(&nodes, &mut client, "room").await);
    }
    let missing = chat("groups/room/connections/none");
    nodes.node(3).rest().put(&missing).expect(404).await;
    nodes.node(3).rest().delete(&missing).expect(204).await;
}

#[tokio::test]
async fn a_connection_of_another_node_leaves_all_its_groups() {
    let nodes = Nodes::start();
    let mut client = nodes.node(2).connect("chat", ClientSpec::json().group("a").group("b")).await;
    let path = chat(&format!("connections/{}/groups", client.connection_id()));
    nodes.node(3).rest().delete(&path).expect(204).await;
    for group in ["a", "b"] {
        assert!(!is_member(&nodes, &mut client, group).await);
        nodes.node(1).rest().head(&chat(&format!("groups/{group}"))).expect(404).await;
    }
}

#[tokio::test]
async fn a_user_is_added_with_its_connections_on_all_nodes() {
    let nodes = Nodes::start();
    let mut ann = Vec::new();
    for server in nodes.all() {
        ann.push(server.connect("chat", ClientSpec::json().user("ann")).await);
    }
    let mut bob = nodes.node(1).connect("chat", ClientSpec::json().user("bob")).await;
    let path = chat("users/ann/groups/room");
    nodes.node(3).rest().put(&path).expect(200).await;
    assert!(!is_member(&nodes, &mut bob, "room").await);
    for client in &mut ann {
        assert_eq!(nodes.received(client).await, [json!("hi")]);
    }

    nodes.node(2).rest().put(&path).expect(200).await;
    nodes.node(1).rest().delete(&path).expect(204).await;
    nodes.node(2).rest().head(&chat("groups/room")).expect(404).await;
    nodes.node(2).rest().put(&chat("users/ann/groups/a")).expect(200).await;
    nodes.node(2).rest().put(&chat("users/ann/groups/b")).expect(200).await;
    nodes.node(1).rest().delete(&chat("users/ann/groups")).expect(204).await;
    for group in ["groups/a", "groups/b"] {
        nodes.node(3).rest().head(&chat(group)).expect(404).await;
    }
    nodes.node(3).rest().put(&chat("users/none/groups/room")).expect(404).await;
}

#[tokio::test]
async fn a_filter_adds_and_removes_on_all_nodes() {
    let nodes = Nodes::start();
    let mut ann = nodes.node(1).connect("chat", ClientSpec::json().user("ann")).await;
    let mut bob = nodes.node(2).connect("chat", ClientSpec::json().user("bob")).await;
    let only_bob = json!({"groups": ["a", "b"], "filter": "userId eq 'bob'"});
    nodes.node(3).rest().post(&chat(":addToGroups")).json(&only_bob).expect(200).await;
    assert!(is_member(&nodes, &mut bob, "a").await);
    assert!(is_member(&nodes, &mut bob, "b").await);
    assert!(!is_member(&nodes, &mut ann, "a").await);
    nodes.received(&mut bob).await;
    nodes.node(1).rest().post(&chat(":removeFromGroups")).json(&json!({"groups": ["a"]})).expect(200).await;
    assert!(!is_member(&nodes, &mut bob, "a").await);
    assert!(is_member(&nodes, &mut bob, "b").await);
}
