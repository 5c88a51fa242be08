//! Black-box tests of the order in which messages arrive, over all workers. Source: `rest-api.md` 7 and
//! `client-protocols.md` 4.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::json;
use support::{Client, ClientSpec, Server};

const WORKERS: usize = 4;

async fn server() -> Server {
    Server::with(|setup| {
        setup.workers(WORKERS);
    })
    .await
}

async fn members(server: &Server, count: usize) -> Vec<Client> {
    let connect = |_| server.connect("chat", ClientSpec::member().user("ann").group("g"));
    join_all((0..count).map(connect)).await
}

/// Receives `total` texts of the form `publisher:number` and checks that each publisher's numbers count up.
async fn expect_in_order(client: &mut Client, total: usize) {
    let mut next: HashMap<String, usize> = HashMap::new();
    for _ in 0..total {
        let message = client.next_json().await;
        let (publisher, number) = message["data"].as_str().unwrap().split_once(':').unwrap();
        let expected = next.entry(publisher.to_owned()).or_default();
        assert_eq!(number, expected.to_string(), "of publisher {publisher}");
        *expected += 1;
    }
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn each_publishers_messages_arrive_in_order_at_every_member() {
    const PUBLISHERS: usize = 12;
    const MESSAGES: usize = 150;
    let server = server().await;
    let mut receivers = members(&server, 10).await;
    let mut publishers: Vec<Client> =
        join_all((0..PUBLISHERS).map(|_| server.connect("chat", ClientSpec::member()))).await;
    let publish = publishers.iter_mut().enumerate().map(|(publisher, client)| async move {
        for number in 0..MESSAGES {
            client.publish("g", &format!("{publisher}:{number}")).await;
        }
    });
    let receive = receivers.iter_mut().map(|client| expect_in_order(client, PUBLISHERS * MESSAGES));
    tokio::join!(join_all(publish), join_all(receive));
}

#[tokio::test]
async fn publishers_that_are_members_see_the_same_order_of_their_own_messages() {
    const MEMBERS: usize = 8;
    const MESSAGES: usize = 50;
    let server = server().await;
    let mut clients = members(&server, MEMBERS).await;
    let talk = clients.iter_mut().enumerate().map(|(publisher, client)| async move {
        for number in 0..MESSAGES {
            client.publish("g", &format!("{publisher}:{number}")).await;
        }
        expect_in_order(client, MEMBERS * MESSAGES).await;
    });
    join_all(talk).await;
}

#[tokio::test]
async fn rest_sends_one_after_another_arrive_in_order_whatever_their_targets() {
    let server = server().await;
    let mut clients = members(&server, 8).await;
    for round in 0..40 {
        // Each call comes on a connection of its own, hence to any worker.
        let connection = format!("/connections/{}", clients[round % 8].connection_id());
        for (step, target) in
            ["", "/groups/g", "/users/ann", &*connection, "/groups/g", ""].iter().enumerate()
        {
            let call = server.rest().post(&format!("/api/hubs/chat{target}/:send"));
            call.text(&format!("{round}.{step}")).expect(202).await;
        }
        for (index, client) in clients.iter_mut().enumerate() {
            for step in 0..6 {
                if step != 3 || index == round % 8 {
                    assert_eq!(client.next_json().await["data"], format!("{round}.{step}"));
                }
            }
        }
    }
    for client in &mut clients {
        client.expect_nothing_before_pong().await;
    }
}

#[tokio::test]
async fn an_acknowledged_member_receives_all_that_is_published_from_then_on() {
    let server = server().await;
    let mut publishers: Vec<Client> =
        join_all((0..WORKERS).map(|_| server.connect("chat", ClientSpec::member()))).await;
    for round in 0..60 {
        let group = format!("g{}", round % 7);
        let mut member = server.connect("chat", ClientSpec::member()).await;
        member.join(&group).await;
        publishers[round % WORKERS].publish(&group, "by a client").await;
        assert_eq!(member.next_json().await["data"], "by a client", "round {round}");
        let call = server.rest().post(&format!("/api/hubs/chat/groups/{group}/:send"));
        call.text("by the application").expect(202).await;
        assert_eq!(member.next_json().await["data"], "by the application", "round {round}");
        member.leave(&group).await;
        publishers[round % WORKERS].publish(&group, "too late").await;
        member.expect_nothing_before_pong().await;
    }
}

#[tokio::test]
async fn a_member_that_the_application_added_receives_all_that_is_published_from_then_on() {
    let server = server().await;
    let mut publisher = server.connect("chat", ClientSpec::member()).await;
    for round in 0..40 {
        let mut member = server.connect("chat", ClientSpec::json().group("marker")).await;
        let path = format!("/api/hubs/chat/groups/g/connections/{}", member.connection_id());
        server.rest().put(&path).expect(200).await;
        publisher.publish("g", "in").await;
        assert_eq!(member.next_json().await["data"], "in", "round {round}");
        server.rest().delete(&path).expect(204).await;
        publisher.publish("g", "out").await;
        publisher.publish("marker", "marker").await;
        assert_eq!(member.next_json().await["data"], "marker", "round {round}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_its_ack_is_a_member_when_it_publishes() {
    let server = server().await;
    for round in 0..20 {
        let mut client = server.connect("chat", ClientSpec::member()).await;
        client.send_json(json!({"type": "joinGroup", "group": "own"})).await;
        client.publish("own", "hello").await;
        client.send_json(json!({"type": "leaveGroup", "group": "own"})).await;
        client.publish("own", "gone").await;
        assert_eq!(client.next_json().await["data"], "hello", "round {round}");
        client.expect_nothing_before_pong().await;
    }
}

#[tokio::test]
async fn who_is_meant_twice_gets_one_copy() {
    let server = server().await;
    let mut clients = members(&server, 6).await;
    for client in &mut clients {
        client.join("g").await;
        client.join("h").await;
    }
    for target in ["", "/users/ann", "/groups/g", "/groups/h"] {
        server.rest().post(&format!("/api/hubs/chat{target}/:send")).text(target).expect(202).await;
    }
    for client in &mut clients {
        for target in ["", "/users/ann", "/groups/g", "/groups/h"] {
            assert_eq!(client.next_json().await["data"], target);
        }
        client.expect_nothing_before_pong().await;
    }
}
