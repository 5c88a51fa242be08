//! Black-box tests of much at once: bursts, publishers that are faster than others' workers, large REST calls. Nobody who
//! reads is dropped, memory stays bounded, and neighbours have their turn.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{ClientSpec, Frame, RawSocket, Server, within_deadline};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Reads `total` bytes and forgets them.
async fn swallow(socket: &mut RawSocket, total: usize) {
    let mut buffer = vec![0; 64 << 10];
    let mut got = 0;
    while got < total {
        let len = socket.stream.read(&mut buffer).await.unwrap();
        assert!(len > 0, "dropped after {got} of {total} bytes");
        got += len;
    }
}

#[tokio::test]
async fn a_burst_of_more_than_a_queue_holds_drops_no_member_who_reads() {
    const BURST: usize = 2000;
    const MEMBERS: usize = 300;
    for workers in [1, 2] {
        let server = Server::with(|setup| {
            setup.workers(workers);
        })
        .await;
        let mut readers = Vec::new();
        for _ in 0..MEMBERS {
            let mut member = server.raw_upgraded("chat", &ClientSpec::simple().group("g")).await;
            readers.push(tokio::spawn(async move { swallow(&mut member, BURST * 3).await }));
        }
        let mut publisher =
            server.raw_upgraded("chat", &ClientSpec::publisher("g").role("webpubsub.sendToGroup")).await;
        publisher.stream.write_all(&Frame::text("x").bytes().repeat(BURST)).await.unwrap();
        for reader in readers {
            within_deadline("the whole burst", reader).await.unwrap();
        }
    }
}

/// A member of the group `g` and its worker, which its id names.
async fn member(server: &Server) -> (RawSocket, char) {
    let mut socket = server.raw_upgraded("chat", &ClientSpec::member().group("g")).await;
    let connected: Value = serde_json::from_slice(&socket.read_frame().await.content).unwrap();
    let worker = connected["connectionId"].as_str().unwrap().chars().next().unwrap();
    (socket, worker)
}

#[tokio::test]
async fn a_publisher_waits_for_the_worker_of_its_members() {
    let server = Server::start().await;
    let (mut publisher, mut readers) = (None, Vec::new());
    while publisher.is_none() || readers.len() < 100 {
        match member(&server).await {
            (socket, 'A') => publisher = publisher.or(Some(socket)),
            (mut socket, _) => readers.push(tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while socket.stream.read(&mut buffer).await.is_ok_and(|len| len > 0) {}
            })),
        }
    }
    let mut publisher = publisher.unwrap();
    let frames =
        Frame::text(&json!({"type": "sendToGroup", "group": "g", "noEcho": true, "data": 1}).to_string());
    let frames = frames.bytes().repeat(1000);
    // Without an end to its patience the publisher is read for as long as it writes.
    let flood = async {
        loop {
            publisher.stream.write_all(&frames).await.unwrap();
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(3), flood).await;
    let exists = server.rest().head("/api/hubs/chat/groups/g").send();
    assert_eq!(within_deadline("an answer of the busy worker", exists).await.status, 200);
    assert!(readers.iter().all(|reader| !reader.is_finished()), "a member who reads was dropped");
}

#[tokio::test]
async fn a_rest_call_that_changes_much_lets_others_have_their_turn() {
    let server = Server::with(|setup| {
        setup.workers(1);
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(server.connect("chat", ClientSpec::json()).await);
    }
    let groups: Vec<String> = (0..4000).map(|number| format!("group{number}")).collect();
    let body = json!({"groups": groups});
    let call = server.rest().post("/api/hubs/chat/:addToGroups").json(&body);
    let rest = server.rest();
    let mut answered_meanwhile = 0;
    let neighbour = async {
        loop {
            assert_eq!(rest.head("/api/health").send().await.status, 200);
            answered_meanwhile += 1;
        }
    };
    tokio::select! {
        reply = call.send() => assert_eq!(reply.status, 200),
        () = neighbour => {}
    }
    assert!(answered_meanwhile >= 10, "only {answered_meanwhile} calls were answered meanwhile");
}
