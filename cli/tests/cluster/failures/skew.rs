//! Nodes whose clocks differ by four minutes: one is two minutes ahead, one is right, one is two minutes behind. What
//! nodes tell each other of time is how long something takes, and what clients bring is judged with five minutes' leeway.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{ASKED, chat, counted, publish, server};
use crate::dialect::Dialect;
use crate::harness::{Cluster, eventually};
use crate::peer::{Peer, member};
use crate::support::{Client, ClientSpec, PRIMARY_KEY, Server};

/// Seconds by which the clocks of the nodes are ahead.
const CLOCKS: [i64; 3] = [120, 0, -120];
/// Seconds by which the times of a token may differ from the clock of the node.
const LEEWAY: i64 = 300;
/// It takes at most so many seconds from making something until a node has looked at it.
const MARGIN: i64 = 20;
const SET: &str = "webpubsub.setGroupState";
const GET: &str = "webpubsub.getGroupState";

/// Nodes with these clocks. They are told to stop, because what fakes a clock leaves something behind when it is killed.
struct Skewed(Cluster);

impl Skewed {
    async fn start() -> Self {
        let skewed = Self(Cluster::with_clocks(&CLOCKS, &["--access-key", PRIMARY_KEY]));
        for (node, ahead) in (1..).zip(CLOCKS) {
            // A group of its own: nobody else is to be told that it shows nothing any more.
            let group = format!("clock-{node}");
            let mut client = skewed.watcher(node, &group).await;
            client.send_json(state(&group, "now")).await;
            let error = time_of(&client.next_json().await, "now") / 1000 - seconds() - ahead;
            assert!(error.abs() < MARGIN, "the clock of node {node} is right: is faketime installed?");
            client.close().await;
        }
        skewed
    }

    fn node(&self, number: usize) -> Server {
        server(&self.0, number)
    }

    /// A client that shows something to a group and sees what others show.
    async fn watcher(&self, node: usize, group: &str) -> Client {
        let spec = ClientSpec::member().role(SET).role(GET).group(group);
        let mut client = self.node(node).connect("chat", spec).await;
        client.send_json(json!({"type": "subscribeGroupState", "group": group})).await;
        assert_eq!(client.next_json().await["type"], "groupStateSnapshot");
        client
    }
}

impl Drop for Skewed {
    fn drop(&mut self) {
        (1..=CLOCKS.len()).for_each(|node| self.0.node(node).terminate());
        if !std::thread::panicking() {
            (1..=CLOCKS.len()).for_each(|node| assert!(self.0.node_mut(node).wait().success()));
        }
    }
}

/// Seconds since 1970, by the clock that is right.
fn seconds() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn state(group: &str, text: &str) -> Value {
    json!({"type": "setGroupState", "group": group, "state": {"s": text}})
}

/// When the only item of this message was set, in milliseconds since 1970; it must show this.
fn time_of(message: &Value, text: &str) -> i64 {
    let [item] = message["items"].as_array().unwrap().as_slice() else {
        panic!("one item was expected: {message}");
    };
    assert_eq!(item["state"]["s"], text, "{message}");
    item["updatedAt"].as_i64().unwrap()
}

/// Every way between two nodes, with the time of its token in the future and long ago.
#[tokio::test]
async fn reliable_clients_move_between_nodes_whose_clocks_differ() {
    let nodes = Skewed::start().await;
    for dialect in [Dialect::Json, Dialect::Protobuf] {
        for (from, to) in [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)] {
            let mut peer = Peer::connect(&nodes.node(from), dialect).await;
            let other = 6 - from - to;
            for (number, node) in (1..).zip([to, from, other, to]) {
                let path = chat("groups/g/:send");
                nodes.node(other).rest().post(&path).text("meanwhile").expect(202).await;
                peer = peer.lose().recover(&nodes.node(node)).await;
                peer.expect("meanwhile", number).await;
                peer.acknowledge(number).await;
            }
            let path = chat(&format!("connections/{}", peer.ticket.id));
            nodes.node(other).rest().delete(&path).expect(204).await;
        }
    }
}

#[tokio::test]
async fn a_message_lives_as_long_on_every_node_whatever_their_clocks_say() {
    let nodes = Skewed::start().await;
    let mut tickets = Vec::new();
    for node in [1, 3] {
        tickets.push((node, Peer::connect(&nodes.node(node), Dialect::Json).await.lose()));
    }
    for (text, seconds) in [("old", 1), ("lasting", 60)] {
        for node in [1, 3] {
            let path = chat(&format!("groups/g/:send?messageTtlSeconds={seconds}"));
            nodes.node(node).rest().post(&path).text(&format!("{text} by {node}")).expect(202).await;
        }
    }
    // Not a wait for an event: that time passes is what is tested.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for (node, ticket) in tickets {
        let mut peer = ticket.recover(&nodes.node(4 - node)).await;
        for (text, number) in [("lasting by 1", 3), ("lasting by 3", 4)] {
            peer.expect(text, number).await;
        }
        // What is kept goes on to live when it moves again.
        let mut peer = peer.lose().recover(&nodes.node(node)).await;
        peer.expect("lasting by 1", 3).await;
    }
}

#[tokio::test]
async fn each_node_judges_tokens_by_its_clock_and_with_leeway() {
    let nodes = Skewed::start().await;
    for (node, ahead) in (1..).zip(CLOCKS) {
        let node = nodes.node(node);
        // Each as seen by the clock that is right.
        let (ended, begins) = (ahead - LEEWAY, ahead + LEEWAY);
        for (expires, begins, is_valid) in [
            (ended + MARGIN, -1000, true),
            (ended - MARGIN, -1000, false),
            (1000, begins - MARGIN, true),
            (1000, begins + MARGIN, false),
        ] {
            let token = node.client_token("chat").expires_in(expires).begins_in(begins).sign();
            let spec = ClientSpec::json().token(&token);
            let response = node.raw().await.upgrade(&spec.path(&node, "chat"), &spec.headers()).await;
            let seen = format!("{ahead} ahead, ends in {expires}, begins in {begins}");
            assert_eq!(response.status, if is_valid { 101 } else { 401 }, "{seen}");
            let path = chat(":send");
            let token = node.rest().token(&path).expires_in(expires).begins_in(begins).sign();
            let reply = node.rest().post(&path).token(&token).text("hi").send().await;
            assert_eq!(reply.status, if is_valid { 202 } else { 401 }, "{seen}");
        }
    }
}

/// The times of what one client shows rise wherever it is, so that nobody takes the older for the newer.
#[tokio::test]
async fn what_a_client_shows_stays_in_order_when_it_moves_to_a_slower_clock() {
    let nodes = Skewed::start().await;
    let spec = member(Dialect::Json).role(SET).role(GET);
    let mut watcher = nodes.watcher(2, "g").await;
    let mut owner = Peer::connect_as(&nodes.node(1), Dialect::Json, &spec).await;
    owner.send(state("g", "first")).await;
    let mut last = time_of(&watcher.next_json().await, "first");
    assert!((last / 1000 - seconds() - CLOCKS[0]).abs() < MARGIN, "{last} is the time of its node");
    for (node, text) in [(3, "second"), (2, "third"), (1, "fourth")] {
        owner = owner.lose().recover(&nodes.node(node)).await;
        owner.send(state("g", text)).await;
        let next = time_of(&watcher.next_json().await, text);
        assert!(next > last, "{next} is after {last}");
        last = next;
        watcher.send_json(json!({"type": "subscribeGroupState", "group": "g"})).await;
        assert_eq!(time_of(&watcher.next_json().await, text), last, "the snapshot has the same");
    }
}

/// Order and liveness go by what is counted, and by time that passes.
#[tokio::test]
async fn messages_flow_in_order_between_nodes_whose_clocks_differ() {
    const NUMBERS: usize = 500;
    let nodes = Skewed::start().await;
    let mut members = Vec::new();
    for node in 1..=CLOCKS.len() {
        members.push(nodes.node(node).connect("chat", ClientSpec::json().group("room")).await);
    }
    for node in 1..=CLOCKS.len() {
        let mut publisher = nodes.node(node).connect("chat", ClientSpec::member()).await;
        for number in 0..NUMBERS {
            assert_eq!(publish(&mut publisher, "room", &number.to_string()).await["success"], true);
        }
        for member in &mut members {
            for number in 0..NUMBERS {
                assert_eq!(member.next_json().await["data"], number.to_string());
            }
        }
        nodes.node(node).rest().head(&chat("users/nobody")).expect(404).await;
        for other in 1..=CLOCKS.len() {
            // On a busy machine one may just not have been heard for some seconds.
            let others = || nodes.0.node(other).metric("hubbub_backplane_nodes");
            eventually("two others", || (others() == 2.0).then_some(()));
        }
    }
    assert_eq!(counted(&nodes.0, ASKED), 0.0);
}
