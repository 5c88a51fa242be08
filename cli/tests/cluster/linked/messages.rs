//! What clients publish: order, and that an acknowledged join misses nothing.

use serde_json::{Value, json};

use super::{Nodes, chat};
use crate::support::{Client, ClientSpec};

const MESSAGES: usize = 500;

async fn expect_numbers(member: &mut Client, count: usize) {
    for number in 0..count {
        assert_eq!(member.next_json().await["data"], number.to_string());
    }
}

#[tokio::test]
async fn a_publisher_s_messages_reach_members_on_every_node_in_order() {
    let nodes = Nodes::start();
    let mut members = Vec::new();
    for server in nodes.all() {
        members.push(server.connect("chat", ClientSpec::member().group("room")).await);
        // The second one of a node joins by itself.
        let mut member = server.connect("chat", ClientSpec::member()).await;
        member.join("room").await;
        members.push(member);
    }
    let mut publisher = nodes.node(1).connect("chat", ClientSpec::member()).await;
    for number in 0..MESSAGES {
        publisher.publish("room", &number.to_string()).await;
    }
    for member in &mut members {
        expect_numbers(member, MESSAGES).await;
    }
}

#[tokio::test]
async fn publishers_on_several_nodes_each_keep_their_order() {
    let nodes = Nodes::start();
    let mut member = nodes.node(2).connect("chat", ClientSpec::member().group("room")).await;
    let mut publishers = Vec::new();
    for (index, server) in nodes.all().enumerate() {
        publishers.push((index, server.connect("chat", ClientSpec::member()).await));
    }
    for number in 0..MESSAGES {
        for (index, publisher) in &mut publishers {
            publisher.publish("room", &format!("{index} {number}")).await;
        }
    }
    let mut next = [0; Nodes::COUNT];
    for _ in 0..MESSAGES * Nodes::COUNT {
        let message = member.next_json().await;
        let (index, number) = message["data"].as_str().unwrap().split_once(' ').unwrap();
        let expected = &mut next[index.parse::<usize>().unwrap()];
        assert_eq!(number.parse::<usize>().unwrap(), *expected, "of publisher {index}");
        *expected += 1;
    }
}

#[tokio::test]
async fn an_acknowledged_join_gets_what_any_node_publishes_right_after() {
    let nodes = Nodes::start();
    let mut member = nodes.node(2).connect("chat", ClientSpec::member()).await;
    let mut publisher = nodes.node(1).connect("chat", ClientSpec::member()).await;
    for round in 0..100 {
        // The first member of a group on a node is the one for whom something must be told to the others.
        let group = format!("room {round}");
        member.join(&group).await;
        publisher.publish(&group, "by a client").await;
        assert_eq!(next_of(&mut member, &group).await, "by a client");
        let path = chat(&format!("groups/{}/:send", group.replace(' ', "%20")));
        nodes.node(3).rest().post(&path).text("by a call").expect(202).await;
        assert_eq!(next_of(&mut member, &group).await, "by a call");
    }
}

#[tokio::test]
async fn who_has_left_and_come_back_at_once_is_a_member() {
    let nodes = Nodes::start();
    let mut member = nodes.node(2).connect("chat", ClientSpec::member()).await;
    let mut publisher = nodes.node(1).connect("chat", ClientSpec::member()).await;
    for _ in 0..100 {
        member.join("room").await;
        publisher.publish("room", "hi").await;
        assert_eq!(next_of(&mut member, "room").await, "hi");
        member.leave("room").await;
    }
}

#[tokio::test]
async fn a_publisher_is_left_out_only_if_it_asks_for_it() {
    let nodes = Nodes::start();
    let mut near = nodes.node(1).connect("chat", ClientSpec::member().group("room")).await;
    let mut far = nodes.node(3).connect("chat", ClientSpec::member().group("room")).await;
    let send = |data: &str, no_echo: bool| json!({"type": "sendToGroup", "group": "room", "dataType": "text", "data": data, "noEcho": no_echo});
    assert_eq!(near.request(send("others", true)).await["success"], true);
    near.send_json(send("all", false)).await;
    assert_eq!(next_of(&mut near, "room").await, "all");
    assert_eq!(next_of(&mut far, "room").await, "others");
    assert_eq!(next_of(&mut far, "room").await, "all");
}

async fn next_of(member: &mut Client, group: &str) -> Value {
    let message = member.next_json().await;
    assert_eq!((&message["type"], &message["group"]), (&json!("message"), &json!(group)), "{message}");
    message["data"].clone()
}
