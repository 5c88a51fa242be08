//! Servers that crash, hang and cut off: the node notices, says so, and is whole again when they are.

use std::time::{Duration, Instant};

use broker::backplane::redis::QueueLimits;
use broker::backplane::{BusError, BusFull, PartitionSet};

use crate::node::{Node, texts, within};
use crate::redis::Redis;

/// First arrivals of each, in their order.
fn without_repeats(payloads: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    payloads.iter().filter(|payload| seen.insert(payload.as_str())).cloned().collect()
}

#[tokio::test]
async fn a_restarted_redis_gets_everything_that_was_not_confirmed() {
    let mut redis = Redis::start();
    let mut node = Node::start(&redis.url()).await;
    assert_eq!(node.hearing().await, PartitionSet::ALL);
    for number in 0..3000_u32 {
        drop(node.wish(5, &format!("idle {number}")));
    }
    node.subscribe(5, "a").await;
    assert_eq!(node.reach(5, "a", "before").await, 1);
    redis.kill();
    assert_eq!(node.deaf().await, PartitionSet::ALL);
    let mut receipts = Vec::new();
    for number in 0..2000 {
        receipts.push(node.post(5, "b", &number.to_string()));
        node.publish(5, "a", &number.to_string()).unwrap();
    }
    let pending = node.wish(6, "new");
    redis.restart();
    node.all_hearing().await;
    within("the wish of a time without Redis", pending).await.unwrap();
    for receipt in receipts {
        assert_eq!(within("the receipt", receipt).await.unwrap(), Ok(0));
    }
    assert_eq!(redis.ask(&["PUBSUB", "SHARDCHANNELS"]).lines().count(), 3002);
    // What was queued may have gone before the node heard again; what comes from now on is heard.
    node.publish(5, "a", "last").unwrap();
    let heard = without_repeats(&node.until("last").await);
    let numbers: Vec<u32> = heard.iter().filter_map(|payload| payload.parse().ok()).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert!(node.links.numbers().losses >= 2);
}

#[tokio::test]
async fn what_a_lost_connection_has_not_confirmed_arrives_in_order() {
    let redis = Redis::start();
    let (sender, mut receiver) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    receiver.subscribe(5, "a").await;
    // Redis takes in what is published, but does nothing about it.
    redis.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let expected: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
    for (number, payload) in expected.iter().enumerate() {
        sender.publish(5, "a", payload).unwrap();
        if number == 100 {
            redis.wait_for(&["INFO", "clients"], "blocked_clients:1");
        }
    }
    assert_eq!(sender.links.numbers().published, 0);
    redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    let mut state = sender.links.state();
    within("the loss is noticed", state.wait_for(|state| !state.publishing)).await.unwrap();
    redis.ask(&["CLIENT", "UNPAUSE"]);
    assert_eq!(without_repeats(&receiver.until("1999").await), expected);
    assert!(sender.links.flush(crate::node::DEADLINE).await);
    let numbers = sender.links.numbers();
    assert_eq!((numbers.published, numbers.queued_bytes), (2000, 0));
}

#[tokio::test]
async fn a_hanging_redis_is_noticed_within_two_seconds() {
    let redis = Redis::start();
    let mut node = Node::start(&redis.url()).await;
    node.subscribe(5, "a").await;
    redis.pause();
    let begun = Instant::now();
    assert_eq!(node.deaf().await, PartitionSet::ALL);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let receipt = node.post(5, "a", "while it hangs");
    assert!(!node.links.state().borrow().hearing);
    redis.resume();
    node.all_hearing().await;
    assert!(within("the receipt", receipt).await.unwrap().is_ok());
    assert_eq!(node.reach(5, "a", "after").await, 1);
    assert!(node.until("after").await.len() <= 3);
}

#[tokio::test]
async fn nothing_waits_for_a_hanging_redis_for_ever() {
    let redis = Redis::start();
    let node = Node::start(&redis.url()).await;
    redis.pause();
    let begun = Instant::now();
    let receipt = node.post(5, "a", "");
    assert_eq!(within("the receipt", receipt).await.unwrap(), Err(BusError));
    assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
    let numbers = node.links.numbers();
    assert_eq!((numbers.expired, numbers.queued_messages, numbers.queued_bytes), (1, 0, 0));
    redis.resume();
}

#[tokio::test]
async fn whoever_publishes_more_than_redis_takes_is_told_to_wait_unless_it_takes_nothing_at_all() {
    let redis = Redis::start();
    let limits = QueueLimits { messages: 100, bytes: 1 << 20 };
    let node = Node::with(&texts(&redis.url()), limits).await.unwrap();
    let fill = || {
        assert!(node.links.room().is_none());
        (0..49).for_each(|_| node.publish(5, "a", "").unwrap());
        assert!(node.links.room().is_none(), "half of the queue is free");
        node.publish(5, "a", "").unwrap();
        node.links.room().expect("the queue is half full")
    };
    redis.pause();
    let room = fill();
    redis.resume();
    within("room", room).await;
    assert!(node.links.flush(crate::node::DEADLINE).await);
    assert_eq!(node.links.numbers().crowded, 1);
    redis.pause();
    let begun = Instant::now();
    within("the end of the wait", fill()).await;
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(node.links.numbers().queued_messages, 50, "it is still there");
    assert!(node.links.room().is_none(), "nobody waits any more");
    (0..50).for_each(|_| node.publish(5, "a", "").unwrap());
    assert_eq!(node.publish(5, "a", ""), Err(BusFull));
    redis.resume();
}

#[tokio::test]
async fn a_killed_subscriber_subscribes_again() {
    let redis = Redis::start();
    let mut node = Node::start(&redis.url()).await;
    for number in 0..2500 {
        drop(node.wish(5, &number.to_string()));
    }
    node.subscribe(5, "last").await;
    node.hearing().await;
    assert_eq!(redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]), "1");
    assert_eq!(node.deaf().await, PartitionSet::ALL);
    node.all_hearing().await;
    assert_eq!(redis.ask(&["PUBSUB", "SHARDCHANNELS"]).lines().count(), 2501);
    assert_eq!(node.reach(5, "1234", "again").await, 1);
    assert_eq!(node.payload().await, "again");
}

#[tokio::test]
async fn the_links_end_with_their_last_handle() {
    let redis = Redis::start();
    let node = Node::start(&redis.url()).await;
    let second = node.links.clone();
    drop(node);
    assert!(second.state().borrow().hearing);
    drop(second);
    redis.wait_for(&["INFO", "clients"], "connected_clients:1\r");
}
