//! The members of a group on several nodes, page by page.

use serde_json::{Value, json};

use super::{Nodes, chat};
use crate::support::{ClientSpec, Server};

/// Each page through another node than the one before; a node's links lead to itself.
async fn pages(nodes: &Nodes, first: &str) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut next = chat(first);
    for number in 0.. {
        let server = nodes.node(1 + number % Nodes::COUNT);
        let page = server.rest().get(&next).expect(200).await.json();
        pages.push(page["value"].as_array().unwrap().clone());
        match page["nextLink"].as_str() {
            None => break,
            Some(link) => next = link.strip_prefix(&server.origin()).unwrap().to_owned(),
        }
    }
    pages
}

async fn member(server: &Server, user: usize) -> crate::support::Client {
    server.connect("chat", ClientSpec::json().user(&format!("user{user}")).group("room")).await
}

#[tokio::test]
async fn pages_cover_the_members_of_all_nodes_once_in_the_order_of_their_ids() {
    let nodes = Nodes::start();
    let mut clients = Vec::new();
    for user in 0..9 {
        clients.push((member(nodes.node(1 + user % Nodes::COUNT), user).await, user));
    }
    clients.sort_by(|(a, _), (b, _)| a.connection_id().cmp(b.connection_id()));
    let expected: Vec<Value> = clients
        .iter()
        .map(
            |(client, user)| json!({"connectionId": client.connection_id(), "userId": format!("user{user}")}),
        )
        .collect();
    for (query, sizes) in [
        ("", vec![9]),
        ("?maxpagesize=4", vec![4, 4, 1]),
        ("?maxpagesize=1", vec![1; 9]),
        ("?maxpagesize=3&top=5", vec![3, 2]),
        ("?top=2", vec![2]),
    ] {
        let pages = pages(&nodes, &format!("groups/room/connections{query}")).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{query}");
        let listed = pages.concat();
        assert_eq!(listed, expected[..listed.len()], "{query}");
    }
    for server in nodes.all() {
        let page = server.rest().get(&chat("groups/none/connections")).expect(200).await.json();
        assert_eq!(page["value"], json!([]));
    }
}

#[tokio::test]
async fn whoever_stays_is_listed_once_while_others_come_and_go() {
    let nodes = Nodes::start();
    let mut stay = Vec::new();
    let mut leave = Vec::new();
    for user in 0..6 {
        stay.push(member(nodes.node(1 + user % Nodes::COUNT), user).await);
        leave.push(member(nodes.node(1 + user % Nodes::COUNT), 100 + user).await);
    }
    let mut listed = Vec::new();
    let mut next = chat("groups/room/connections?maxpagesize=2");
    let mut late = Vec::new();
    for number in 0.. {
        let server = nodes.node(1 + number % Nodes::COUNT);
        let page = server.rest().get(&next).expect(200).await.json();
        listed.extend(page["value"].as_array().unwrap().iter().map(|item| item["connectionId"].clone()));
        if let Some(client) = leave.pop() {
            client.close().await;
        }
        late.push(member(server, 200 + number).await);
        match page["nextLink"].as_str() {
            // Those who come later may make it longer, but not for ever.
            Some(link) if number < 50 => next = link.strip_prefix(&server.origin()).unwrap().to_owned(),
            _ => break,
        }
    }
    for client in &stay {
        let count = listed.iter().filter(|id| *id == client.connection_id()).count();
        assert_eq!(count, 1, "{}", client.connection_id());
    }
}
