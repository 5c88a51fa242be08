//! Partitions that change their server: slots that are migrated, servers of a cluster that end, and a failover by
//! Sentinel.

use broker::backplane::Partition;
use broker::backplane::PartitionSet;

use crate::node::{Node, within};
use crate::redis::{Cluster, Watched};

#[tokio::test]
async fn a_migrated_slot_takes_its_subscriptions_along() {
    let cluster = Cluster::start();
    let mut node = Node::start(&cluster.url()).await;
    let mut whole = PartitionSet::EMPTY;
    while whole != PartitionSet::ALL {
        whole = whole.iter().chain(node.hearing().await.iter()).collect();
    }
    for partition in [0, 42, 77] {
        node.subscribe(partition, "a").await;
        node.subscribe(partition, "b").await;
    }
    let channel = node.channel(42, "a");
    let from = cluster.owner(&channel);
    let to = (from + 1) % 3;
    let only: PartitionSet = [Partition(42)].into_iter().collect();
    let mut expected = Vec::new();
    for number in 0..500 {
        node.publish(42, "a", &number.to_string()).unwrap();
        expected.push(number.to_string());
        if number == 250 {
            cluster.migrate(&channel, from, to);
        }
    }
    assert_eq!(node.deaf().await, only);
    assert_eq!(node.hearing().await, only);
    assert_eq!(cluster.nodes[to].ask(&["PUBSUB", "SHARDNUMSUB", &channel]), format!("{channel}\n1"));
    assert_eq!(cluster.nodes[from].ask(&["PUBSUB", "SHARDNUMSUB", &channel]), format!("{channel}\n0"));
    for partition in [0, 42, 77] {
        assert_eq!(node.reach(partition, "b", "end").await, 1);
    }
    assert!(node.links.flush(crate::node::DEADLINE).await);
    assert_eq!(node.links.numbers().published, 503);
}

#[tokio::test]
async fn order_survives_a_migrated_slot() {
    let cluster = Cluster::start();
    let (sender, mut receiver) = (Node::start(&cluster.url()).await, Node::start(&cluster.url()).await);
    receiver.subscribe(42, "a").await;
    let channel = sender.channel(42, "a");
    let from = cluster.owner(&channel);
    for round in 0..3 {
        let (here, there) = ((from + round) % 3, (from + round + 1) % 3);
        for number in 0..2000 {
            sender.publish(42, "a", &format!("{round}-{number:04}")).unwrap();
            if number == 1000 {
                cluster.migrate(&channel, here, there);
            }
        }
        within("all is gone", sender.links.flush(crate::node::DEADLINE)).await;
        receiver.all_hearing().await;
        within("heard", async { while sender.reach(42, "a", "end").await != 1 {} }).await;
        let heard = receiver.until("end").await;
        let heard: Vec<&String> = heard.iter().filter(|payload| *payload != "end").collect();
        assert!(heard.is_sorted(), "{heard:?}");
    }
}

#[tokio::test]
async fn the_rest_of_a_cluster_goes_on_without_a_crashed_server() {
    let mut cluster = Cluster::start();
    for node in &cluster.nodes {
        node.ask(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
        node.ask(&["CONFIG", "SET", "cluster-allow-pubsubshard-when-down", "yes"]);
    }
    let node = Node::start(&cluster.url()).await;
    let channels: Vec<String> = (0..=255).map(|partition| node.channel(partition, "a")).collect();
    let lost = (0..=255).find(|partition| cluster.owner(&channels[usize::from(*partition)]) == 1).unwrap();
    let kept = (0..=255).find(|partition| cluster.owner(&channels[usize::from(*partition)]) == 2).unwrap();
    node.subscribe(lost, "a").await;
    node.subscribe(kept, "a").await;
    cluster.nodes[1].kill();
    let mut state = node.links.state();
    within("the loss is noticed", state.wait_for(|state| !state.publishing && !state.hearing)).await.unwrap();
    assert_eq!(node.reach(kept, "a", "kept").await, 1);
    let waiting = node.post(lost, "a", "waits");
    cluster.nodes[1].restart();
    node.all_hearing().await;
    within("the receipt", waiting).await.unwrap().unwrap();
    assert_eq!(node.reach(lost, "a", "again").await, 1);
}

#[tokio::test]
async fn a_failover_by_sentinel_is_followed() {
    let mut watched = Watched::start();
    let mut node = Node::start(&watched.url()).await;
    node.subscribe(5, "a").await;
    assert_eq!(node.reach(5, "a", "before").await, 1);
    watched.primary.kill();
    node.deaf().await;
    let waiting = node.post(5, "a", "meanwhile");
    node.all_hearing().await;
    within("the receipt", waiting).await.unwrap().unwrap();
    assert_eq!(node.reach(5, "a", "after").await, 1);
    assert_eq!(watched.replica.ask(&["PUBSUB", "SHARDCHANNELS"]), node.channel(5, "a"));
    assert_eq!(node.until("after").await.last().unwrap(), "after");
}

/// Once the old primary is back, it follows the new one, and nobody goes back to it.
#[tokio::test]
async fn a_replica_of_a_cluster_takes_over_from_a_crashed_primary() {
    let mut cluster = Cluster::with_replicas();
    let (sender, mut receiver) = (Node::start(&cluster.url()).await, Node::start(&cluster.url()).await);
    let channel = sender.channel(7, "a");
    let owner = cluster.owner(&channel);
    assert!(cluster.url().ends_with(&cluster.nodes[owner].port().to_string()), "the only one that was named");
    let kept = (0..=255).find(|one| cluster.owner(&sender.channel(*one, "a")) != owner).unwrap();
    receiver.subscribe(7, "a").await;
    receiver.subscribe(kept, "a").await;
    assert_eq!(sender.reach(7, "a", "before").await, 1);
    cluster.nodes[owner].kill();
    let receipts: Vec<_> = (0..2000).map(|number| sender.post(7, "a", &format!("{number:04}"))).collect();
    for receipt in receipts {
        // The replica may have taken over before the receiver has found it.
        assert!(within("the receipt", receipt).await.unwrap().is_ok());
    }
    receiver.all_hearing().await;
    assert_eq!(sender.reach(7, "a", "after").await, 1);
    assert_eq!(cluster.replicas[owner].ask(&["PUBSUB", "SHARDCHANNELS"]), channel);
    let heard = receiver.until("after").await;
    let heard: Vec<&String> = heard.iter().filter(|one| *one != "before" && *one != "after").collect();
    assert!(heard.is_sorted(), "{heard:?}");
    assert_eq!(sender.reach(kept, "a", "elsewhere").await, 1);

    cluster.nodes[owner].restart();
    cluster.nodes[owner].wait_for(&["INFO", "replication"], "master_link_status:up");
    let numbers = sender.links.numbers();
    for number in 0..100 {
        assert_eq!(sender.reach(7, "a", &number.to_string()).await, 1);
        assert_eq!(sender.reach(kept, "a", &number.to_string()).await, 1);
    }
    assert_eq!(sender.links.numbers().losses, numbers.losses);
}
