//! Black-box tests of input that no honest client sends: the broker answers or hangs up, goes on serving the others,
//! does not panic and does not grow.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use support::{Client, ClientSpec, Frame, Opcode, RawSocket, Server};

const INVALID_JSON: &str = "The client message is not a valid JSON protocol message.";

/// The memory of the process is looked at, so one test runs at a time.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A broker that loses patience with half a request quickly.
async fn server() -> Server {
    Server::with(|setup| {
        setup.handshake_timeout(Duration::from_secs(1));
    })
    .await
}

/// The broker still serves those who behave, and nothing in it has panicked.
async fn assert_unharmed(server: Server, mut witness: Client) {
    witness.publish("g", "still here").await;
    assert_eq!(witness.next_json().await["data"], "still here");
    let mut newcomer = server.connect("chat", ClientSpec::json()).await;
    server.rest().post("/api/hubs/chat/:send").text("to all").expect(202).await;
    assert_eq!(newcomer.next_json().await["data"], "to all");
    drop((newcomer, witness));
    server.stop().await;
}

async fn witness(server: &Server) -> Client {
    server.connect("chat", ClientSpec::member().group("g")).await
}

/// Reads all that comes until the broker hangs up.
async fn read_to_end(socket: &mut RawSocket) -> String {
    while socket.fill().await {}
    String::from_utf8_lossy(&socket.buffer).into_owned()
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

#[tokio::test]
async fn bytes_that_are_no_http_are_answered_with_400_or_hung_up_on() {
    let _turn = TURN.lock().await;
    let server = server().await;
    let witness = witness(&server).await;
    let zeros = [0; 4096];
    let noise: Vec<u8> = (0..10_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let long_line = vec![b'a'; 2 << 20];
    let inputs: [&[u8]; 12] = [
        b"\r\n\r\n\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        b"GET /client/hubs/chat HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /client/hubs/chat HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET /client/hubs/chat HTTP/1.1\r\nHost: x\r\nBad\x00Name: x\r\n\r\n",
        &zeros,
        &noise,
        &long_line,
    ];
    for input in inputs {
        let mut socket = server.raw().await;
        socket.write(input).await;
        let answer = read_to_end(&mut socket).await;
        assert!(!answer.contains("HTTP/1.1 101") && !answer.contains("HTTP/1.1 2"), "{answer}");
    }
    assert_unharmed(server, witness).await;
}

#[tokio::test]
async fn requests_with_contradictions_are_refused() {
    let _turn = TURN.lock().await;
    let server = server().await;
    let witness = witness(&server).await;
    let token = server.rest().token("/api/hubs/chat/:send").sign();
    let cases = [
        ("two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhey"),
        ("a negative length", "Content-Length: -1\r\n\r\n"),
        ("a length beyond all numbers", "Content-Length: 99999999999999999999\r\n\r\n"),
        ("length and chunks", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("an unknown encoding", "Transfer-Encoding: gzip\r\n\r\nx"),
        ("a chunk without a number", "Transfer-Encoding: chunked\r\n\r\nzz\r\nhey\r\n0\r\n\r\n"),
        ("a chunk beyond all numbers", "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nhey\r\n"),
    ];
    for (case, rest) in cases {
        let mut socket = server.raw().await;
        let request = format!(
            "POST /api/hubs/chat/:send HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\n{rest}",
            server.address()
        );
        socket.write(request.as_bytes()).await;
        let answer = read_to_end(&mut socket).await;
        // Length and chunks together may also be read as chunks, which is what RFC 9112 asks for.
        let is_refused = !answer.contains("HTTP/1.1 2") || case == "length and chunks";
        assert!(is_refused, "{case}: {answer}");
    }
    drop(witness);
    server.stop().await;
}

#[tokio::test]
async fn half_requests_are_hung_up_on() {
    let _turn = TURN.lock().await;
    let server = server().await;
    let witness = witness(&server).await;
    let head = "GET /client/hubs/chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n";
    let sockets = join_all((0..50).map(|n| {
        let server = &server;
        async move {
            let mut socket = server.raw().await;
            socket.write(&head.as_bytes()[..(n * 2).min(head.len())]).await;
            socket
        }
    }))
    .await;
    join_all(sockets.into_iter().map(|mut socket| async move { read_to_end(&mut socket).await })).await;
    assert_unharmed(server, witness).await;
}

#[tokio::test]
async fn lengths_that_nobody_can_have_are_refused_before_any_content() {
    let _turn = TURN.lock().await;
    let server = server().await;
    let witness = witness(&server).await;
    for opcode in [Opcode::TEXT, Opcode::BINARY] {
        for length in [(1 << 20) + 1, 1 << 32, 1 << 62, 1 << 63, u64::MAX] {
            let spec = ClientSpec::publisher("g").role("webpubsub.sendToGroup");
            let mut socket = server.raw_upgraded("chat", &spec).await;
            socket.write(&Frame::new(opcode, "").header(length)).await;
            let frame = socket.read_frame().await;
            let code = u16::from_be_bytes([frame.content[0], frame.content[1]]);
            assert_eq!(frame.opcode, Opcode::CLOSE);
            // RFC 6455 wants the highest bit of a length to be zero.
            assert!(code == 1009 || (length >= 1 << 63 && code == 1002), "{length}: {code}");
        }
    }
    assert_unharmed(server, witness).await;
}

#[tokio::test]
async fn many_half_messages_cost_no_more_than_was_sent() {
    let _turn = TURN.lock().await;
    const SOCKETS: usize = 300;
    const SENT: usize = 8 << 10;
    let server = server().await;
    let witness = witness(&server).await;
    let spec = ClientSpec::publisher("g").role("webpubsub.sendToGroup");
    let mut sockets = join_all((0..SOCKETS).map(|_| server.raw_upgraded("chat", &spec))).await;
    let before = resident();
    let mut bytes = Frame::binary("").header(1 << 20);
    bytes.resize(SENT, 7);
    for socket in &mut sockets {
        socket.send(&Frame::ping("p")).await;
        socket.write(&bytes).await;
    }
    for socket in &mut sockets {
        assert_eq!(socket.read_frame().await.opcode, Opcode::PONG);
    }
    assert_unharmed(server, witness).await;
    let growth = resident().saturating_sub(before);
    assert!(growth < 8 * SOCKETS * SENT, "{growth} bytes for {} that were sent", SOCKETS * SENT);
}

#[tokio::test]
async fn a_million_empty_fragments_cost_nothing() {
    let _turn = TURN.lock().await;
    let server = server().await;
    let witness = witness(&server).await;
    let spec = ClientSpec::publisher("g").role("webpubsub.sendToGroup");
    let mut socket = server.raw_upgraded("chat", &spec).await;
    socket.send(&Frame::text("").not_final()).await;
    let before = resident();
    let fragments = Frame::new(Opcode::CONTINUATION, "").not_final().bytes().repeat(10_000);
    for _ in 0..100 {
        socket.write(&fragments).await;
    }
    socket.send(&Frame::ping("p")).await;
    assert_eq!(socket.read_frame().await.opcode, Opcode::PONG);
    let growth = resident().saturating_sub(before);
    assert!(growth < 16 << 20, "{growth} bytes");
    assert_unharmed(server, witness).await;
}

#[tokio::test]
async fn json_that_is_made_to_hurt_is_refused_or_taken_quickly() {
    let _turn = TURN.lock().await;
    let server = server().await;
    let witness = witness(&server).await;
    let send = |data: &str| format!(r#"{{"type":"sendToGroup","group":"void","data":{data}}}"#);
    let big = 900_000;
    let refused = [
        send(&"[".repeat(big)),
        send(&"{\"a\":".repeat(big / 5)),
        "[".repeat(big),
        send(&format!("\"{}", "a".repeat(big))),
        send(&format!("\"{}\"", "\\u00".repeat(big / 4))),
        format!(r#"{{"type":"joinGroup","group":"{}"}}"#, "g".repeat(big)),
        format!(r#"{{"type":"joinGroup","group":"g","ackId":{}}}"#, "9".repeat(big)),
        format!(r#"{{"type":"{}"}}"#, "p".repeat(big)),
        format!(
            r#"{{"type":"sendToGroup","group":"g","dataType":"binary","data":"{}"}}"#,
            "A".repeat(big + 1)
        ),
        format!(
            r#"{{"type":"sendToGroup","group":"g","data":1,"metadata":{{{}}}}}"#,
            (0..60_000).map(|n| format!("\"k{n}\":\"\"")).collect::<Vec<_>>().join(",")
        ),
    ];
    for text in refused {
        let mut client = server.connect("chat", ClientSpec::member()).await;
        client.send_text(&text).await;
        client.expect_close(1007, INVALID_JSON).await;
    }
    let taken = [
        send(&"9".repeat(big)),
        send(&format!("1e{}", "9".repeat(1000))),
        send(&format!("[{}]", vec!["{}"; big / 3].join(","))),
        send(&format!("\"{}\"", "\\n".repeat(big / 2))),
        format!(
            r#"{{{}"type":"sendToGroup","group":"void","data":1}}"#,
            (0..50_000).map(|n| format!("\"k{n}\":[],")).collect::<String>()
        ),
    ];
    let mut client = server.connect("chat", ClientSpec::member()).await;
    for text in taken {
        client.send_text(&text).await;
        client.expect_nothing_before_pong().await;
    }
    assert_unharmed(server, witness).await;
}

#[tokio::test]
async fn paths_that_are_made_to_hurt_are_answered() {
    let _turn = TURN.lock().await;
    let server = server().await;
    let witness = witness(&server).await;
    let long = format!("/api/hubs/{}/:send", "a".repeat(5_000));
    let paths = [
        "/client/hubs/%zz",
        "/client/hubs/%",
        "/client/hubs/%00",
        "/client/hubs/..%2F..%2Fetc",
        "/client/hubs/chat?access_token=%ff%fe",
        "/client/hubs/chat?&&&===%",
        "/api/hubs/%ff/:send",
        "/api/hubs/chat/groups/%ff/:send",
        "/api/hubs/chat/groups/%zz",
        "/api/hubs/chat/users/%00",
        "/api/../client/hubs/chat",
        "//api//hubs",
        "/api/hubs/chat/:send?excluded=%ff&filter=%ff",
        "*",
        &long,
    ];
    for path in paths {
        for method in ["GET", "POST", "HEAD", "OPTIONS", "TRACE", "FOO"] {
            let mut socket = server.raw().await;
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                server.address()
            );
            socket.write(head.as_bytes()).await;
            let answer = read_to_end(&mut socket).await;
            let status: u16 = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
            let is_refused = (400..500).contains(&status) || method == "OPTIONS" && status / 100 == 2;
            assert!(is_refused, "{method} {path}: {answer}");
        }
    }
    assert_unharmed(server, witness).await;
}

#[tokio::test]
async fn clients_that_come_and_vanish_leave_nothing_behind() {
    let _turn = TURN.lock().await;
    let server = server().await;
    let mut witness = witness(&server).await;
    let churn = || async {
        for round in 0..20 {
            let spec = ClientSpec::member().group("g").user("eve").group(&format!("own-{round}"));
            let mut sockets = join_all((0..20).map(|_| server.raw_upgraded("chat", &spec))).await;
            for (n, socket) in sockets.iter_mut().enumerate() {
                socket
                    .send(&Frame::text(
                        &json!({"type": "sendToGroup", "group": "void", "data": n}).to_string(),
                    ))
                    .await;
                if n % 2 == 0 {
                    // Hang up with a reset, in the middle of a frame.
                    socket.write(&Frame::text("abc").bytes()[..4]).await;
                    let _ = socket2::SockRef::from(&socket.stream).set_linger(Some(Duration::ZERO));
                }
            }
        }
        let gone =
            async { while server.rest().head("/api/hubs/chat/users/eve").send().await.status != 404 {} };
        support::within_deadline("the end of all of them", gone).await;
    };
    churn().await;
    let before = resident();
    churn().await;
    churn().await;
    let growth = resident().saturating_sub(before);
    assert!(growth < 16 << 20, "{growth} bytes for 800 connections that are gone");
    let head = server.rest().head("/api/hubs/chat/groups/own-0").send().await;
    assert_eq!(head.status, 404);
    witness.expect_nothing_before_pong().await;
    assert_unharmed(server, witness).await;
}
