//! What every [`Bus`] promises, as a suite that each implementation is put through: the bus of a node that is alone, and
//! those of three nodes over one Redis and over a Redis Cluster.

#[path = "../../tests/support/redis.rs"]
mod servers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codec::ids::{GroupName, HubName, NodeId};
use codec::message::{Content as MessageContent, Payload};
use tokio::sync::mpsc;

use super::redis::{RedisConfig, RedisTexts};
use super::*;
use crate::model::command::{Body, Command, Target};
use crate::telemetry::metrics::Metrics;

/// Longest time that anything may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// For so long a watch is ended and renewed again and again: longer than one that has ended is kept.
const RENEWING: Duration = Duration::from_secs(2);

/// The nodes of one service.
struct Service(Vec<Node>);

/// The bus of a node, and what it has brought.
struct Node {
    name: NodeId,
    bus: Arc<dyn Bus>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

impl Service {
    fn alone() -> Self {
        let (receive, arrivals) = receiver();
        let (name, bus) = (NodeId::new("n").unwrap(), Arc::new(LocalBus::new(receive)));
        Self(vec![Node { name, bus, arrivals }])
    }

    async fn linked(url: String) -> Self {
        let config = RedisConfig::parse(&RedisTexts { urls: vec![url], ..RedisTexts::default() }).unwrap();
        let mut nodes = Vec::new();
        for epoch in 1..=3 {
            let (receive, arrivals) = receiver();
            let name = NodeId::new(&format!("n{epoch}")).unwrap();
            let (config, metrics) = (config.clone(), Metrics::new([]).backplane());
            let parts = RedisBusParts { config, node: name.clone(), epoch, receive, metrics };
            let bus = RedisBus::start(parts).await.unwrap();
            let is_known = |node: &Node| bus.outlook().standing(&node.name) == Standing::Alive;
            assert!(nodes.iter().all(is_known), "whoever starts knows the others");
            nodes.push(Node { name, bus: Arc::new(bus), arrivals });
        }
        Self(nodes)
    }

    /// Two nodes, which are the same one when it is alone: who publishes, and who watches.
    fn far_apart(&mut self) -> (Sender, &mut Node) {
        let first = &self.0[0];
        (Sender { name: first.name.clone(), bus: Arc::clone(&first.bus) }, self.0.last_mut().unwrap())
    }
}

/// Publishes for a node.
struct Sender {
    name: NodeId,
    bus: Arc<dyn Bus>,
}

impl Sender {
    fn publish(&self, channel: &Channel, number: u32, receipt: Option<Receipt>) -> Number {
        self.bus.publish(channel, envelope(&self.name, channel, number), receipt).unwrap()
    }

    /// Publishes, and says how many nodes it was handed to.
    async fn reach(&self, channel: &Channel, number: u32) -> u64 {
        let (receipt, received) = oneshot::channel();
        self.publish(channel, number, Some(receipt));
        within("the receipt", received).await.unwrap().unwrap()
    }
}

impl Node {
    async fn watch(&self, channel: &Channel) {
        within("the watch", self.bus.watch(channel)).await.unwrap();
    }

    /// What came next: its group, the number within it, and the one that the bus gave it.
    async fn next(&mut self) -> (Target, u32, Number) {
        let (envelope, at) = loop {
            match within("an envelope", self.arrivals.recv()).await.unwrap() {
                Arrival::Envelope(envelope, at) => break (envelope, at),
                Arrival::Lost(topic) => panic!("lost: {topic:?}"),
                Arrival::Deaf(_) => {}
            }
        };
        match envelope.content {
            Content::Command { command, .. } => match &command.body {
                Body::Message { content, .. } => {
                    let bytes = content.payload.bytes().as_ref().try_into().unwrap();
                    (command.target.clone(), u32::from_be_bytes(bytes), at)
                }
                Body::GroupState(_) => panic!("another body"),
            },
            other => panic!("another content: {other:?}"),
        }
    }

    async fn expect(&mut self, number: u32) {
        assert_eq!(self.next().await.1, number);
    }
}

fn receiver() -> (Receiver, mpsc::UnboundedReceiver<Arrival>) {
    let (sender, arrivals) = mpsc::unbounded_channel();
    let receive = move |arrival| {
        // The test may be over.
        let _ = sender.send(arrival);
    };
    (Box::new(receive), arrivals)
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen within {DEADLINE:?}"),
    }
}

fn channel(group: &str) -> Channel {
    let target = Target::Group(GroupName::new(group).unwrap());
    Channel::Topic(Topic { hub: HubName::new("chat").unwrap(), target })
}

fn envelope(origin: &NodeId, channel: &Channel, number: u32) -> Envelope {
    let Channel::Topic(Topic { hub, target }) = channel.clone() else {
        panic!("not a topic: {channel:?}");
    };
    let payload = Payload::binary(Bytes::copy_from_slice(&number.to_be_bytes()));
    let command = Command {
        hub,
        target,
        body: Body::from_application(MessageContent { payload, metadata: None }),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    };
    let content = Content::Command { applied: Applied::OnReceipt, command: Arc::new(command) };
    Envelope { origin: origin.clone(), content, publication: None }
}

/// What is published to several channels at once comes to every node that watches them, the sender's own included, each
/// once, on each channel in the order of the calls, and under the number that the call gave, which rises.
async fn envelopes_arrive_once_and_in_order(service: &mut Service) {
    const NUMBERS: u32 = 10_000;
    const CHANNELS: u32 = 16;
    let channels: Vec<Channel> = (0..CHANNELS).map(|number| channel(&format!("order {number}"))).collect();
    for node in &service.0 {
        for channel in &channels {
            node.watch(channel).await;
        }
    }
    let (sender, _) = service.far_apart();
    let given: Vec<Number> = (0..NUMBERS)
        .map(|number| sender.publish(&channels[(number % CHANNELS) as usize], number, None))
        .collect();
    assert!(given.is_sorted_by(|one, other| one.epoch == other.epoch && one.sequence < other.sequence));
    for node in &mut service.0 {
        let mut next: Vec<u32> = (0..CHANNELS).collect();
        for _ in 0..NUMBERS {
            let (target, number, at) = node.next().await;
            assert_eq!(at, given[number as usize]);
            let at = (number % CHANNELS) as usize;
            assert_eq!(Channel::Topic(Topic { hub: HubName::new("chat").unwrap(), target }), channels[at]);
            assert_eq!(number, next[at], "at {:?}", node.name);
            next[at] += CHANNELS;
        }
        assert!(node.arrivals.is_empty());
    }
}

/// Whatever another node publishes after a watch has resolved arrives.
async fn a_confirmed_watch_misses_nothing(service: &mut Service) {
    let (sender, node) = service.far_apart();
    for number in 0..200 {
        let channel = channel(&format!("watch {number}"));
        node.watch(&channel).await;
        assert_eq!(sender.reach(&channel, number).await, 1);
        node.expect(number).await;
    }
}

/// Once a flush has resolved, nothing that was published before it waits any more.
async fn what_is_flushed_has_gone_out(service: &mut Service) {
    let channel = channel("flush");
    let (sender, node) = service.far_apart();
    node.watch(&channel).await;
    let (receipt, mut received) = oneshot::channel();
    sender.publish(&channel, 0, Some(receipt));
    within("the flush", sender.bus.flush()).await;
    assert_eq!(received.try_recv(), Ok(Ok(1)));
    node.expect(0).await;
    within("a flush of nothing", sender.bus.flush()).await;
}

/// Once a node has left, nothing that it published before waits any more, and the others know that it is gone: until
/// then they know that it is there.
async fn who_leaves_has_nothing_left(mut service: Service) {
    let channels: Vec<Channel> = (0..10).map(|number| channel(&format!("leave {number}"))).collect();
    let (sender, node) = service.far_apart();
    for channel in &channels {
        node.watch(channel).await;
    }
    let mut receipts = Vec::new();
    for number in 0..1000 {
        let (receipt, received) = oneshot::channel();
        sender.publish(&channels[number as usize % channels.len()], number, Some(receipt));
        receipts.push(received);
    }
    for other in &service.0[1..] {
        within("a sign of life", until(&other.bus, &sender.name, Standing::Alive)).await;
    }
    within("the farewell", sender.bus.leave()).await;
    for mut received in receipts {
        assert_eq!(received.try_recv(), Ok(Ok(1)));
        service.0.last_mut().unwrap().next().await;
    }
    for other in &service.0[1..] {
        within("the farewell elsewhere", until(&other.bus, &sender.name, Standing::Gone)).await;
        for left in service.0[1..].iter().filter(|left| left.name != other.name) {
            assert_eq!(other.bus.outlook().standing(&left.name), Standing::Alive);
        }
    }
}

async fn until(bus: &Arc<dyn Bus>, node: &NodeId, standing: Standing) {
    while bus.outlook().standing(node) != standing {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A node of which nobody has ever heard is gone, some time after the start at the latest.
async fn who_has_never_been_is_gone(service: &Service) {
    for node in &service.0 {
        let nobody = NodeId::new("nobody").unwrap();
        within("that nobody is there", until(&node.bus, &nobody, Standing::Gone)).await;
    }
}

/// A receipt says how many nodes watched. From here on nodes must be linked: one that is alone hears everything.
async fn receipts_count_the_nodes_that_watch(service: &mut Service) {
    let channel = channel("receipts");
    let (sender, _) = service.far_apart();
    assert_eq!(sender.reach(&channel, 0).await, 0);
    for count in 1..=service.0.len() {
        service.0[count - 1].watch(&channel).await;
        assert_eq!(sender.reach(&channel, count as u32).await, count as u64);
        for node in &mut service.0[..count] {
            node.expect(count as u32).await;
        }
    }
}

/// Nothing comes of a channel that is not watched, and a watch brings nothing of the time before it.
async fn what_is_not_watched_does_not_come(service: &mut Service) {
    let (watched, other) = (channel("watched"), channel("other"));
    let (sender, node) = service.far_apart();
    node.watch(&watched).await;
    for number in 0..50 {
        assert_eq!(sender.reach(&other, 1000).await, 0);
        assert_eq!(sender.reach(&watched, number).await, 1);
        node.expect(number).await;
    }
    node.watch(&other).await;
    assert_eq!(sender.reach(&other, 50).await, 1);
    node.expect(50).await;
}

/// A watch that is ended does end, some time later, and can be begun again.
async fn an_unwatched_channel_falls_silent(service: &mut Service) {
    let channel = channel("silent");
    let (sender, node) = service.far_apart();
    node.watch(&channel).await;
    node.bus.unwatch(&channel);
    let (begun, mut number) = (Instant::now(), 0);
    while sender.reach(&channel, number).await > 0 {
        // Whoever asks something waits for every node that is counted.
        node.expect(number).await;
        assert!(begun.elapsed() < DEADLINE, "it is still watched");
        number += 1;
    }
    node.watch(&channel).await;
    let last = number + 1;
    assert_eq!(sender.reach(&channel, last).await, 1);
    node.expect(last).await;
}

/// A watch that is begun again soon after it was ended misses nothing of the time between.
async fn a_renewed_watch_misses_nothing(service: &mut Service) {
    let channel = channel("renewed");
    let (sender, node) = service.far_apart();
    node.watch(&channel).await;
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < RENEWING {
        node.bus.unwatch(&channel);
        sender.publish(&channel, number, None);
        node.watch(&channel).await;
        assert_eq!(sender.reach(&channel, number + 1).await, 1);
        node.expect(number).await;
        node.expect(number + 1).await;
        number += 2;
    }
}

async fn check(service: &mut Service) {
    assert!(service.0.iter().all(|node| node.bus.outlook().fault.is_none()));
    envelopes_arrive_once_and_in_order(service).await;
    a_confirmed_watch_misses_nothing(service).await;
    what_is_flushed_has_gone_out(service).await;
    who_has_never_been_is_gone(service).await;
}

async fn check_linked(mut service: Service) {
    check(&mut service).await;
    receipts_count_the_nodes_that_watch(&mut service).await;
    what_is_not_watched_does_not_come(&mut service).await;
    an_unwatched_channel_falls_silent(&mut service).await;
    a_renewed_watch_misses_nothing(&mut service).await;
    for node in &mut service.0 {
        assert!(node.bus.outlook().fault.is_none());
        assert!(node.arrivals.is_empty(), "{:?}", node.arrivals.recv().await);
    }
    who_leaves_has_nothing_left(service).await;
}

#[tokio::test]
async fn a_node_alone_keeps_the_contract() {
    let mut service = Service::alone();
    check(&mut service).await;
    who_leaves_has_nothing_left(service).await;
}

#[tokio::test]
async fn nodes_on_one_redis_keep_the_contract() {
    let redis = servers::Redis::start();
    check_linked(Service::linked(redis.url()).await).await;
}

#[tokio::test]
async fn nodes_on_a_redis_cluster_keep_the_contract() {
    let cluster = servers::Cluster::start();
    check_linked(Service::linked(cluster.url()).await).await;
}

/// A primary of a Redis Cluster dies while a node publishes to channels everywhere, and its replica takes over: every
/// node that watches has it all, once and in order.
#[tokio::test]
async fn a_failover_in_a_redis_cluster_costs_nothing() {
    const NUMBERS: u32 = 6000;
    const CHANNELS: u32 = 16;
    const KILLED_AT: u32 = 1000;
    let mut cluster = servers::Cluster::with_replicas();
    let mut service = Service::linked(cluster.url()).await;
    let channels: Vec<Channel> = (0..CHANNELS).map(|number| channel(&format!("failover {number}"))).collect();
    for node in &service.0 {
        for channel in &channels {
            node.watch(channel).await;
        }
    }
    let (sender, _) = service.far_apart();
    for number in 0..NUMBERS {
        if number == KILLED_AT {
            cluster.nodes[1].kill();
        }
        sender.publish(&channels[(number % CHANNELS) as usize], number, None);
        // Before, during and after the failover.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for node in &mut service.0 {
        let mut next: HashMap<Target, u32> = HashMap::new();
        for (number, channel) in (0..).zip(&channels) {
            let Channel::Topic(topic) = channel else { panic!("not a topic: {channel:?}") };
            next.insert(topic.target.clone(), number);
        }
        for _ in 0..NUMBERS {
            let (target, number, _) = node.next().await;
            let expected = next.get_mut(&target).unwrap();
            assert_eq!(number, *expected, "at {:?} of {target:?}", node.name);
            *expected += CHANNELS;
        }
    }
    let everyone = service.0.len();
    for node in &service.0 {
        within("a bus without a fault", async {
            while node.bus.outlook().fault.is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    let (sender, _) = service.far_apart();
    for channel in &channels {
        assert_eq!(sender.reach(channel, NUMBERS).await, everyone as u64);
    }
    for node in &mut service.0 {
        for _ in &channels {
            assert_eq!(node.next().await.1, NUMBERS);
        }
        assert!(node.arrivals.is_empty());
    }
}
