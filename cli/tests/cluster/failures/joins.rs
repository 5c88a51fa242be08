//! Joins while Redis is away: one that is acknowledged can be relied on, and one that is not has not happened.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{chat, expect_ready, publish, server, start};
use crate::harness::Cluster;
use crate::support::{Client, ClientSpec};

/// Clients of node 2. Each joins a group of its own.
const CLIENTS: usize = 10;

struct Member {
    client: Client,
    group: String,
}

impl Member {
    async fn connect(cluster: &Cluster, number: usize) -> Self {
        let client = server(cluster, 2).connect("chat", ClientSpec::member()).await;
        Self { client, group: format!("group-{number}") }
    }

    /// Asks to be let in.
    async fn ask(&mut self) {
        self.client.send_json(json!({"type": "joinGroup", "group": self.group, "ackId": 1})).await;
    }

    /// Reads the answer: whether it was let in.
    async fn is_let_in(&mut self) -> bool {
        let ack: Value = self.client.next_json().await;
        assert_eq!((&ack["type"], &ack["ackId"]), (&json!("ack"), &json!(1)), "{ack}");
        if ack["success"] == false {
            assert_eq!(ack["error"]["name"], "InternalServerError", "{ack}");
        }
        ack["success"] == true
    }

    /// Reads the answer. If it was let in, a client of another node publishes at once, which arrives.
    async fn prove(&mut self, cluster: &Cluster) -> bool {
        let mut publisher = server(cluster, 1).connect("chat", ClientSpec::member()).await;
        let is_let_in = self.is_let_in().await;
        if is_let_in {
            let sent = publish(&mut publisher, &self.group, "hi").await;
            assert_eq!(sent["success"], true, "{sent}");
            assert_eq!(self.client.next_json().await["data"], "hi");
        }
        is_let_in
    }
}

async fn members(cluster: &Cluster) -> Vec<Member> {
    join_all((0..CLIENTS).map(|number| Member::connect(cluster, number))).await
}

#[tokio::test]
async fn a_join_that_redis_does_not_confirm_in_time_fails_and_has_not_happened() {
    let mut cluster = start();
    let mut members = members(&cluster).await;
    cluster.redis().kill();
    join_all(members.iter_mut().map(Member::ask)).await;
    assert_eq!(join_all(members.iter_mut().map(Member::is_let_in)).await, [false; CLIENTS]);

    cluster.redis().restart();
    expect_ready(&cluster);
    let rest = server(&cluster, 3).rest();
    for Member { group, .. } in &members {
        rest.head(&chat(&format!("groups/{group}"))).expect(404).await;
        rest.post(&chat(&format!("groups/{group}/:send"))).text("for nobody").expect(202).await;
    }
    // Node 2 has dealt with all of that when it brings what was sent afterwards.
    for Member { client, .. } in &mut members {
        let path = chat(&format!("connections/{}/:send", client.connection_id()));
        rest.post(&path).text("marker").expect(202).await;
        assert_eq!(client.next_json().await["data"], "marker");
    }
    join_all(members.iter_mut().map(Member::ask)).await;
    assert_eq!(join_all(members.iter_mut().map(|member| member.prove(&cluster))).await, [true; CLIENTS]);
}

#[tokio::test]
async fn a_join_that_is_acknowledged_after_an_outage_gets_what_other_nodes_publish_from_then_on() {
    let mut cluster = start();
    let mut members = members(&cluster).await;
    cluster.redis().kill();
    join_all(members.iter_mut().map(Member::ask)).await;
    cluster.redis().restart();
    join_all(members.iter_mut().map(|member| member.prove(&cluster))).await;
    expect_ready(&cluster);
}
