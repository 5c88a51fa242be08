//! Clients of `protobuf.reliable.webpubsub.azure.v1`, made from the public schema, behind a network that kills,
//! half-closes, stalls and delays their sockets at random. Whatever is published, each member of a group sees it once
//! and in the order of its publisher, and so do members on the plain protocol whose sockets are left alone.
//!
//! In the end there must have been faults of each kind, and clients that came back from them.
//!
//! `MESSAGES` is how many are published in all; `FAULT_SEED` replays the faults of an earlier run, as far as the timing
//! is the same.

mod client;
mod member;
mod plan;
mod publisher;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use self::client::Line;
use self::member::Member;
use self::plan::{MEMBERS, PUBLISHERS, Plan, RELIABLE_MEMBERS};
use self::publisher::Publisher;
use crate::support::{Faults, PROTOBUF, PROTOBUF_RELIABLE, Proxy, Server};

/// A run of no more messages than this is too short to judge its faults.
const TOO_SHORT: u64 = 10_000;
/// Messages beyond that in whose time at least one link is ended, and another client comes back, until all have.
const MESSAGES_PER_END: u64 = 600;

#[tokio::test]
async fn each_message_arrives_once_and_in_order_whatever_happens_to_the_sockets() {
    let messages = number_from("MESSAGES").unwrap_or(50_000);
    let seed = number_from("FAULT_SEED").unwrap_or_else(|| rand::random_range(0..1_000_000_000));
    println!("FAULT_SEED={seed} MESSAGES={messages}");
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let (near, far) = (Line::direct(&server, PROTOBUF), Line::through(&proxy, &server, PROTOBUF_RELIABLE));

    let plan = Arc::new(Plan::new(messages));
    let mut members = JoinSet::new();
    for index in 0..MEMBERS {
        let line = if index < RELIABLE_MEMBERS { &far } else { &near };
        members.spawn(Member::connect(line, &plan, index).await.run());
    }
    let mut publishers = JoinSet::new();
    for index in 0..PUBLISHERS {
        let line = if index % 2 == 0 { &far } else { &near };
        publishers.spawn(Publisher::connect(line, &plan, index).await.run());
    }

    let mut recoveries = Vec::new();
    let deadline = Duration::from_secs(60) + Duration::from_millis(5) * u32::try_from(messages).unwrap();
    let all_received = async {
        let received = async {
            while let Some(published) = publishers.join_next().await {
                recoveries.extend(published.unwrap());
            }
            plan.wait_until(|| plan.missing().is_empty()).await;
        };
        let outcome = tokio::time::timeout(deadline, async {
            tokio::select! {
                () = received => {}
                // Before the farewell only a failure ends a member.
                failed = members.join_next() => panic!("{:?}", failed.unwrap().map(|_| "ended too early")),
            }
        });
        if outcome.await.is_err() {
            panic!("within {deadline:?} there did not come {}", plan.missing().join("; "));
        }
    };
    let faults = proxy.suffer(seed, all_received).await;

    // What would come once more comes before this.
    server.rest().post("/api/hubs/chat/:send").text(member::FAREWELL).expect(202).await;
    while let Some(ended) = members.join_next().await {
        recoveries.extend(ended.unwrap());
    }
    println!("{faults:?}, recoveries of each client behind the proxy: {recoveries:?}");
    expect_trouble(faults, &recoveries, messages);
    server.stop().await;
}

/// There were faults of each kind, many of them ended a link, and each client behind the proxy has come back; or some of
/// them have, if fewer messages were published.
fn expect_trouble(faults: &Faults, recoveries: &[u32], messages: u64) {
    if messages <= TOO_SHORT {
        return;
    }
    let [kills, half_closes, stalls, delays] =
        [&faults.kills, &faults.half_closes, &faults.stalls, &faults.delays]
            .map(|count| u64::from(count.load(Ordering::Relaxed)));
    assert!([kills, half_closes, stalls, delays].iter().all(|count| *count > 0), "{faults:?}");
    let least = (messages - TOO_SHORT) / MESSAGES_PER_END;
    assert!(kills + half_closes >= least, "less than {least} links were ended: {faults:?}");
    let returned = recoveries.iter().filter(|count| **count > 0).count() as u64;
    let least = least.min(recoveries.len() as u64);
    assert!(returned >= least, "less than {least} clients came back: {recoveries:?}");
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
