//! Questions while nodes lose Redis: who is there is never said not to be. A node that has not told a Redis that is back
//! what it watches is not among those who are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use super::deafness::hearing;
use super::{chat, expect_ready, server, start};
use crate::harness::{Cluster, DEADLINE, eventually};
use crate::support::{Client, ClientSpec, Rest};

/// Callers of each path.
const CALLERS: usize = 3;
/// How long the outage of each round is asked about after all nodes are ready again.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// Somebody who is on node 1, and callers who ask the other nodes about it all the time.
struct Asked {
    client: Client,
    callers: JoinSet<()>,
    answered: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Asked {
    async fn start(cluster: &Cluster) -> Self {
        let spec = ClientSpec::json().user("ann").group("room");
        let client = server(cluster, 1).connect("chat", spec).await;
        let mut asked =
            Self { client, callers: JoinSet::new(), answered: Arc::default(), is_over: Arc::default() };
        let id = asked.client.connection_id().to_owned();
        for path in [format!("connections/{id}"), "users/ann".to_owned(), "groups/room".to_owned()] {
            for number in 0..CALLERS {
                let rest = server(cluster, 2 + number % 2).rest();
                let (answered, is_over) = (Arc::clone(&asked.answered), Arc::clone(&asked.is_over));
                asked.callers.spawn(ask(rest, chat(&path), answered, is_over));
            }
        }
        for number in [2, 3] {
            let (rest, is_over) = (server(cluster, number).rest(), Arc::clone(&asked.is_over));
            asked.callers.spawn(list(rest, id.clone(), is_over));
        }
        asked.flows().await;
        asked
    }

    /// Waits until somebody is told that it is there.
    async fn flows(&self) {
        let (before, begun) = (self.answered.load(Ordering::Relaxed), Instant::now());
        while self.answered.load(Ordering::Relaxed) < before + 3 * CALLERS {
            assert!(begun.elapsed() < DEADLINE, "nobody is told anything");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it; nobody has been told something wrong.
    async fn expect_right(mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(caller) = self.callers.join_next().await {
            caller.unwrap();
        }
        self.client.close().await;
    }
}

async fn ask(rest: Rest, path: String, answered: Arc<AtomicUsize>, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        match rest.head(&path).send().await.status {
            200 => drop(answered.fetch_add(1, Ordering::Relaxed)),
            // It cannot be known.
            503 => {}
            other => panic!("{path}: {other}"),
        }
    }
}

async fn list(rest: Rest, id: String, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        let page = rest.get(&chat("groups/room/connections")).send().await;
        if page.status == 200 {
            let page: Value = serde_json::from_slice(&page.body).unwrap();
            assert_eq!(page["value"][0]["connectionId"], id, "{page}");
        } else {
            assert_eq!(page.status, 503);
        }
    }
}

/// Lets something happen to the cluster again and again. Callers go on meanwhile.
async fn check(rounds: usize, happen: fn(&mut Cluster)) {
    let mut cluster = start();
    let asked = Asked::start(&cluster).await;
    for _ in 0..rounds {
        let happening = tokio::task::spawn_blocking(move || {
            happen(&mut cluster);
            expect_ready(&cluster);
            cluster
        });
        cluster = happening.await.unwrap();
        tokio::time::sleep(AFTERWARDS).await;
        asked.flows().await;
    }
    asked.expect_right().await;
}

#[tokio::test]
async fn who_is_there_is_never_denied_while_redis_is_restarted() {
    check(4, |cluster| cluster.redis().restart()).await;
}

#[tokio::test]
async fn who_is_there_is_never_denied_while_nodes_subscribe_again() {
    let happen = |cluster: &mut Cluster| {
        eventually("a subscriber of each node", || (hearing(cluster).len() == 3).then_some(()));
        let killed = cluster.redis().ask("CLIENT KILL TYPE pubsub");
        assert_eq!(killed.as_deref(), Some(":3\r\n"), "one subscriber of each node");
    };
    check(8, happen).await;
}
