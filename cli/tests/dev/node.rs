//! `hubbub dev` from its start to its end.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::support::{Running, Scratch, hubbub, output, stderr, stdout};

const FREE_PORTS: [&str; 7] =
    ["dev", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0"];

fn dev(scratch: &Scratch, more: &[&str]) -> Running {
    Running::start(hubbub(scratch, &[&FREE_PORTS[..], more].concat()))
}

fn port(text: &str) -> u16 {
    let digits = text.rsplit(':').next().unwrap_or_default();
    digits.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse().unwrap()
}

fn get(port: u16, path: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn it_says_what_an_application_needs_and_serves_it() {
    let scratch = Scratch::new();
    let running = dev(&scratch, &["--access-key", "a-key-of-thirty-two-characters-or-more"]);

    let http = running.shown("Connection string:").unwrap();
    let http_port = port(http.split(';').next().unwrap());
    assert_ne!(http_port, 0);
    let expected = format!(
        "Endpoint=http://127.0.0.1:{http_port};AccessKey=a-key-of-thirty-two-characters-or-more;Version=1.0;"
    );
    assert_eq!(http, expected);
    let https = running.shown("Connection string (TLS):").unwrap();
    assert!(https.starts_with("Endpoint=https://localhost:"), "{https}");
    let url = running.shown("Client URL (hub \"chat\"):").unwrap();
    let start = format!("ws://127.0.0.1:{http_port}/client/hubs/chat?access_token=");
    assert_eq!(url.strip_prefix(&start).map(|token| token.split('.').count()), Some(3), "{url}");
    let authority = running.shown("Certificate authority:").unwrap();
    assert_eq!(authority, scratch.path().join(".local/share/hubbub/ca.pem").to_str().unwrap());
    assert!(fs::read_to_string(authority).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));

    let operations = running.shown("Operations:").unwrap().split_whitespace().next().unwrap();
    assert!(get(port(operations), "/health/ready").starts_with("HTTP/1.1 200 "));
    assert!(get(port(operations), "/metrics").contains("\n# TYPE hubbub_connect_total counter\n"));
    TcpStream::connect(("127.0.0.1", http_port)).unwrap();
}

#[test]
fn the_playground_is_served_where_the_banner_says_unless_it_is_switched_off() {
    let scratch = Scratch::new();
    let running = dev(&scratch, &[]);
    let url = running.shown("Playground:").unwrap();
    let page = get(port(url.trim_end_matches('/')), "/");
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<title>Hubbub playground</title>"), "{page}");
    drop(running);

    let running = dev(&scratch, &["--playground=false"]);
    assert!(running.shown("Playground:").is_none());
    let http = running.shown("Connection string:").unwrap();
    assert!(get(port(http.split(';').next().unwrap()), "/").starts_with("HTTP/1.1 404 "));
}

#[test]
fn it_is_up_within_a_second_of_its_second_start() {
    let scratch = Scratch::new();
    drop(dev(&scratch, &[]));
    let took = dev(&scratch, &[]).took;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn what_it_made_is_kept_for_the_next_start() {
    let scratch = Scratch::new();
    let dir = scratch.path().join("data");
    let files = || {
        ["ca.pem", "ca.key", "server.pem", "server.key", "internal.key"]
            .map(|name| fs::read_to_string(dir.join(name)).unwrap())
    };
    drop(dev(&scratch, &["--data-dir", dir.to_str().unwrap()]));
    let first = files();
    drop(dev(&scratch, &["--data-dir", dir.to_str().unwrap()]));
    assert_eq!(files(), first);
}

#[test]
fn listeners_that_are_off_are_not_there() {
    let scratch = Scratch::new();
    let arguments = ["dev", "--listen", "127.0.0.1:0", "--tls-listen", "off", "--operations-listen", "off"];
    let running = Running::start(hubbub(&scratch, &arguments));
    let shown = |name: &str| running.banner.iter().any(|line| line.starts_with(name));
    assert!(shown("Playground:") && !shown("Operations:") && !shown("Connection string (TLS)"));
    assert!(!scratch.path().join(".local/share/hubbub/ca.pem").exists());
}

#[test]
fn a_port_in_use_is_said_with_the_flag_to_change() {
    let scratch = Scratch::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--tls-listen", "--operations-listen"] {
        let mut arguments = FREE_PORTS;
        let place = arguments.iter().position(|argument| *argument == flag).unwrap();
        arguments[place + 1] = &address;
        let output = output(hubbub(&scratch, &arguments));
        assert_eq!(output.status.code(), Some(1), "{flag}");
        let told = stderr(&output);
        let line = told.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(line.contains(&address) && line.ends_with(&format!("with {flag}")), "{told}");
        assert_eq!(stdout(&output), "", "{flag}");
    }
}

#[test]
fn a_data_directory_that_cannot_be_used_is_said() {
    let scratch = Scratch::new();
    let file = scratch.file("file", "");
    let output = output(hubbub(&scratch, &["dev", "--data-dir", &file]));
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.starts_with(&format!("error: cannot use the data directory {file}: ")), "{told}");
    assert!(told.ends_with("; choose another with --data-dir\n"), "{told}");
}

#[test]
fn the_public_key_on_an_open_address_is_warned_about() {
    let scratch = Scratch::new();
    let arguments = [
        "dev",
        "--listen",
        "0.0.0.0:0",
        "--tls-listen",
        "off",
        "--operations-listen",
        "off",
        "--log-format",
        "json",
    ];
    let running = Running::start(hubbub(&scratch, &arguments));
    assert!(running.shown("Connection string:").unwrap().starts_with("Endpoint=http://127.0.0.1:"));
    running.signal("TERM");
    let (_, log) = running.wait();
    assert!(log.contains("\"level\":\"WARN\"") && log.contains("public development key"), "{log}");
}

#[cfg(unix)]
#[test]
fn both_signals_end_it_in_order() {
    for signal in ["TERM", "INT"] {
        let scratch = Scratch::new();
        let running = dev(&scratch, &[]);
        running.signal(signal);
        let (code, log) = running.wait();
        assert_eq!(code, Some(0), "{log}");
    }
}
