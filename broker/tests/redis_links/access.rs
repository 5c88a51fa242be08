//! Who may in, how connections are secured, and what an operator is told when something is wrong with it.

use std::time::{Duration, Instant};

use broker::backplane::redis::{LinkError, QueueLimits, RedisTexts};

use crate::node::{Node, texts};
use crate::redis::Redis;

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
