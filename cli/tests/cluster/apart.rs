//! Brokers with one key and nothing that links them, and the Redis of the harness: what holds before anything is shared.

use crate::harness::{Broker, Redis, eventually};
use crate::support::{ClientSpec, PRIMARY_KEY, Server, Token};

fn broker(more: &[&str]) -> Broker {
    Broker::start(&[&["--access-key", PRIMARY_KEY], more].concat())
}

#[tokio::test]
async fn what_one_node_signs_the_others_believe() {
    let flags = ["--allow-unvalidated-entra-tokens", "--audience-check", "path-only"];
    let nodes = [broker(&flags), broker(&flags)];
    let [one, other] = nodes.each_ref().map(|node| Server::at(node.address()));
    let entra = Token::for_audience("https://webpubsub.azure.com").key("a key that nobody here knows");
    let call = one.rest().post("/api/hubs/chat/:generateToken?userId=ann&api-version=2024-12-01");
    let made = call.token(&entra.sign()).expect(200).await.json();
    let spec = ClientSpec::json().token(made["token"].as_str().unwrap());
    let connected = other.open("chat", spec).await.next_json().await;
    assert_eq!(connected["userId"], "ann", "{connected}");

    let stranger =
        Broker::start(&[&flags[..], &["--access-key", "another-installation-has-another-key"]].concat());
    let spec = ClientSpec::json().token(made["token"].as_str().unwrap());
    let mut socket = Server::at(stranger.address()).raw().await;
    let path = spec.path(&other, "chat");
    assert_eq!(socket.upgrade(&path, &spec.headers()).await.status, 401);
}

#[test]
fn a_paused_broker_answers_again_when_it_goes_on() {
    let mut node = broker(&[]);
    node.pause();
    assert!(!node.is_ready());
    node.resume();
    assert!(node.is_ready());
    node.kill();
    assert!(!node.is_ready());
}

#[test]
fn redis_can_be_paused_killed_and_started_again() {
    let mut redis = Redis::start();
    assert_eq!(redis.ask("SET key value").as_deref(), Some("+OK\r\n"));
    redis.pause();
    assert_eq!(redis.ask("PING"), None);
    redis.resume();
    eventually("an answer", || redis.ask("PING"));
    redis.restart();
    assert_eq!(redis.ask("GET key").as_deref(), Some("$-1\r\n"), "it starts empty");
    redis.kill();
    assert_eq!(redis.ask("PING"), None);
}
