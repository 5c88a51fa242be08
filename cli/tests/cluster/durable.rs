//! A durable hub over three brokers: everything arrives as in any other hub, and nobody has anything, or is told that it is
//! taken, before Redis has noted it.

mod alone;
mod ended;
mod full;
mod killed;
mod nodes;
mod paused;
mod redis_lost;
mod session;
mod traffic;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Cluster, eventually};
use crate::support::{ClientSpec, PRIMARY_KEY, Server};
use session::{Heard, Session};

const NODES: usize = 3;
/// Longest wait for what must happen when a node is lost: longer than the others need to be sure of it.
const SOON: Duration = Duration::from_secs(40);
const MESSAGES: usize = 300;

/// A file by which the hub `chat` is durable, and no other. Nobody else writes it, in another process either.
fn hubs_file() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("durable-{}-{number}.yaml", std::process::id());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, "hubs:\n  chat:\n    durable: true\n").unwrap();
    file
}

/// Three brokers for which the hub `chat` is durable, and no other; and the file that says so.
fn start() -> (Cluster, Vec<Server>, PathBuf) {
    let file = hubs_file();
    let cluster = Cluster::start(NODES, &["--access-key", PRIMARY_KEY, "--hubs", file.to_str().unwrap()]);
    let servers = (1..=NODES).map(|number| Server::at(cluster.node(number).address())).collect();
    (cluster, servers, file)
}

/// A reliable client that may do everything with groups.
fn member() -> ClientSpec {
    let spec = ClientSpec::simple();
    spec.role("webpubsub.joinLeaveGroup").role("webpubsub.sendToGroup")
}

/// A numbered message to a group.
fn publication(group: &str, (name, number): (&str, u64)) -> Value {
    let data = format!("{name} {number}");
    json!({ "type": "sendToGroup", "group": group, "ackId": number, "dataType": "text", "data": data })
}

/// Waits until a request is done.
async fn acknowledged(session: &mut Session, expected: u64) {
    loop {
        match session.hear().await {
            Heard::Ack(id, true) if id == expected => return,
            Heard::Lost => panic!("its socket has ended"),
            Heard::Ack(..) | Heard::Message(_) | Heard::Nothing => {}
        }
    }
}

/// Waits for something.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} has not come within {SOON:?}"),
    }
}

#[tokio::test]
async fn what_clients_and_the_application_send_arrives_everywhere_once_and_in_order() {
    let (_cluster, servers, _) = start();
    let mut members = Vec::new();
    for server in &servers {
        for spec in [ClientSpec::member(), ClientSpec::json().offer("json.reliable.webpubsub.azure.v1")] {
            members.push(server.connect("chat", spec.user("ann").group("room")).await);
        }
    }
    let mut publisher = servers[0].connect("chat", ClientSpec::member()).await;
    for number in 0..MESSAGES {
        publisher.publish("room", &number.to_string()).await;
    }
    for member in &mut members {
        for number in 0..MESSAGES {
            assert_eq!(member.next_json().await["data"], number.to_string());
        }
    }
    for member in &mut members {
        let connection = format!("connections/{}/:send", member.connection_id());
        for (number, target) in
            [":send", "groups/room/:send", "users/ann/:send", &connection].iter().enumerate()
        {
            let path = format!("/api/hubs/chat/{target}");
            servers[number % NODES].rest().post(&path).text(target).expect(202).await;
        }
    }
    let own: Vec<String> =
        members.iter().map(|one| format!("connections/{}/:send", one.connection_id())).collect();
    for (place, member) in members.iter_mut().enumerate() {
        for round in 0..own.len() {
            for target in [":send", "groups/room/:send", "users/ann/:send"] {
                assert_eq!(member.next_json().await["data"], target);
            }
            if round == place {
                assert_eq!(member.next_json().await["data"], own[place].as_str());
            }
        }
        member.expect_nothing_before_pong().await;
    }
}

#[tokio::test]
async fn nobody_has_a_message_before_it_is_noted() {
    let (mut cluster, servers, _) = start();
    let publish =
        json!({ "type": "sendToGroup", "group": "room", "dataType": "text", "data": "said", "ackId": 1 });
    let connect = async |hub: &str| {
        let member = servers[0].connect(hub, ClientSpec::member().group("room")).await;
        (member, servers[0].connect(hub, ClientSpec::member()).await)
    };
    let (mut durable_member, mut durable_publisher) = connect("chat").await;
    let (mut member, mut publisher) = connect("other").await;
    cluster.redis().pause();
    durable_publisher.send_json(publish.clone()).await;
    publisher.send_json(publish).await;
    assert_eq!(member.next_json().await["data"], "said", "on the same node, which needs no Redis for that");
    assert_eq!(publisher.next_json().await["success"], true);
    durable_member.expect_nothing_before_pong().await;
    cluster.redis().resume();
    assert_eq!(durable_member.next_json().await["data"], "said");
    let ack = durable_publisher.next_json().await;
    assert_eq!((&ack["type"], &ack["success"]), (&json!("ack"), &json!(true)));
}

#[tokio::test]
async fn what_cannot_be_noted_is_not_acknowledged() {
    let (mut cluster, servers, _) = start();
    let mut publisher = servers[0].connect("chat", ClientSpec::member()).await;
    cluster.redis().kill();
    let ack = publisher
        .request(json!({ "type": "sendToGroup", "group": "room", "dataType": "text", "data": "said" }))
        .await;
    assert_eq!((&ack["success"], &ack["error"]["name"]), (&json!(false), &json!("InternalServerError")));
    servers[0].rest().post("/api/hubs/chat/:send").text("said").expect(503).await;
}

#[test]
fn a_running_node_does_not_change_what_is_durable() {
    let (cluster, _, file) = start();
    let log = |part: &str| {
        eventually(part, || cluster.node(1).log().contains(part).then_some(()));
    };
    fs::write(&file, "hubs:\n  chat:\n    durable: false\n").unwrap();
    log("hub \\\"chat\\\" was durable when this node started; restart all nodes to change that");
    fs::write(&file, "hubs:\n  other:\n    durable: true\n").unwrap();
    log("hub \\\"other\\\" was not durable when this node started");
    log("hub \\\"chat\\\" is durable and cannot go while this node runs");
}
