//! What is published arrives: all of it, in order, where it is wanted and nowhere else.

use std::collections::BTreeMap;

use broker::backplane::BusFull;
use broker::backplane::redis::QueueLimits;

use crate::node::{Node, texts, within};
use crate::redis::{Cluster, Redis};

const MESSAGES: usize = 10_000;

/// One node hears in order, per partition, all that another one publishes to many channels.
async fn everything_arrives_in_order(url: &str) {
    let (sender, mut receiver) = (Node::start(url).await, Node::start(url).await);
    let channels: Vec<(u8, String)> =
        (0..700_u32).map(|number| ((number % 256) as u8, format!("group:chat:{number}"))).collect();
    for (partition, name) in &channels {
        receiver.subscribe(*partition, name).await;
    }
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..MESSAGES {
        let (partition, name) = &channels[number % channels.len()];
        let tag = format!("{{{partition}}}");
        expected.entry(tag).or_default().push(format!("{name} {number}"));
        sender.publish(*partition, name, &format!("{name} {number}")).unwrap();
    }
    let mut arrived: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in 0..MESSAGES {
        let (channel, payload) = receiver.message().await;
        let tag = channel.split(':').nth(1).unwrap().to_owned();
        arrived.entry(tag).or_default().push(payload);
    }
    assert!(arrived == expected);
    assert!(sender.links.flush(crate::node::DEADLINE).await);
    let numbers = sender.links.numbers();
    assert_eq!((numbers.published, numbers.queued_messages, numbers.queued_bytes), (MESSAGES as u64, 0, 0));
    assert!(numbers.batches < MESSAGES as u64 / 4, "batches are the point: {numbers:?}");
    assert_eq!(receiver.links.numbers().received, MESSAGES as u64);
}

#[tokio::test]
async fn everything_arrives_in_order_over_one_redis() {
    let redis = Redis::start();
    everything_arrives_in_order(&redis.url()).await;
}

#[tokio::test]
async fn everything_arrives_in_order_over_a_cluster() {
    let cluster = Cluster::start();
    everything_arrives_in_order(&cluster.url()).await;
    let published = |node: &Redis| {
        let stats = node.ask(&["INFO", "commandstats"]);
        stats.lines().any(|line| line.starts_with("cmdstat_spublish"))
    };
    assert!(cluster.nodes.iter().all(published), "every server of the cluster does its part");
}

/// A receipt says how many nodes Redis has handed the message to.
async fn receipts_count_nodes(url: &str) {
    let (one, two) = (Node::start(url).await, Node::start(url).await);
    for partition in [0, 7, 42, 255] {
        assert_eq!(one.reach(partition, "a", "").await, 0);
        one.subscribe(partition, "a").await;
        assert_eq!(one.reach(partition, "a", "").await, 1);
        two.subscribe(partition, "a").await;
        assert_eq!(one.reach(partition, "a", "").await, 2);
        one.links.unsubscribe(&one.channel(partition, "a"));
        within("only the other is left", async { while two.reach(partition, "a", "").await != 1 {} }).await;
    }
}

#[tokio::test]
async fn receipts_count_nodes_of_one_redis() {
    let redis = Redis::start();
    receipts_count_nodes(&redis.url()).await;
}

#[tokio::test]
async fn receipts_count_nodes_of_a_cluster() {
    let cluster = Cluster::start();
    receipts_count_nodes(&cluster.url()).await;
}

#[tokio::test]
async fn a_confirmed_subscription_misses_nothing() {
    let redis = Redis::start();
    let (one, mut two) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    for number in 0..200 {
        let name = format!("group {number}");
        two.subscribe(3, &name).await;
        one.publish(3, &name, &name).unwrap();
        assert_eq!(two.payload().await, name);
    }
}

#[tokio::test]
async fn unsubscribing_and_subscribing_again_ends_subscribed() {
    let redis = Redis::start();
    let mut node = Node::start(&redis.url()).await;
    for round in 0..50 {
        node.subscribe(9, "a").await;
        node.links.unsubscribe(&node.channel(9, "a"));
        node.subscribe(9, "a").await;
        assert_eq!(node.reach(9, "a", &round.to_string()).await, 1);
        assert_eq!(node.payload().await, round.to_string());
    }
    node.links.unsubscribe(&node.channel(9, "a"));
    within("nobody listens", async { while node.reach(9, "a", "").await != 0 {} }).await;
    assert_eq!(node.links.numbers().channels, 0);
}

#[tokio::test]
async fn many_wishes_of_a_turn_are_fulfilled_together() {
    let redis = Redis::start();
    let node = Node::start(&redis.url()).await;
    let wishes = (0..5000_u32).map(|number| {
        let partition = (number % 256) as u8;
        node.wish(partition, &number.to_string())
    });
    let all = futures_util::future::join_all(wishes.collect::<Vec<_>>());
    assert!(within("all subscriptions", all).await.iter().all(Result::is_ok));
    assert_eq!(redis.ask(&["PUBSUB", "SHARDCHANNELS"]).lines().count(), 5000);
}

#[tokio::test]
async fn a_full_queue_takes_nothing_more() {
    let redis = Redis::start();
    let limits = QueueLimits { messages: 100, bytes: 1 << 20 };
    let node = Node::with(&texts(&redis.url()), limits).await.unwrap();
    redis.pause();
    let taken = (0..1000).take_while(|_| node.publish(1, "a", "").is_ok()).count();
    assert_eq!((taken, node.publish(1, "a", "")), (100, Err(BusFull)));
    assert_eq!(node.links.numbers().refused, 2);
    redis.resume();
    assert!(node.links.flush(crate::node::DEADLINE).await);
    node.publish(1, "a", "").unwrap();
    let big = "x".repeat(1 << 20);
    assert_eq!(node.publish(1, "a", &big), Err(BusFull));
}

#[tokio::test]
async fn a_prefix_keeps_installations_apart() {
    let redis = Redis::start();
    let with = |prefix: &str| {
        let mut texts = texts(&redis.url());
        prefix.clone_into(&mut texts.prefix);
        texts
    };
    let mut one = Node::with(&with("one"), QueueLimits::default()).await.unwrap();
    let two = Node::with(&with("two"), QueueLimits::default()).await.unwrap();
    one.subscribe(1, "a").await;
    two.subscribe(1, "a").await;
    assert_eq!(two.reach(1, "a", "of two").await, 1);
    assert_eq!(one.reach(1, "a", "of one").await, 1);
    assert_eq!(one.message().await, ("one:{1}:a".to_owned(), "of one".to_owned()));
}

#[tokio::test]
async fn payloads_are_any_bytes_and_names_any_text() {
    let redis = Redis::start();
    let mut node = Node::start(&redis.url()).await;
    let (name, payload) = ("group:chat:a b}{\r\n:ü", "\r\n$3\r\n\0ü");
    node.subscribe(0, name).await;
    assert_eq!(node.reach(0, name, payload).await, 1);
    assert_eq!(node.message().await, (node.channel(0, name), payload.to_owned()));
    let big = "x".repeat(4 << 20);
    assert_eq!(node.reach(0, name, &big).await, 1);
    assert!(node.payload().await == big);
}
