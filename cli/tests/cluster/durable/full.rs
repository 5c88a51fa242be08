//! More comes for a reliable client of a durable hub than its window may hold: it gets all of it, in parts.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::interval;

use super::member;
use super::nodes::{Durable, Links};
use super::traffic::subscribe;
use crate::dialect::Dialect;
use crate::harness::{Backplane, Redis};
use crate::peer::Peer;
use crate::support::{Frame, Server};

/// More than two windows.
const MESSAGES: u64 = 2600;
/// Publishers that each send a part of them, one after the other.
const PUBLISHERS: u64 = 4;
/// Time between two messages of one of them. After its window is full there are more than the ten seconds after which
/// records are renewed, and say that nothing older need be read.
const PACE: Duration = Duration::from_millis(30);
/// How long a client may stay away: longer than all this takes.
const STAY: [&str; 2] = ["--reconnect-window", "90s"];

/// Publishes to the group, and returns when all of it is noted.
async fn flood(nodes: &Durable) {
    let mut tasks = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let address = nodes.address(2 + publisher as usize % 2);
        tasks.spawn(async move {
            let mut pace = interval(PACE);
            for number in 0..MESSAGES / PUBLISHERS {
                pace.tick().await;
                let text = format!("{publisher} {number}");
                Server::at(address)
                    .rest()
                    .post("/api/hubs/chat/groups/one/:send")
                    .text(&text)
                    .expect(202)
                    .await;
            }
        });
    }
    tasks.join_all().await;
}

/// A client without a socket is sent more than fits. Then it comes back: to its node, or to another after that was killed.
async fn it_gets_all_of_it(dialect: Dialect, is_killed: bool) {
    let mut nodes = Durable::over_with(Backplane::Single(Redis::keeping()), &STAY);
    let mut session = nodes.session(1, dialect, member().group("one")).await;
    // Others at each node get everything at once.
    let mut others = Vec::new();
    for node in 1..=3 {
        others.push(subscribe(nodes.session(node, dialect, member().group("one")).await, 1));
    }
    nodes.send(2, "groups/one", "first 0").await;
    assert_eq!(session.next_message().await["data"], "first 0");
    drop(session.leave());
    flood(&nodes).await;
    if is_killed {
        nodes.kill(1);
    } else {
        session.go_on_at(&[nodes.address(1)]);
    }
    let mut next = [0; PUBLISHERS as usize];
    while next.iter().sum::<u64>() < MESSAGES {
        let message = tokio::time::timeout(Duration::from_secs(40), session.next_message()).await;
        let message = message.unwrap_or_else(|_| panic!("nothing comes behind {next:?}"));
        let text = message["data"].as_str().unwrap();
        let (publisher, number) = text.split_once(' ').unwrap();
        let next = &mut next[publisher.parse::<usize>().unwrap()];
        assert_eq!(number.parse::<u64>().unwrap(), *next, "of publisher {publisher}");
        *next += 1;
    }
    nodes.send(3, "groups/one", "last 0").await;
    assert_eq!(session.next_message().await["data"], "last 0");
    others.into_iter().for_each(|other| other.abort());
}

#[tokio::test]
async fn who_comes_back_to_its_node_gets_more_than_its_window_holds() {
    it_gets_all_of_it(Dialect::Protobuf, false).await;
}

#[tokio::test]
async fn who_comes_to_another_node_gets_more_than_its_window_holds() {
    it_gets_all_of_it(Dialect::Json, true).await;
}

#[tokio::test]
async fn who_acknowledges_nothing_ends() {
    let nodes = Durable::start(Links::OneRedis);
    let spec = member().offer(Dialect::Json.subprotocol()).group("one");
    let mut peer = Peer::connect_as(&nodes.server(1), Dialect::Json, &spec).await;
    flood(&nodes).await;
    let ended = async {
        let mut pings = interval(Duration::from_secs(2));
        loop {
            tokio::select! {
                frame = peer.socket.try_read_frame() => {
                    if frame.is_none() {
                        return;
                    }
                }
                // It listens and speaks, and yet acknowledges nothing.
                _ = pings.tick() => peer.socket.send(&Frame::ping([])).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), ended)
        .await
        .expect("it cannot be told what it has missed");
    for node in 1..=3 {
        peer.ticket.expect_refused(&nodes.server(node), "it has ended").await;
    }
}
