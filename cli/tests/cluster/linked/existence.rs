//! Whether connections, users and groups exist, and closing them, from every node.

use serde_json::json;

use super::{Nodes, chat};
use crate::support::{Client, ClientSpec};

async fn expect_closed(client: &mut Client, reason: &str) {
    let text = format!("Application server closed the connection. Reason: {reason}");
    let farewell = client.next_json().await;
    assert_eq!(farewell, json!({"type": "system", "event": "disconnected", "message": text}));
    client.expect_close(1000, "").await;
}

#[tokio::test]
async fn every_node_knows_of_the_clients_of_the_others() {
    let nodes = Nodes::start();
    for home in nodes.all() {
        let client = home.connect("chat", ClientSpec::json().user("ann").group("a/b")).await;
        let there = [&format!("connections/{}", client.connection_id()), "users/ann", "groups/a%2Fb"];
        for server in nodes.all() {
            for path in there {
                server.rest().head(&chat(path)).expect(200).await;
            }
            for path in ["connections/none", "users/none", "groups/none"] {
                server.rest().head(&chat(path)).expect(404).await;
            }
            for path in there {
                server.rest().head(&format!("/api/hubs/other/{path}")).expect(404).await;
            }
        }
        client.close().await;
        // The broker has answered the close, so that the connection is gone for everybody.
        for server in nodes.all() {
            server.rest().head(&chat("users/ann")).expect(404).await;
        }
    }
}

#[tokio::test]
async fn a_connection_is_closed_from_another_node() {
    let nodes = Nodes::start();
    let mut client = nodes.node(1).connect("chat", ClientSpec::json()).await;
    let path = format!("connections/{}", client.connection_id());
    nodes.node(3).rest().delete(&chat(&format!("{path}?reason=night"))).expect(204).await;
    expect_closed(&mut client, "night").await;
    nodes.node(2).rest().head(&chat(&path)).expect(404).await;
}

#[tokio::test]
async fn groups_users_and_hubs_are_closed_on_all_nodes() {
    let nodes = Nodes::start();
    let mut bystander = nodes.node(2).connect("other", ClientSpec::json().user("ann").group("room")).await;
    for target in ["groups/room/", "users/ann/", ""] {
        let mut clients = Vec::new();
        for server in nodes.all() {
            clients.push(server.connect("chat", ClientSpec::json().user("ann").group("room")).await);
        }
        let mut excluded = clients.remove(0);
        let id = excluded.connection_id();
        let path = format!("{target}:closeConnections?reason=night&excluded={id}");
        nodes.node(3).rest().post(&chat(&path)).expect(204).await;
        for client in &mut clients {
            expect_closed(client, "night").await;
        }
        assert!(nodes.received(&mut excluded).await.is_empty());
        excluded.close().await;
    }
    bystander.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn what_was_sent_through_one_node_arrives_before_a_close_through_another() {
    let nodes = Nodes::start();
    let mut client = nodes.node(1).connect("chat", ClientSpec::json().user("ann")).await;
    for number in 0..20 {
        nodes.node(2).rest().post(&chat("users/ann/:send")).text(&number.to_string()).expect(202).await;
    }
    nodes.node(3).rest().post(&chat("users/ann/:closeConnections?reason=night")).expect(204).await;
    for number in 0..20 {
        assert_eq!(client.next_json().await["data"], number.to_string());
    }
    expect_closed(&mut client, "night").await;
}
