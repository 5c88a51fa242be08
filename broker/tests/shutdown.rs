//! Black-box tests of stopping a node: everybody is told, what is under way is finished, nothing hangs. Source:
//! `client-protocols.md` 4.1 and `product.md`.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{
    Answer, ClientSpec, Frame, Handler, JSON_RELIABLE, Opcode, Received, Server, Setup, within_deadline,
};
use tokio::net::TcpStream;

/// Several would leave it open which of two sockets is read first.
fn one_worker(setup: &mut Setup) {
    setup.workers(1);
}

#[tokio::test]
async fn a_node_without_clients_stops_at_once() {
    let server = Server::start().await;
    let start = Instant::now();
    server.stop().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn every_client_is_closed_with_1001_and_no_reason() {
    let mut server = Server::with(|setup| {
        setup.workers(4);
    })
    .await;
    let mut clients = Vec::new();
    for n in 0..40 {
        let spec = if n % 2 == 0 { ClientSpec::json() } else { ClientSpec::simple() };
        clients.push(server.connect("chat", spec.group("g")).await);
    }
    server.begin_stop();
    for client in &mut clients {
        client.expect_close(1001, "").await;
    }
    server.stopped().await;
}

#[tokio::test]
async fn what_was_accepted_before_the_stop_arrives_before_the_close() {
    let mut server = Server::start().await;
    let mut members = Vec::new();
    for _ in 0..8 {
        members.push(server.connect("chat", ClientSpec::json().group("g")).await);
    }
    let mut publisher = server.connect("chat", ClientSpec::member()).await;
    for n in 0..50 {
        let send = json!({"type": "sendToGroup", "group": "g", "data": n});
        assert_eq!(publisher.request(send).await["success"], true);
    }
    server.begin_stop();
    for member in &mut members {
        for n in 0..50 {
            assert_eq!(member.next_json().await["data"], n);
        }
        member.expect_close(1001, "").await;
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_rest_call_under_way_is_finished() {
    let mut server = Server::with(one_worker).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let token = server.rest().token("/api/hubs/chat/:send").sign();
    let mut call = server.raw().await;
    let head = format!(
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhe",
        server.address()
    );
    call.write(head.as_bytes()).await;
    // An answer on a later socket of the same worker shows that it has read the first.
    server.rest().head("/api/health").expect(200).await;
    server.begin_stop();
    client.expect_close(1001, "").await;
    call.write(b"llo").await;
    assert_eq!(call.read_response().await.status, 202);
    server.stopped().await;
}

#[tokio::test]
async fn invocations_under_way_are_dropped_and_do_not_hold_it_up() {
    let handler = Handler::start().await;
    handler.always("slow", Answer::never());
    let mut server = Server::with(|setup| {
        setup.grace(Duration::from_secs(60)).handler("chat", &handler, |spec| spec.user("*"));
    })
    .await;
    let invoke = json!({"type": "invoke", "invocationId": "1", "target": "event", "event": "slow"});
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(invoke.clone()).await;
    let mut calls = vec![handler.expect("slow").await];
    // One that is kept without its socket has to go too.
    let mut lost = server.raw_upgraded("chat", &ClientSpec::simple().offer(JSON_RELIABLE)).await;
    assert_eq!(lost.read_frame().await.opcode, Opcode::TEXT, "connected");
    lost.send(&Frame::text(&invoke.to_string())).await;
    calls.push(handler.expect("slow").await);
    lost.send(&Frame::close_without_code()).await;
    while lost.try_read_frame().await.is_some() {}
    let start = Instant::now();
    server.begin_stop();
    client.expect_close(1001, "").await;
    for call in calls {
        call.cancelled().await;
    }
    server.stopped().await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn new_connections_are_refused() {
    let mut server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let address = server.address();
    server.begin_stop();
    client.expect_close(1001, "").await;
    server.stopped().await;
    let refused = within_deadline("an answer", TcpStream::connect(address)).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn clients_that_do_not_answer_the_close_do_not_hold_it_up() {
    let mut server = Server::with(|setup| {
        setup.grace(Duration::from_secs(3));
    })
    .await;
    let start = Instant::now();
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(server.raw_upgraded("chat", &ClientSpec::json().group("g")).await);
    }
    server.begin_stop();
    server.stopped().await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    for socket in &mut sockets {
        while let Some(frame) = socket.try_read_frame().await {
            assert!(
                frame == Frame::close(1001, "").unmasked() || frame.content.starts_with(b"{"),
                "{frame:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_hold_it_up() {
    let mut server = Server::with(|setup| {
        setup.grace(Duration::from_secs(3));
    })
    .await;
    let mut reader = server.connect("chat", ClientSpec::json().group("g")).await;
    let _sleeper = server.raw_upgraded("chat", &ClientSpec::json().group("g")).await;
    // More than the kernel takes, less than the broker lets wait.
    let text = "x".repeat(512 << 10);
    for _ in 0..28 {
        server.rest().post("/api/hubs/chat/groups/g/:send").text(&text).expect(202).await;
        assert_eq!(reader.next_json().await["data"], text);
    }
    let start = Instant::now();
    server.begin_stop();
    server.stopped().await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn sockets_that_ask_for_nothing_or_half_a_request_do_not_hold_it_up() {
    let mut server = Server::with(|setup| {
        setup.grace(Duration::from_secs(60)).handshake_timeout(Duration::from_secs(2));
    })
    .await;
    let mut sockets = Vec::new();
    let token = server.rest().token("/api/hubs/chat/:send").sign();
    let half_body = format!(
        "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhe",
        server.address()
    );
    for beginning in ["", "GET /client/hubs/chat HTTP/1.1\r\nHo", "POST /api HTTP/1.1\r\n", &half_body] {
        let mut socket = server.raw().await;
        socket.write(beginning.as_bytes()).await;
        sockets.push(socket);
    }
    let mut idle = server.raw().await;
    idle.write(format!("HEAD /api/health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()).as_bytes()).await;
    assert_eq!(idle.read_response().await.status, 200);
    let start = Instant::now();
    server.begin_stop();
    server.stopped().await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_reader_of_the_trace_is_let_go_and_does_not_hold_it_up() {
    let mut server = Server::with(|setup| {
        setup.config.playground = true;
        setup.grace(Duration::from_secs(60)).handshake_timeout(Duration::from_secs(30));
    })
    .await;
    let token = server.rest().token("/playground/trace").sign();
    let mut reader = server.raw().await;
    let head = format!(
        "GET /playground/trace HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
        server.address()
    );
    reader.write(head.as_bytes()).await;
    assert_eq!(reader.read_response().await.status, 200);
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let start = Instant::now();
    server.begin_stop();
    client.expect_close(1001, "").await;
    // The end of the stream is told, as the last chunk.
    while reader.fill().await {}
    assert!(reader.buffer.ends_with(b"\r\n0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&reader.buffer));
    server.stopped().await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_whose_request_becomes_whole_after_the_stop_is_sent_elsewhere() {
    let mut server = Server::with(one_worker).await;
    // Holds the node while the late client completes its request.
    let _silent = server.raw_upgraded("chat", &ClientSpec::json()).await;
    let mut late = server.raw().await;
    let path = ClientSpec::json().path(&server, "chat");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        server.address()
    );
    late.write(head.as_bytes()).await;
    // An answer on a later socket of the same worker shows that it has read what was sent before.
    assert_eq!(server.rest().head("/api/health").send().await.status, 200);
    server.begin_stop();
    within_deadline("the listener's end", async {
        while TcpStream::connect(server.address()).await.is_ok() {}
    })
    .await;
    late.write(b"\r\n").await;
    let response = late.read_response().await;
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some());
    server.stopped().await;
}

#[tokio::test]
async fn a_node_stops_in_the_middle_of_traffic() {
    let mut server = Server::start().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(server.connect("chat", ClientSpec::member().group("g")).await);
    }
    for client in &mut clients {
        for n in 0..200 {
            client.publish("g", &n.to_string()).await;
        }
    }
    server.begin_stop();
    for client in &mut clients {
        let received = client.drain().await;
        assert_eq!(received.last(), Some(&Received::Close(1001, String::new())));
    }
    server.stopped().await;
}
