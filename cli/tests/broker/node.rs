//! `hubbub broker` from its start to its end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::Broker;
use crate::support::{Scratch, hubbub, output, stderr};

const KEY: &str = "a-key-of-thirty-two-characters-or-more";

fn exchange(broker: &Broker, request: &str) -> (String, TcpStream) {
    let mut socket = TcpStream::connect(broker.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (String::from_utf8(head).unwrap(), socket)
}

fn get(broker: &Broker, path: &str) -> String {
    exchange(broker, &format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n")).0
}

#[test]
fn it_serves_with_a_key_from_a_file_and_says_where() {
    let scratch = Scratch::new();
    let key = scratch.file("key", &format!("{KEY}\n"));
    let broker = Broker::start(&["--access-key-file", &key, "--node-id", "pod-7"]);
    assert!(get(&broker, "/api/health").starts_with("HTTP/1.1 200 "));
    assert!(broker.page("/metrics").unwrap().contains("\n# TYPE hubbub_connect_total counter\n"));
    assert!(get(&broker, "/").starts_with("HTTP/1.1 404 "), "there is no playground");
    let log = broker.log();
    assert!(log.contains("\"node\":\"pod-7\""), "{log}");
    assert!(!log.contains(KEY), "{log}");
}

#[test]
fn a_signal_sends_clients_away_and_ends_it_well() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", "hubs: {chat: {anonymousConnectPolicy: allow}}\n");
    let mut broker = Broker::start(&["--access-key", KEY, "--hubs", &hubs]);
    let upgrade = "GET /client/hubs/chat HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let (head, mut client) = exchange(&broker, upgrade);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    broker.terminate();
    let mut close = [0; 4];
    client.read_exact(&mut close).unwrap();
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1001));
    drop(client);
    assert_eq!(broker.wait().code(), Some(0));
}

#[test]
fn it_needs_no_home() {
    // The harness gives it no environment at all, so that it could keep nothing if it wanted to.
    let mut broker = Broker::start(&["--access-key", KEY]);
    broker.terminate();
    assert_eq!(broker.wait().code(), Some(0));
}

#[test]
fn a_port_in_use_is_said_with_the_flag_to_change() {
    let scratch = Scratch::new();
    let broker = Broker::start(&["--access-key", KEY]);
    let address = broker.address().to_string();
    let arguments =
        ["broker", "--listen", "127.0.0.1:0", "--operations-listen", &address, "--access-key", KEY];
    let output = output(hubbub(&scratch, &arguments));
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(
        told.contains(&address) && told.ends_with("choose another address with --operations-listen\n"),
        "{told}"
    );
}
