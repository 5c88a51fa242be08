//! What clients of durable hubs repeat, at another node or late, over real Redis servers: it is published once, and
//! nobody who hears what is published in its place misses anything.

use std::sync::Arc;

use broker::backplane::redis::{LinkEvent, Outgoing, RedisConfig, Settled};
use broker::backplane::store::{Floors, Place, Store};
use broker::backplane::{
    Applied, Arrival, Bus, BusError, Channel, Content, Envelope, Number, Overview, PartitionSet, Position,
    RedisBus, RedisBusParts,
};
use broker::model::command::{Body, Command, Publication, Target, Topic};
use broker::telemetry::metrics::Metrics;
use codec::ids::{AckId, ConnectionId, GroupName, HubName, NodeId};
use codec::message::{Content as Message, Payload};
use tokio::sync::{mpsc, oneshot};

use crate::node::{Node, texts, within};
use crate::redis::{Cluster, Redis};

type Told = oneshot::Receiver<Result<u64, BusError>>;

/// A node that hears the topic.
struct Listener {
    name: NodeId,
    bus: RedisBus,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    metrics: Arc<Metrics>,
}

fn topic() -> Topic {
    let group = GroupName::new("g").unwrap();
    Topic { hub: HubName::new("chat").unwrap(), target: Target::Group(group) }
}

fn channel() -> Channel {
    Channel::Topic(topic())
}

fn said(redis: &Redis, command: &[&str]) -> String {
    let key = format!("hubbub:{{{}}}:said:chat:c", channel().partition().0);
    redis.ask(&[&command[..1], &[&key], &command[1..]].concat())
}

impl Listener {
    async fn start(url: &str, name: &str) -> Self {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let receive = Box::new(move |arrival| {
            // The test may be over.
            let _ = sender.send(arrival);
        });
        let metrics = Arc::new(Metrics::new([]));
        let config = RedisConfig::parse(&texts(url)).unwrap();
        let name = NodeId::new(name).unwrap();
        let (node, metrics_of_bus) = (name.clone(), metrics.backplane());
        let parts = RedisBusParts { config, node, epoch: 11, receive, metrics: metrics_of_bus };
        let bus = within("the start", RedisBus::start(parts)).await.unwrap();
        within("the watch", bus.watch(&channel())).await.unwrap();
        Self { name, bus, arrivals, metrics }
    }

    /// Publishes what the connection `c` asks for under this name, if it is given one.
    fn publish(&self, text: &str, ack_id: Option<u64>) -> (Number, Told) {
        self.publish_in(0, text, ack_id)
    }

    /// The same after so many others have had the connection.
    fn publish_in(&self, term: u64, text: &str, ack_id: Option<u64>) -> (Number, Told) {
        let Topic { hub, target } = topic();
        let body = Body::from_application(Message { payload: Payload::text(text), metadata: None });
        let command = Command { hub, target, body, excluded: Vec::new(), filter: None, time_to_live: None };
        let content = Content::Command { applied: Applied::Noted, command: Arc::new(command) };
        let connection = ConnectionId::parse("c").unwrap();
        let publication = ack_id.map(|id| Publication { connection, ack_id: AckId(id), term });
        let (receipt, told) = oneshot::channel();
        let envelope = Envelope { origin: self.name.clone(), content, publication };
        (self.bus.publish(&channel(), envelope, Some(receipt)).unwrap(), told)
    }

    async fn tell(&self, text: &str, ack_id: Option<u64>) -> Number {
        let (number, told) = self.publish(text, ack_id);
        within("the receipt", told).await.unwrap().unwrap();
        number
    }

    /// The texts that arrive until one of them.
    async fn until(&mut self, last: &str) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        while texts.last().is_none_or(|text| text != last) {
            texts.extend(text(&within("a message", self.arrivals.recv()).await.unwrap()));
        }
        texts
    }

    /// Waits until nothing is missing of what these have published.
    async fn has_heard(&self, published: &[(&Listener, Number)]) {
        let partition = channel().partition();
        let mut partitions = PartitionSet::EMPTY;
        partitions.insert(partition);
        let all = published.iter().map(|(of, number)| Position {
            origin: of.name.clone(),
            partition,
            up_to: *number,
        });
        let all: Vec<Position> = all.collect();
        let heard = async {
            loop {
                let position = self.bus.position(&partitions).unwrap_or_default();
                if all.iter().all(|wanted| position.contains(wanted)) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        within("the last number", heard).await;
    }

    /// How often it has asked for what may be missing.
    fn questions(&self) -> u32 {
        let rendered = self.metrics.render();
        let line = rendered
            .lines()
            .find(|line| line.starts_with(r#"hubbub_backplane_gap_total{outcome="asked"}"#))
            .unwrap();
        line.split_whitespace().last().unwrap().parse().unwrap()
    }
}

/// What members are served, if anything; nothing may be lost.
fn text(arrival: &Arrival) -> Option<String> {
    match arrival {
        Arrival::Envelope(Envelope { content: Content::Command { command, .. }, .. }, _) => {
            match &command.body {
                Body::Message { content, .. } => Some(format!("{:?}", content.payload)),
                Body::GroupState(_) => None,
            }
        }
        Arrival::Envelope(..) | Arrival::Deaf(_) => None,
        Arrival::Lost(topic) => panic!("lost: {topic:?}"),
    }
}

fn shown(text: &str) -> String {
    format!("{:?}", Payload::text(text))
}

async fn repeated_elsewhere(url: &str) {
    let (a, b) = (Listener::start(url, "a").await, Listener::start(url, "b").await);
    let mut c = Listener::start(url, "c").await;
    a.tell("one", Some(1)).await;
    b.tell("one, again", Some(1)).await;
    b.tell("two", Some(2)).await;
    let last_of_a = a.tell("two, late", Some(2)).await;
    b.tell("nameless", None).await;
    let last_of_b = b.tell("nameless", None).await;
    b.tell("last", Some(u64::MAX)).await;
    let expected = ["one", "two", "nameless", "nameless", "last"].map(shown);
    assert_eq!(c.until(&shown("last")).await, expected);
    c.has_heard(&[(&a, last_of_a)]).await;
    assert_eq!(last_of_b.sequence, 4);
    assert_eq!(c.questions(), 0, "nothing looks as if it were missing");
    let (store, _) = a.bus.store().unwrap();
    let logged =
        store.read(channel().partition(), &Place::default(), (&[topic()], &Floors::default())).await.unwrap();
    assert_eq!(logged.len(), expected.len());
}

#[tokio::test]
async fn what_is_repeated_at_another_node_is_published_once_over_one_redis() {
    let redis = Redis::start();
    repeated_elsewhere(&redis.url()).await;
}

#[tokio::test]
async fn what_is_repeated_at_another_node_is_published_once_over_a_cluster() {
    let cluster = Cluster::start();
    repeated_elsewhere(&cluster.url()).await;
}

#[tokio::test]
async fn what_a_former_owner_publishes_after_the_present_one_goes_nowhere() {
    let redis = Redis::start();
    let (a, b) = (Listener::start(&redis.url(), "a").await, Listener::start(&redis.url(), "b").await);
    let mut c = Listener::start(&redis.url(), "c").await;
    let done = async |(_, told): (Number, Told)| within("the receipt", told).await.unwrap();
    a.tell("one", Some(1)).await;
    assert_eq!(done(b.publish_in(1, "three", Some(3))).await, Ok(3));
    let late = done(a.publish("two", Some(2))).await;
    assert_eq!(late, Err(BusError), "its publisher must not believe that it is published");
    assert_eq!(done(a.publish("one", Some(1))).await, Ok(0), "it was published in time");
    assert_eq!(done(a.publish_in(2, "four", Some(4))).await, Ok(3));
    assert_eq!(done(b.publish_in(1, "five", Some(5))).await, Err(BusError));
    b.tell("last", None).await;
    let last_of_a = a.tell("one", Some(1)).await;
    assert_eq!(c.until(&shown("last")).await, ["one", "three", "four", "last"].map(shown));
    c.has_heard(&[(&a, last_of_a)]).await;
    assert_eq!(c.questions(), 0, "nothing looks as if it were missing");
    assert_eq!(b.bus.outlook().fault, None, "the server is well");
}

#[tokio::test]
async fn what_is_repeated_while_connections_are_lost_arrives_once() {
    let redis = Redis::start();
    let (a, b) = (Listener::start(&redis.url(), "a").await, Listener::start(&redis.url(), "b").await);
    let mut c = Listener::start(&redis.url(), "c").await;
    let (mut receipts, mut last) = (Vec::new(), None);
    for number in 0..600 {
        let text = number.to_string();
        for of in if number % 2 == 0 { [&a, &b] } else { [&b, &a] } {
            receipts.push(of.publish(&text, Some(number)).1);
        }
        match number % 60 {
            20 => drop(redis.ask(&["CLIENT", "KILL", "TYPE", "normal"])),
            40 => drop(redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"])),
            _ => {}
        }
        if number % 7 == 0 {
            for told in receipts.drain(..) {
                within("the receipt", told).await.unwrap().unwrap();
            }
        }
        last = Some(number);
    }
    let expected: Vec<String> = (0..=last.unwrap()).map(|number| shown(&number.to_string())).collect();
    let last_of_a = a.tell("a", None).await;
    let last_of_b = b.tell("b", None).await;
    c.has_heard(&[(&a, last_of_a), (&b, last_of_b)]).await;
    let mut arrived = Vec::new();
    while let Ok(arrival) = c.arrivals.try_recv() {
        arrived.extend(text(&arrival));
    }
    arrived.retain(|text| *text != shown("a") && *text != shown("b"));
    arrived.sort_unstable();
    let mut expected = expected;
    expected.sort_unstable();
    let twice: Vec<_> = arrived.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    assert!(twice.is_empty(), "{twice:?}");
    arrived.iter().zip(&expected).for_each(|(arrived, expected)| assert_eq!(arrived, expected));
    assert_eq!(arrived.len(), expected.len());
}

#[tokio::test]
async fn the_very_same_message_goes_out_again_when_its_answer_was_lost() {
    let redis = Redis::start();
    let mut link = Node::start(&redis.url()).await;
    let store = Store::new(link.links.clone(), "hubbub");
    let (partition, name): (_, Arc<str>) = (channel().partition(), channel().name("hubbub").into());
    within("the subscription", link.links.subscribe(partition, &name)).await.unwrap();
    let connection = ConnectionId::parse("c").unwrap();
    let publication = Publication { connection, ack_id: AckId(1), term: 0 };
    for payload in ["one", "one", "one from elsewhere", "one"] {
        let through = store.through_once((partition, &topic().hub), &publication, (7, "void".into()));
        let (receipt, told) = oneshot::channel();
        let (channel, receipt, through) = (Arc::clone(&name), Some(receipt), Some(through));
        link.links
            .publish(Outgoing { partition, channel, payload: payload.into(), receipt, through })
            .unwrap();
        within("the receipt", told).await.unwrap().unwrap();
    }
    let mut events = Vec::new();
    while events.len() < 8 {
        match link.event().await {
            LinkEvent::Message { payload, .. } => events.push(String::from_utf8(payload.to_vec()).unwrap()),
            LinkEvent::Settled(all) => events.extend(all.into_iter().map(|Settled { number, void }| {
                assert_eq!(number, 7);
                format!("settled: {}", if void.is_some() { "void" } else { "one" })
            })),
            LinkEvent::Deaf(_) | LinkEvent::Hearing(_) => {}
        }
    }
    let is_about = |settled: bool| events.iter().filter(move |event| event.starts_with("settled") == settled);
    assert_eq!(is_about(false).collect::<Vec<_>>(), ["one", "one", "void", "one"]);
    let settled = ["settled: one", "settled: one", "settled: void", "settled: one"];
    assert_eq!(is_about(true).collect::<Vec<_>>(), settled);
}

#[tokio::test]
async fn names_are_kept_for_as_long_as_a_client_may_repeat_them() {
    let redis = Redis::start();
    let mut a = Listener::start(&redis.url(), "a").await;
    a.tell("first", Some(1)).await;
    let left: u64 = said(&redis, &["PTTL"]).parse().unwrap();
    assert!((100_000..=150_000).contains(&left), "{left}");
    let now: u64 = said(&redis, &["ZSCORE", "1"]).parse().unwrap();
    let (old, young) = ((now - 151_000).to_string(), (now - 100_000).to_string());
    said(&redis, &["ZADD", &old, "2", &old, "3", &young, "4"]);
    a.tell("second", Some(2)).await;
    a.tell("fourth", Some(4)).await;
    a.tell("fifth", Some(5)).await;
    assert_eq!(said(&redis, &["ZRANGE", "0", "-1"]).lines().collect::<Vec<_>>(), ["4", "1", "2", "5"]);
    assert_eq!(a.until(&shown("fifth")).await, ["first", "second", "fifth"].map(shown));
}

#[tokio::test]
async fn what_cannot_be_noted_leaves_no_name() {
    let redis = Redis::start();
    let mut a = Listener::start(&redis.url(), "a").await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let (_, mut told) = a.publish("one", Some(1));
    // Goes out behind it, and its answer comes behind the first refusal.
    within("a watch", a.bus.watch(&Channel::Topic(Topic { target: Target::Hub, ..topic() }))).await.unwrap();
    assert!(told.try_recv().is_err(), "nobody is told that it has gone");
    assert_eq!(said(&redis, &["EXISTS"]), "0");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(within("the receipt", told).await.unwrap(), Ok(1));
    assert_eq!(a.until(&shown("one")).await, [shown("one")]);
}
