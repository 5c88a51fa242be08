//! Who may in, how connections are secured, and what an operator is told when something is wrong with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::backplane::redis::{LinkError, QueueLimits, RedisConfig, RedisTexts};
use broker::backplane::store::{Floors, Owner, Place, Store, Take, Verdict};
use broker::backplane::{Applied, Bus, Channel, Content, Envelope, RedisBus, RedisBusParts};
use broker::model::command::{Body, Command, Publication, Target, Topic};
use broker::telemetry::metrics::Metrics;
use codec::ids::{AckId, ConnectionId, HubName, NodeId};
use codec::message::{Content as Message, Payload};
use tokio::sync::oneshot;

use crate::node::{Node, texts, within};
use crate::redis::Redis;
use crate::store::{begun, write};

const PASSWORD: &str = "open-sesame";

async fn fault(texts: &RedisTexts) -> String {
    let begun = Instant::now();
    let error = match Node::patient(texts, QueueLimits::default(), Duration::from_secs(2)).await {
        Ok(_) => panic!("it has started"),
        Err(error) => error.to_string(),
    };
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(!error.contains(PASSWORD), "{error}");
    error
}

async fn works(texts: &RedisTexts) {
    let mut node = Node::with(texts, QueueLimits::default()).await.unwrap();
    node.subscribe(1, "a").await;
    assert_eq!(node.reach(1, "a", "b").await, 1);
    assert_eq!(node.payload().await, "b");
}

#[tokio::test]
async fn a_password_opens() {
    let redis = Redis::entered(&["--requirepass", PASSWORD], &["-a", PASSWORD]);
    let at = format!("127.0.0.1:{}", redis.port());
    works(&texts(&format!("redis://:{PASSWORD}@{at}"))).await;
    works(&RedisTexts { password: Some(PASSWORD.to_owned()), ..texts(&redis.url()) }).await;
    for url in [redis.url(), "redis://:wrong@".to_owned() + &at, "redis://ann:wrong@".to_owned() + &at] {
        let fault = fault(&texts(&url)).await;
        assert!(fault.contains("refuses the user name or the password") && fault.contains(&at), "{fault}");
        assert!(!fault.contains("wrong"), "{fault}");
    }
}

#[tokio::test]
async fn a_user_needs_these_permissions_and_no_others() {
    let redis = Redis::start();
    let user = format!("redis://ann:{PASSWORD}@127.0.0.1:{}", redis.port());
    let secret = format!(">{PASSWORD}");
    let commands = ["+spublish", "+ssubscribe", "+sunsubscribe", "+ping", "+role", "+cluster|slots"];
    let set = |commands: &[&str], channels: &str| {
        let user = ["ACL", "SETUSER", "ann", "reset", "on", &secret, channels];
        assert_eq!(redis.ask(&[&user, commands].concat()), "OK");
    };
    set(&commands, "&hubbub:*");
    works(&texts(&user)).await;
    for lacking in 0..commands.len() {
        let mut some = commands.to_vec();
        let lacking = some.remove(lacking);
        set(&some, "&hubbub:*");
        let fault = fault(&texts(&user)).await;
        let name = lacking.trim_start_matches('+').replace('|', " ").to_uppercase();
        assert!(fault.contains(&format!("does not allow {name} to its user")), "{fault}");
    }
    set(&commands, "&other:*");
    assert!(fault(&texts(&user)).await.contains("does not allow SPUBLISH"));
}

#[tokio::test]
async fn durable_hubs_need_these_permissions_and_no_others() {
    let redis = Redis::start();
    let user = format!("redis://ann:{PASSWORD}@127.0.0.1:{}", redis.port());
    let secret = format!(">{PASSWORD}");
    let every_node = ["+spublish", "+ssubscribe", "+sunsubscribe", "+ping", "+role", "+cluster|slots"];
    let set = |commands: &[&str], keys: &str| {
        let user = ["ACL", "SETUSER", "ann", "reset", "on", &secret, "&hubbub:*", keys];
        assert_eq!(redis.ask(&[&user[..], &every_node, commands].concat()), "OK");
    };
    let start = async || {
        let (config, node) =
            (RedisConfig::parse(&texts(&user)).unwrap().keeping(), NodeId::new("a").unwrap());
        let (receive, metrics) = (Box::new(drop), Metrics::new([]).backplane());
        RedisBus::start(RedisBusParts { config, node, epoch: 11, receive, metrics }).await
    };
    set(&[], "~hubbub:*");
    // The error says itself what is needed.
    let told = start().await.err().unwrap().to_string();
    let (_, rules) = told.split_once("another: ").unwrap();
    let rules: Vec<&str> = rules.split_whitespace().collect();
    let (keys, commands) = rules.split_last().unwrap();
    assert_eq!(*keys, "~hubbub:*");
    for lacking in 0..commands.len() {
        let mut some = commands.to_vec();
        let lacking = some.remove(lacking);
        set(&some, keys);
        let told = start().await.err().unwrap().to_string();
        let name = lacking.trim_start_matches('+').replace('|', " ").to_uppercase();
        assert!(told.contains(&format!("does not allow {name} to its user")), "{told}");
    }
    set(commands, "~other:*");
    let told = start().await.err().unwrap().to_string();
    assert!(told.contains("or not on the keys that begin with the prefix"), "{told}");
    works(&texts(&user)).await;
    set(commands, keys);
    let bus = start().await.unwrap();
    assert_eq!(redis.ask(&["DBSIZE"]), "0");
    everything_works(&bus.store().unwrap().0, &bus).await;
}

/// All that durable hubs do with Redis, in one go.
async fn everything_works(store: &Store, bus: &RedisBus) {
    let (hub, id) = (HubName::new("chat").unwrap(), ConnectionId::parse("c").unwrap());
    let topic = Topic { hub: hub.clone(), target: Target::Connection(id.clone()) };
    let channel = Channel::Topic(topic.clone());
    let message = Message { payload: Payload::text("said"), metadata: None };
    let command = Arc::new(Command {
        hub: hub.clone(),
        target: topic.target.clone(),
        body: Body::from_application(message),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    });
    let publication = Publication { connection: id.clone(), ack_id: AckId(1), term: 0 };
    for publication in [None, Some(publication.clone()), Some(publication)] {
        let content = Content::Command { applied: Applied::Noted, command: Arc::clone(&command) };
        let envelope = Envelope { origin: NodeId::new("a").unwrap(), content, publication };
        let (receipt, told) = oneshot::channel();
        bus.publish(&channel, envelope, Some(receipt)).unwrap();
        within("the receipt", told).await.unwrap().unwrap();
    }
    store.end(channel.partition()).await.unwrap();
    let logged =
        store.read(channel.partition(), &Place::default(), (&[topic], &Floors::default())).await.unwrap();
    assert_eq!(logged.len(), 2);
    let lifetime = Duration::from_secs(60);
    let first = Owner { node: NodeId::new("a").unwrap(), epoch: 11, term: 0 };
    let mut ledger = begun(&id, first.clone());
    assert_eq!(write(store, &id, &mut ledger).await, Verdict::Done);
    ledger.acknowledge(1);
    assert_eq!(write(store, &id, &mut ledger).await, Verdict::Done);
    assert_eq!(store.owner(&hub, &id).await, Ok(Some(first.clone())));
    let next = first.successor(NodeId::new("b").unwrap(), 22);
    let taken = store.take((&hub, &id), (&first, &next), lifetime).await.unwrap();
    assert!(matches!(taken, Take::Taken(_)), "{taken:?}");
    assert_eq!(store.finish((&hub, &id), &next, lifetime).await, Ok(Verdict::Done));
}

#[tokio::test]
async fn tls_needs_an_issuer_that_is_trusted() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let directory = std::env::temp_dir().join(format!("hubbub-redis-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (chain, key) = (directory.join("chain.pem"), directory.join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
    let arguments = ["--tls-port", "{port}", "--tls-cert-file", chain, "--tls-key-file", key];
    let arguments = [&arguments[..], &["--tls-ca-cert-file", chain, "--tls-auth-clients", "no"]].concat();
    let redis = Redis::entered(&arguments, &["--tls", "--cacert", chain, "--sni", "localhost"]);
    std::fs::remove_dir_all(&directory).unwrap();
    let url = format!("rediss://localhost:{}", redis.port());
    let ca = |pem: String| Some(pem.into_bytes());
    works(&RedisTexts { ca: ca(made.cert.pem()), ..texts(&url) }).await;
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let untrusted = fault(&RedisTexts { ca: ca(other.cert.pem()), ..texts(&url) }).await;
    assert!(untrusted.contains("CA file is that of its issuer"), "{untrusted}");
    let elsewhere = format!("rediss://127.0.0.1:{}", redis.port());
    let named = fault(&RedisTexts { ca: ca(made.cert.pem()), ..texts(&elsewhere) }).await;
    assert!(named.contains("its certificate names the host"), "{named}");
    let plain = fault(&texts(&redis.url())).await;
    assert!(plain.contains("cannot be reached"), "{plain}");
    let plain = Redis::start();
    let url = format!("rediss://localhost:{}", plain.port());
    let secured = fault(&RedisTexts { ca: ca(made.cert.pem()), ..texts(&url) }).await;
    assert!(secured.contains("nothing there speaks TLS"), "{secured}");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let mut redis = Redis::start();
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &redis.port().to_string()]);
    let told = fault(&texts(&replica.url())).await;
    assert!(told.contains("is a replica"), "{told}");
    let forming = Redis::with(&["--cluster-enabled", "yes", "--cluster-port", "0"]);
    let told = fault(&texts(&forming.url())).await;
    assert!(told.contains("does not serve all of its slots"), "{told}");
    redis.kill();
    let told = fault(&texts(&redis.url())).await;
    assert!(told.contains("cannot be reached") && told.contains(&redis.port().to_string()), "{told}");
    let told = fault(&texts("redis://does-not-exist.invalid")).await;
    assert!(told.contains("does-not-exist.invalid:6379 cannot be reached"), "{told}");
}

#[tokio::test]
async fn of_several_servers_the_primary_is_taken() {
    let primary = Redis::start();
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    let mut texts = texts(&replica.url());
    texts.urls.push(primary.url());
    works(&texts).await;
}

#[tokio::test]
async fn patience_is_for_what_may_pass() {
    let mut redis = Redis::start();
    redis.kill();
    let texts = texts(&redis.url());
    let (started, ()) = tokio::join!(Node::with(&texts, QueueLimits::default()), async { redis.restart() });
    assert!(started.is_ok(), "{:?}", started.err().as_ref().map(LinkError::to_string));
}
