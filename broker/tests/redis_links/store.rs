//! What durable hubs keep in real Redis servers: logs that have all that was published, and records that one owner at a
//! time can write.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use broker::backplane::redis::{LinkEvent, Outgoing, RedisConfig};
use broker::backplane::store::{
    Fate, Floors, Ledger, Logged, Owner, Place, Store, StoreError, Take, Verdict, owed,
};
use broker::backplane::wire::{Body, Unsealed, session};
use broker::backplane::{
    Applied, Arrival, Bus, Channel, Content, Envelope, Partition, RedisBus, RedisBusParts,
};
use broker::model::command::{Body as Said, Command, Identity, Target, Topic};
use broker::model::portable::{Conduct, KeptMessage, Letters, Membership, Portable};
use broker::telemetry::metrics::Metrics;
use bytes::Bytes;
use codec::ids::{ConnectionId, GroupName, HubName, NodeId};
use codec::message::{Content as Message, Payload};
use codec::subprotocol::Subprotocol;
use tokio::sync::{mpsc, oneshot};

use crate::node::{DEADLINE, Node, texts, within};
use crate::redis::{Cluster, Redis};

const NONE: [u64; 0] = [];
const LIFETIME: Duration = Duration::from_secs(60);

fn hub() -> HubName {
    HubName::new("chat").unwrap()
}

fn group(number: u32) -> Topic {
    Topic { hub: hub(), target: Target::Group(GroupName::new(&format!("g{number}")).unwrap()) }
}

fn node(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn first_owner() -> Owner {
    Owner { node: node("a"), epoch: 11, term: 0 }
}

fn store(node: &Node) -> Store {
    Store::new(node.links.clone(), "hubbub")
}

fn command(topic: &Topic, text: &str) -> Command {
    Command {
        hub: topic.hub.clone(),
        target: topic.target.clone(),
        body: Said::from_application(Message { payload: Payload::text(text), metadata: None }),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    }
}

/// A message as the node `a` publishes it in a durable hub.
fn outgoing(store: &Store, topic: &Topic, sequence: u64) -> Outgoing {
    let command = command(topic, &sequence.to_string());
    let content = Content::Command { applied: Applied::Noted, command: Arc::new(command) };
    let channel = Channel::Topic(topic.clone());
    let partition = channel.partition();
    Outgoing {
        partition,
        channel: channel.name("hubbub").into(),
        payload: Unsealed::new(&node("a"), 11, &Body::Content(content)).seal(sequence, 0),
        receipt: None,
        through: Some(store.through(partition)),
    }
}

fn identity(sequence: u64) -> Identity {
    Identity { origin: node("a"), epoch: 11, sequence }
}

fn numbers(logged: &[Logged]) -> Vec<u64> {
    logged.iter().map(|logged| logged.identity.sequence).collect()
}

/// What a log has for its topics is what was published to them, from the given place on, and subscribers have it too.
async fn a_log_has_what_was_published(url: &str) {
    let mut link = Node::start(url).await;
    let store = store(&link);
    let topic = group(1);
    let partition = Channel::Topic(topic.clone()).partition();
    // Another channel of the same partition.
    let other =
        (2..).map(group).find(|other| Channel::Topic(other.clone()).partition() == partition).unwrap();
    let name = Channel::Topic(topic.clone()).name("hubbub");
    within("the subscription", link.links.subscribe(partition, &Arc::from(name))).await.unwrap();
    assert_eq!(store.end(partition).await.unwrap(), Place::default());
    let read = async |place: &Place, topics: &[Topic]| {
        numbers(&within("the log", store.read(partition, place, (topics, &Floors::default()))).await.unwrap())
    };
    assert_eq!(read(&Place::default(), std::slice::from_ref(&topic)).await, NONE);
    let mut place = Place::default();
    for sequence in 1..=3000 {
        let to = if sequence % 3 == 0 { &other } else { &topic };
        let (receipt, received) = oneshot::channel();
        link.links.publish(Outgoing { receipt: Some(receipt), ..outgoing(&store, to, sequence) }).unwrap();
        if sequence == 1000 {
            let subscribers = within("the receipt", received).await.unwrap().unwrap();
            assert_eq!(subscribers, 1);
            place = store.end(partition).await.unwrap();
            assert_eq!(place.added, 1000);
        }
    }
    assert!(link.links.flush(DEADLINE).await);
    let expected =
        |from, is_of: fn(u64) -> bool| (from..=3000).filter(|&number| is_of(number)).collect::<Vec<u64>>();
    assert_eq!(read(&place, std::slice::from_ref(&topic)).await, expected(1001, |number| number % 3 != 0));
    assert_eq!(read(&place, &[topic.clone(), other.clone()]).await, expected(1001, |_| true));
    assert_eq!(read(&Place::default(), &[other]).await, expected(1, |number| number % 3 == 0));
    assert_eq!(read(&place, &[]).await, NONE);
    let up_to =
        store.read(partition, &place, (std::slice::from_ref(&topic), &Floors::default())).await.unwrap()[5]
            .identity
            .clone();
    let (from, floors) = (up_to.sequence + 1, [(partition, up_to)].into_iter().collect());
    let behind_it = store.read(partition, &place, (std::slice::from_ref(&topic), &floors)).await.unwrap();
    assert_eq!(
        numbers(&behind_it),
        expected(from, |number| number % 3 != 0),
        "what has been served is not brought again"
    );
    let end = store.end(partition).await.unwrap();
    assert_eq!(read(&end, &[topic]).await, NONE);
    let mut heard = 0;
    while heard < 2000 {
        heard += u32::from(matches!(link.event().await, LinkEvent::Message { .. }));
    }
}

#[tokio::test]
async fn a_log_has_what_was_published_over_one_redis() {
    let redis = Redis::start();
    a_log_has_what_was_published(&redis.url()).await;
}

#[tokio::test]
async fn a_log_has_what_was_published_over_a_cluster() {
    let cluster = Cluster::start();
    a_log_has_what_was_published(&cluster.url()).await;
}

#[tokio::test]
async fn a_log_that_was_cut_says_so() {
    let redis = Redis::start();
    let link = Node::start(&redis.url()).await;
    let store = store(&link);
    let topic = group(1);
    let partition = Channel::Topic(topic.clone()).partition();
    let mut places = Vec::new();
    for sequence in 1..=10 {
        places.push(store.end(partition).await.unwrap());
        link.links.publish(outgoing(&store, &topic, sequence)).unwrap();
        assert!(link.links.flush(DEADLINE).await);
    }
    redis.ask(&["XTRIM", &format!("hubbub:{{{}}}:log", partition.0), "MAXLEN", "4"]);
    let topics = [topic];
    let read =
        async |number: usize| store.read(partition, &places[number], (&topics, &Floors::default())).await;
    assert_eq!(read(5).await.unwrap_err(), StoreError::Lost);
    assert_eq!(numbers(&read(6).await.unwrap()), [7, 8, 9, 10]);
    redis.ask(&["FLUSHALL"]);
    assert_eq!(read(9).await.unwrap_err(), StoreError::Lost);
}

#[tokio::test]
async fn a_log_has_about_a_million_messages_at_most() {
    let redis = Redis::start();
    let link = Node::start(&redis.url()).await;
    let store = store(&link);
    let topic = group(1);
    let log = format!("hubbub:{{{}}}:log", Channel::Topic(topic.clone()).partition().0);
    let fill = "for _ = 1, 1000500 do redis.call('XADD', KEYS[1], '*', 'c', 'other', 'm', '') end";
    redis.ask(&["EVAL", fill, "1", &log]);
    assert_eq!(redis.ask(&["XLEN", &log]), "1000500");
    link.links.publish(outgoing(&store, &topic, 1)).unwrap();
    assert!(link.links.flush(DEADLINE).await);
    // Redis takes whole pieces of a hundred.
    let length: u32 = redis.ask(&["XLEN", &log]).parse().unwrap();
    assert!((1_000_000..1_000_200).contains(&length), "{length}");
}

#[tokio::test]
async fn a_log_keeps_what_lost_connections_repeat_readable_once() {
    let redis = Redis::start();
    let link = Node::start(&redis.url()).await;
    let store = store(&link);
    let topic = group(1);
    let partition = Channel::Topic(topic.clone()).partition();
    let mut receipts = Vec::new();
    for sequence in 1..=2000 {
        let (receipt, received) = oneshot::channel();
        link.links
            .publish(Outgoing { receipt: Some(receipt), ..outgoing(&store, &topic, sequence) })
            .unwrap();
        receipts.push(received);
        if sequence % 400 == 0 {
            redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
    }
    for receipt in receipts {
        within("the receipt", receipt).await.unwrap().unwrap();
    }
    let logged = store
        .read(partition, &Place::default(), (std::slice::from_ref(&topic), &Floors::default()))
        .await
        .unwrap();
    let mut floors = Floors::default();
    floors.raise(partition, &identity(10));
    let missed = owed(logged, &HashSet::from([topic]), &floors);
    assert_eq!(numbers(&missed), (11..=2000).collect::<Vec<u64>>());
}

#[tokio::test]
async fn nothing_is_published_that_cannot_be_noted() {
    let redis = Redis::start();
    let mut link = Node::start(&redis.url()).await;
    let store = store(&link);
    let topic = group(1);
    let channel = Channel::Topic(topic.clone());
    let (partition, name) = (channel.partition(), channel.name("hubbub"));
    within("the subscription", link.links.subscribe(partition, &Arc::from(name.clone()))).await.unwrap();
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let (receipt, mut received) = oneshot::channel();
    link.links.publish(Outgoing { receipt: Some(receipt), ..outgoing(&store, &topic, 1) }).unwrap();
    // What is published past the log still goes through, behind the other one.
    let plain = Outgoing { through: None, payload: "plain".into(), ..outgoing(&store, &topic, 2) };
    link.links.publish(plain).unwrap();
    assert_eq!(link.payload().await, "plain");
    assert!(received.try_recv().is_err(), "nobody is told that it has gone");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(within("the receipt", received).await.unwrap(), Ok(1));
    let logged = store.read(partition, &Place::default(), (&[topic], &Floors::default())).await.unwrap();
    assert_eq!(numbers(&logged), [1]);
}

/// A connection with the messages 1 and 2, of which the second has come with something that others know.
pub(crate) fn begun(id: &ConnectionId, owner: Owner) -> Ledger {
    let portable = Portable {
        hub: hub(),
        connection_id: id.clone(),
        user_id: None,
        subprotocol: Subprotocol::JsonReliable,
        membership: Membership::default(),
        conduct: Conduct::default(),
        letters: Letters::default(),
        keep_alive: 20,
        is_active: true,
        seconds_left: 30,
    };
    let mut ledger = Ledger::new(owner);
    ledger.describe(session::encode_record(&portable, &BTreeMap::new()).into());
    ledger.keep(&message(1), None);
    ledger.keep(&message(2), Some((Partition(5), &identity(8))));
    ledger
}

fn message(number: u64) -> KeptMessage {
    let time_left = (number == 1).then_some(Duration::from_secs(30));
    KeptMessage { number, content: Bytes::from(number.to_string()), time_left, state_of: None }
}

pub(crate) async fn write(store: &Store, id: &ConnectionId, ledger: &mut Ledger) -> Verdict {
    let next = ledger.next(true).unwrap();
    let verdict = within("the write", store.write((&hub(), id), next, LIFETIME)).await.unwrap();
    ledger.decided(verdict.fate(Duration::ZERO, LIFETIME));
    verdict
}

/// A record goes from owner to owner with all that was written, and only the present one can write.
async fn one_owner_at_a_time(url: &str) {
    let link = Node::start(url).await;
    let store = store(&link);
    let (hub, id) = (hub(), ConnectionId::parse("c").unwrap());
    let first = first_owner();
    let (second, third) = (first.successor(node("b"), 22), first.successor(node("c"), 33));
    let take = async |from: &Owner, to: &Owner| store.take((&hub, &id), (from, to), LIFETIME).await.unwrap();
    assert_eq!(store.owner(&hub, &id).await, Ok(None));
    assert_eq!(take(&first, &second).await, Take::Absent);
    let mut ledger = begun(&id, first.clone());
    assert_eq!(write(&store, &id, &mut ledger).await, Verdict::Done);
    assert_eq!(ledger.confirmed(), 2);
    ledger.keep(&message(3), None);
    ledger.acknowledge(1);
    assert_eq!(write(&store, &id, &mut ledger).await, Verdict::Done);
    assert_eq!(store.owner(&hub, &id).await, Ok(Some(first.clone())));

    let Take::Taken(record) = take(&first, &second).await else { panic!("not taken") };
    assert_eq!(record.portable.membership.messages, [message(2), message(3)]);
    assert_eq!((record.portable.membership.last, &record.portable.connection_id), (3, &id));
    assert!(record.floors.covers(Partition(5), &identity(8)));
    assert_eq!(take(&first, &second).await, Take::Taken(record.clone()), "its answer may have been lost");
    assert_eq!(take(&first, &third).await, Take::Missed);
    ledger.keep(&message(4), None);
    assert_eq!(write(&store, &id, &mut ledger).await, Verdict::Fenced);
    assert_eq!(ledger.confirmed(), 3, "what another may have numbered otherwise is not sent");
    assert_eq!(store.finish((&hub, &id), &first, LIFETIME).await, Ok(Verdict::Fenced));

    let mut ledger = Ledger::taken(second.clone(), &record);
    assert_eq!(ledger.confirmed(), 3);
    ledger.acknowledge(3);
    ledger.keep(&message(4), None);
    assert_eq!(write(&store, &id, &mut ledger).await, Verdict::Done);
    let third = second.successor(node("c"), 33);
    let Take::Taken(record) = take(&second, &third).await else { panic!("not taken") };
    assert_eq!(record.portable.membership.messages, [message(4)]);

    assert_eq!(store.finish((&hub, &id), &third, LIFETIME).await, Ok(Verdict::Done));
    assert_eq!(store.finish((&hub, &id), &third, LIFETIME).await, Ok(Verdict::Done));
    assert_eq!(store.owner(&hub, &id).await, Ok(None));
    assert_eq!(take(&third, &second).await, Take::Missed);
    let mut ledger = begun(&id, first);
    assert_eq!(
        write(&store, &id, &mut ledger).await,
        Verdict::Fenced,
        "it has ended, and does not begin anew"
    );
}

#[tokio::test]
async fn one_owner_at_a_time_over_one_redis() {
    let redis = Redis::start();
    one_owner_at_a_time(&redis.url()).await;
}

#[tokio::test]
async fn one_owner_at_a_time_over_a_cluster() {
    let cluster = Cluster::start();
    one_owner_at_a_time(&cluster.url()).await;
}

#[tokio::test]
async fn of_many_who_take_a_record_one_has_it() {
    let redis = Redis::start();
    let (one, two) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    let stores = [store(&one), store(&two)];
    let (hub, id) = (hub(), ConnectionId::parse("c").unwrap());
    let first = first_owner();
    write(&stores[0], &id, &mut begun(&id, first.clone())).await;
    let owners: Vec<Owner> =
        (0..20).map(|number| first.successor(node(&format!("n{number}")), number)).collect();
    let takes = owners
        .iter()
        .enumerate()
        .map(|(number, owner)| stores[number % 2].take((&hub, &id), (&first, owner), LIFETIME));
    let takes = within("the takes", futures_util::future::join_all(takes)).await;
    let taken: Vec<&Owner> = owners
        .iter()
        .zip(&takes)
        .filter(|(_, take)| matches!(take, Ok(Take::Taken(_))))
        .map(|(owner, _)| owner)
        .collect();
    assert_eq!(taken.len(), 1, "{takes:?}");
    assert_eq!(stores[0].owner(&hub, &id).await.unwrap().as_ref(), Some(taken[0]));
}

#[tokio::test]
async fn a_record_that_nobody_renews_goes() {
    let redis = Redis::start();
    let link = Node::start(&redis.url()).await;
    let store = store(&link);
    let (hub, id) = (hub(), ConnectionId::parse("c").unwrap());
    let next = begun(&id, first_owner()).next(false).unwrap();
    let short = Duration::from_millis(300);
    assert_eq!(store.write((&hub, &id), next, short).await, Ok(Verdict::Done));
    assert_eq!(redis.ask(&["DBSIZE"]), "1");
    let gone = async { while store.owner(&hub, &id).await.unwrap().is_some() {} };
    within("the end of the record", gone).await;
    assert_eq!(redis.ask(&["DBSIZE"]), "0");
}

#[tokio::test]
async fn a_write_outlives_a_redis_that_hangs_and_one_that_forgets() {
    let mut redis = Redis::start();
    let link =
        Node::with(&texts(&redis.url()), broker::backplane::redis::QueueLimits::default()).await.unwrap();
    let store = store(&link);
    let (hub, id) = (hub(), ConnectionId::parse("c").unwrap());
    let mut ledger = begun(&id, first_owner());
    write(&store, &id, &mut ledger).await;
    redis.pause();
    ledger.keep(&message(3), None);
    let next = ledger.next(false).unwrap();
    let key = (&hub, &id);
    let mut pending = std::pin::pin!(store.write(key, next, LIFETIME));
    let early = tokio::time::timeout(Duration::from_millis(2500), &mut pending).await;
    assert!(early.is_err(), "nobody has confirmed it");
    redis.resume();
    assert_eq!(within("the write", pending).await, Ok(Verdict::Done));
    ledger.decided(Fate::Stays);
    redis.kill();
    redis.restart();
    ledger.keep(&message(4), None);
    let next = ledger.next(false).unwrap();
    let verdict = within("the write", store.write(key, next, LIFETIME)).await.unwrap();
    assert_eq!(verdict, Verdict::Absent);
    ledger.decided(verdict.fate(Duration::ZERO, LIFETIME));
    let whole = begun(&id, first_owner()).next(false).unwrap();
    assert_eq!(ledger.next(true), None, "it is to be given everything first");
    assert_eq!(within("the write", store.write(key, whole, LIFETIME)).await, Ok(Verdict::Done));
}

#[tokio::test]
async fn a_bus_notes_what_it_is_told_to_and_nothing_else() {
    let redis = Redis::start();
    let (sender, mut arrivals) = mpsc::unbounded_channel();
    let receive = Box::new(move |arrival| sender.send(arrival).unwrap());
    let config = RedisConfig::parse(&texts(&redis.url())).unwrap();
    let metrics = Metrics::new([]).backplane();
    let bus = RedisBus::start(RedisBusParts { config, node: node("a"), epoch: 11, receive, metrics });
    let bus = within("the start", bus).await.unwrap();
    let topic = group(1);
    let channel = Channel::Topic(topic.clone());
    within("the watch", bus.watch(&channel)).await.unwrap();
    let publish = async |applied: Applied| {
        let content = Content::Command { applied, command: Arc::new(command(&topic, "said")) };
        let (receipt, received) = oneshot::channel();
        let number = bus
            .publish(&channel, Envelope { origin: node("a"), content, publication: None }, Some(receipt))
            .unwrap();
        assert_eq!(within("the receipt", received).await.unwrap(), Ok(1));
        number
    };
    publish(Applied::OnReceipt).await;
    assert_eq!(redis.ask(&["DBSIZE"]), "0", "other hubs cost Redis nothing");
    let number = publish(Applied::Noted).await;
    for _ in 0..2 {
        let arrival = within("the message", arrivals.recv()).await.unwrap();
        assert!(matches!(arrival, Arrival::Envelope(..)), "{arrival:?}");
    }
    let (store, _) = bus.store().unwrap();
    let logged =
        store.read(channel.partition(), &Place::default(), (&[topic], &Floors::default())).await.unwrap();
    assert_eq!(numbers(&logged), [number.sequence]);
    assert_eq!(redis.ask(&["DBSIZE"]), "1");
}
