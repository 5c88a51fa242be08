//! Three brokers on one Redis: what holds on one node holds over all of them, whichever of them a client or a call meets.

mod existence;
mod listing;
mod membership;
mod messages;
mod moving;
mod permissions;
mod sends;

use serde_json::Value;

use crate::harness::Cluster;
use crate::support::{Client, PRIMARY_KEY, Server};

/// Three brokers, each seen as a client sees it.
struct Nodes {
    _cluster: Cluster,
    servers: Vec<Server>,
}

impl Nodes {
    const COUNT: usize = 3;

    fn start() -> Self {
        let cluster = Cluster::start(Self::COUNT, &["--access-key", PRIMARY_KEY]);
        let servers = (1..=Self::COUNT).map(|number| Server::at(cluster.node(number).address())).collect();
        Self { _cluster: cluster, servers }
    }

    /// A node, counted from 1.
    fn node(&self, number: usize) -> &Server {
        &self.servers[number - 1]
    }

    fn all(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter()
    }

    /// All messages that reached the client so far by REST calls that were awaited one after another: those that come
    /// before a marker, sent last by the same caller, through a node that is not the client's own.
    async fn received(&self, client: &mut Client) -> Vec<Value> {
        let path = chat(&format!("connections/{}/:send", client.connection_id()));
        let far = self.all().find(|server| !client.connection_id().ends_with(&self.name(server)));
        far.unwrap().rest().post(&path).text("marker").expect(202).await;
        let mut data = Vec::new();
        loop {
            let message = client.next_json().await;
            assert_eq!(message["type"], "message", "{message}");
            if message["data"] == "marker" {
                return data;
            }
            data.push(message["data"].clone());
        }
    }

    fn name(&self, server: &Server) -> String {
        let index = self.all().position(|other| other.address() == server.address());
        format!("n{}", index.unwrap() + 1)
    }
}

/// The path of an operation on the hub `chat`.
fn chat(rest: &str) -> String {
    format!("/api/hubs/chat/{rest}")
}
