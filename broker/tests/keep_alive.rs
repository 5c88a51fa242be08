//! Black-box test of the pings by which the broker finds out who is gone. Source: `limits.md` 4 and
//! `client-protocols.md` 4.1. It takes real time, for the sockets are real; hence it is one test.
#![allow(clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::time::{Duration, Instant};

use support::{ClientSpec, Frame, Opcode, RawSocket, Server};

/// The interval under test, and how long silence may last: two intervals and ten seconds.
const INTERVAL: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(12);
/// How much later than due something may come, on a busy machine and by a clock of whole seconds.
const SLACK: Duration = Duration::from_millis(2500);
const LIMIT: Duration = Duration::from_secs(30);

async fn socket(server: &Server, hub: &str) -> RawSocket {
    // Publishing to a group without members: heard by the broker, answered by nothing.
    let spec = ClientSpec::publisher("nobody").role("webpubsub.sendToGroup");
    server.raw_upgraded(hub, &spec).await
}

/// The next frame, or nothing if the socket ends, without the usual deadline.
async fn next_frame(socket: &mut RawSocket) -> Option<Frame> {
    use tokio::io::AsyncReadExt;
    let mut chunk = [0; 1024];
    loop {
        if let Some((frame, length)) = Frame::parse(&socket.buffer) {
            socket.buffer.drain(..length);
            return Some(frame);
        }
        match tokio::time::timeout(LIMIT, socket.stream.read(&mut chunk)).await.expect("nothing came") {
            Ok(count) if count > 0 => socket.buffer.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    }
}

/// Connects and answers nothing; returns the times of the pings and of the end, counted from before it was connected.
async fn be_silent(connect: impl Future<Output = RawSocket>) -> (Vec<Duration>, Duration) {
    let start = Instant::now();
    let mut socket = connect.await;
    let mut pings = Vec::new();
    while let Some(frame) = next_frame(&mut socket).await {
        assert_eq!(frame.opcode, Opcode::PING, "the end comes without a close frame");
        pings.push(start.elapsed());
    }
    (pings, start.elapsed())
}

/// Answers every ping with `answer` until the time is up; returns the times of the pings.
async fn answer(mut socket: RawSocket, answer: Frame, until: Instant) -> Vec<Duration> {
    let start = Instant::now();
    let mut pings = Vec::new();
    while Instant::now() < until {
        let frame = next_frame(&mut socket).await.expect("a client that can be heard is kept");
        assert_eq!(frame.opcode, Opcode::PING);
        pings.push(start.elapsed());
        socket.send(&answer).await;
    }
    socket.send(&Frame::close(1000, "")).await;
    pings
}

fn assert_every_interval(pings: &[Duration]) {
    let mut last = Duration::ZERO;
    for ping in pings {
        let gap = *ping - last;
        assert!(gap < INTERVAL + SLACK, "{pings:?}");
        last = *ping;
    }
}

#[tokio::test]
async fn clients_are_pinged_and_those_that_stay_silent_are_dropped() {
    let server = Server::with(|setup| {
        setup.keep_alive("quick", INTERVAL);
    })
    .await;
    let until = Instant::now() + SILENCE + SLACK + INTERVAL;
    let mut elsewhere = socket(&server, "slow").await;
    let (silent, ponging, talking) = tokio::join!(
        be_silent(socket(&server, "quick")),
        answer(socket(&server, "quick").await, Frame::pong(""), until),
        answer(socket(&server, "quick").await, Frame::text("I am here"), until),
    );
    let (pings, end) = silent;
    assert!(!pings.is_empty(), "a silent client is pinged before it is dropped");
    assert!(
        end + INTERVAL >= SILENCE && end <= SILENCE + SLACK,
        "the silent client was dropped after {end:?}"
    );
    for pings in [ponging, talking] {
        assert!(pings.len() >= 8, "{pings:?}");
        assert_every_interval(&pings);
    }
    // A hub without settings pings every twenty seconds, so this one has heard nothing yet.
    elsewhere.send(&Frame::ping("first")).await;
    assert_eq!(elsewhere.read_frame().await.opcode, Opcode::PONG);
}
