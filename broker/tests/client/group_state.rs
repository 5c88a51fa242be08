//! Group state: what members of a group show, and who is told of it. Source: `client-protocols.md` 11.

mod ends;
mod protobuf;
mod refusals;

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Client, ClientSpec, Server};

const SET: &str = "webpubsub.setGroupState";
const GET: &str = "webpubsub.getGroupState";

/// A member of group `g` that may do everything with groups.
fn spec() -> ClientSpec {
    ClientSpec::member().role(SET).role(GET).group("g")
}

async fn connect(server: &Server) -> Client {
    server.connect("chat", spec()).await
}

fn request(kind: &str, group: &str) -> Value {
    json!({"type": kind, "group": group})
}

/// Shows a state to `g`; of a client that does not see states.
async fn set(client: &mut Client, state: Value) {
    let ack = client.request(json!({"type": "setGroupState", "group": "g", "state": state})).await;
    assert_eq!(ack["success"], true, "{ack}");
}

/// Subscribes to `g` and gives the items of the snapshot, which must come right after the ack.
async fn subscribe(client: &mut Client) -> Vec<Value> {
    let ack = client.request(request("subscribeGroupState", "g")).await;
    assert_eq!(ack["success"], true, "{ack}");
    let mut snapshot = client.next_json().await;
    let items = snapshot["items"].take();
    assert_eq!(snapshot, json!({"type": "groupStateSnapshot", "group": "g", "items": null}));
    items.as_array().unwrap().clone()
}

/// The next message, which must be an update: its only item.
async fn next_item(client: &mut Client) -> Value {
    let mut update = client.next_json().await;
    let items = update["items"].take();
    assert_eq!(update, json!({"type": "groupStateUpdate", "group": "g", "items": null}));
    let [item] = &items.as_array().unwrap()[..] else {
        panic!("an update has one item: {items}");
    };
    item.clone()
}

/// An item without its time, which must be there, and the time.
fn timeless(mut item: Value) -> (Value, i64) {
    let time = item["updatedAt"].as_i64().unwrap();
    item.as_object_mut().unwrap().remove("updatedAt");
    (item, time)
}

/// Compares the next update, and gives its time.
async fn expect_item(client: &mut Client, expected: Value) -> i64 {
    let (item, time) = timeless(next_item(client).await);
    assert_eq!(item, expected);
    time
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

#[tokio::test]
async fn a_subscriber_is_told_what_is_there_and_then_each_change() {
    let server = Server::start().await;
    let begin = now();
    let mut ann = server.connect("chat", spec().user("ann")).await;
    let mut nobody = connect(&server).await;
    let mut subscriber = connect(&server).await;
    set(&mut ann, json!({"cursor": "1,2", "typing": "no"})).await;
    let snapshot = subscribe(&mut subscriber).await;
    assert_eq!(snapshot.len(), 1, "only those who show something: {snapshot:?}");
    let (item, first) = timeless(snapshot[0].clone());
    let (ann_id, nobody_id) = (ann.connection_id().to_owned(), nobody.connection_id().to_owned());
    let state = json!({"cursor": "1,2", "typing": "no"});
    assert_eq!(item, json!({"connectionId": ann_id, "userId": "ann", "state": state}));
    assert!((begin..=now()).contains(&first), "milliseconds since 1970: {first}");

    set(&mut ann, json!({"typing": "yes"})).await;
    let replaced = json!({"connectionId": ann_id, "userId": "ann", "state": {"typing": "yes"}});
    let second = expect_item(&mut subscriber, replaced).await;
    set(&mut nobody, json!({"é": "ü"})).await;
    let without_user = json!({"connectionId": nobody_id, "state": {"é": "ü"}});
    expect_item(&mut subscriber, without_user).await;
    for clear in [json!({}), json!({"state": null})] {
        set(&mut ann, json!({})).await;
        let empty = json!({"connectionId": ann_id, "userId": "ann", "state": {}});
        let third = expect_item(&mut subscriber, empty).await;
        let mut message = request("setGroupState", "g");
        message.as_object_mut().unwrap().extend(clear.as_object().unwrap().clone());
        assert_eq!(ann.request(message).await["success"], true);
        let cleared = json!({"connectionId": ann_id, "userId": "ann"});
        let fourth = expect_item(&mut subscriber, cleared).await;
        assert!(first < second && second < third && third < fourth);
    }
    assert_eq!(subscribe(&mut subscriber).await.len(), 1, "subscribing again sends another snapshot");
    set(&mut ann, json!({"a": "b"})).await;
    next_item(&mut subscriber).await;
    subscriber.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn whoever_sees_states_sees_its_own_before_the_ack() {
    let server = Server::start().await;
    let mut client = connect(&server).await;
    assert!(subscribe(&mut client).await.is_empty());
    for (ack_id, state) in [(1, "a"), (2, "b")] {
        client
            .send_json(json!({"type": "setGroupState", "group": "g", "state": {"s": state}, "ackId": ack_id}))
            .await;
        let id = client.connection_id().to_owned();
        expect_item(&mut client, json!({"connectionId": id, "state": {"s": state}})).await;
        assert_eq!(client.next_json().await, json!({"type": "ack", "ackId": ack_id, "success": true}));
    }
}

#[tokio::test]
async fn what_a_client_sends_after_subscribing_waits_for_the_snapshot() {
    let server = Server::start().await;
    let mut client = connect(&server).await;
    client.send_json(json!({"type": "subscribeGroupState", "group": "g", "ackId": 1})).await;
    client.send_json(json!({"type": "setGroupState", "group": "g", "state": {"s": "a"}, "ackId": 2})).await;
    client.send_json(json!({"type": "ping"})).await;
    assert_eq!(client.next_json().await["ackId"], 1);
    let snapshot = client.next_json().await;
    assert_eq!(snapshot, json!({"type": "groupStateSnapshot", "group": "g", "items": []}));
    assert_eq!(next_item(&mut client).await["state"], json!({"s": "a"}));
    assert_eq!(client.next_json().await["ackId"], 2);
    assert_eq!(client.next_json().await, json!({"type": "pong"}));
    client.send_json(request("subscribeGroupState", "g")).await;
    assert_eq!(client.next_json().await["type"], "groupStateSnapshot", "no ack is sent unasked");
}

#[tokio::test]
async fn others_are_told_nothing() {
    let server = Server::start().await;
    let mut owner = connect(&server).await;
    let mut unsubscribed = connect(&server).await;
    subscribe(&mut unsubscribed).await;
    assert_eq!(unsubscribed.request(request("unsubscribeGroupState", "g")).await["success"], true);
    let mut member = connect(&server).await;
    let mut simple = server.connect("chat", ClientSpec::simple().group("g")).await;
    let mut elsewhere = server.connect("chat", spec().group("h")).await;
    elsewhere.request(request("subscribeGroupState", "h")).await;
    assert_eq!(elsewhere.next_json().await["type"], "groupStateSnapshot");
    let mut other_hub = server.connect("other", spec()).await;
    assert!(subscribe(&mut other_hub).await.is_empty());
    set(&mut owner, json!({"s": "a"})).await;
    owner.publish("g", "marker").await;
    for client in [&mut owner, &mut unsubscribed, &mut member, &mut elsewhere] {
        assert_eq!(client.next_json().await["data"], "marker");
    }
    assert_eq!(simple.next_text().await, "marker");
    other_hub.expect_nothing_before_pong().await;
    assert!(subscribe(&mut other_hub).await.is_empty());
}

#[tokio::test]
async fn members_on_all_workers_are_told_of_owners_on_all_workers() {
    let server = Server::with(|setup| {
        setup.workers(4);
    })
    .await;
    let mut owners = Vec::new();
    for number in 0..12 {
        let mut owner = connect(&server).await;
        set(&mut owner, json!({"number": number.to_string()})).await;
        owners.push(owner);
    }
    // The system spreads the sockets: that all of so many came to the same worker is next to impossible.
    let workers: HashSet<_> = owners.iter().map(|owner| owner.connection_id().chars().next()).collect();
    assert!(workers.len() > 1);
    let mut ids: Vec<String> = owners.iter().map(|owner| owner.connection_id().to_owned()).collect();
    ids.sort();
    let mut subscribers = Vec::new();
    for _ in 0..8 {
        let mut subscriber = connect(&server).await;
        let shown: Vec<_> =
            subscribe(&mut subscriber).await.into_iter().map(|item| item["connectionId"].clone()).collect();
        assert_eq!(shown, ids, "in the order of the ids");
        subscribers.push(subscriber);
    }
    for owner in &mut owners {
        for text in ["x", "y"] {
            set(owner, json!({"s": text})).await;
        }
        for subscriber in &mut subscribers {
            for text in ["x", "y"] {
                let expected = json!({"connectionId": owner.connection_id(), "state": {"s": text}});
                expect_item(subscriber, expected).await;
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_missed_between_the_snapshot_and_the_updates() {
    let server = Server::with(|setup| {
        setup.workers(4);
    })
    .await;
    let mut owners = Vec::new();
    for _ in 0..8 {
        owners.push(connect(&server).await);
    }
    for round in 0..20 {
        let mut subscriber = connect(&server).await;
        let text = format!("round {round}");
        subscriber.send_json(request("subscribeGroupState", "g")).await;
        for owner in &mut owners {
            owner.send_json(json!({"type": "setGroupState", "group": "g", "state": {"s": text}})).await;
        }
        // What a client knows when it takes the snapshot for all there is, and each update for news.
        let mut known = serde_json::Map::new();
        let mut is_first = true;
        while owners.iter().any(|owner| known.get(owner.connection_id()) != Some(&json!(text))) {
            let message = subscriber.next_json().await;
            assert_eq!(message["type"] == "groupStateSnapshot", is_first, "{message}");
            is_first = false;
            for item in message["items"].as_array().unwrap() {
                let owner = item["connectionId"].as_str().unwrap().to_owned();
                known.insert(owner, item["state"]["s"].clone());
            }
        }
        subscriber.close().await;
    }
}

#[tokio::test]
async fn the_time_of_an_owner_only_goes_forward() {
    let server = Server::start().await;
    let mut owner = connect(&server).await;
    let mut subscriber = connect(&server).await;
    subscribe(&mut subscriber).await;
    for _ in 0..100 {
        owner.send_json(json!({"type": "setGroupState", "group": "g", "state": {}})).await;
        owner.send_json(request("setGroupState", "g")).await;
    }
    let mut before = 0;
    for _ in 0..200 {
        let time = next_item(&mut subscriber).await["updatedAt"].as_i64().unwrap();
        assert!(time > before, "{time} after {before}");
        before = time;
    }
}

#[tokio::test]
async fn a_snapshot_has_two_hundred_items() {
    let server = Server::start().await;
    let mut owners = Vec::new();
    for _ in 0..205 {
        let mut owner = connect(&server).await;
        set(&mut owner, json!({"s": "x"})).await;
        owners.push(owner);
    }
    let mut ids: Vec<&str> = owners.iter().map(Client::connection_id).collect();
    ids.sort_unstable();
    let mut subscriber = connect(&server).await;
    let shown = subscribe(&mut subscriber).await;
    let shown: Vec<&str> = shown.iter().map(|item| item["connectionId"].as_str().unwrap()).collect();
    assert_eq!(shown, ids[..200]);
}
