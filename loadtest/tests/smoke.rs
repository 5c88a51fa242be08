//! The program as it is run: against its own limit servers, which are the cheapest server that speaks its language.
#![allow(clippy::unwrap_used, reason = "helpers of tests take the short way too")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

fn loadtest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_short_form_passes_and_names_the_three_numbers() {
    let output = loadtest(&["smoke", "--limits", "coalescing"]);
    let (table, log) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{table}{log}");
    let numbers =
        ["publishes", "deliveries", "delivery ratio", "RSS bytes per connection", "latency p99 ms", "echoes"];
    for wanted in numbers {
        assert!(table.contains(wanted), "{wanted}: {table}");
    }
    assert!(!table.contains("WRONG"), "{table}");
}

#[test]
fn the_report_is_written_as_json() {
    let file = std::env::temp_dir().join(format!("loadtest-{}.json", std::process::id()));
    let path = file.to_str().unwrap();
    let shape = ["--members", "20", "--rate", "100", "--seconds", "1", "--threads", "2"];
    let output = loadtest(&[&["fanout", "--runs", "2", "--json", path][..], &shape].concat());
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(report["runs"].as_array().unwrap().len(), 2);
    let paced = &report["runs"][0]["subjects"][0]["phases"][0];
    assert_eq!(paced["figures"]["publishes"], 100.0);
    assert_eq!(paced["figures"]["deliveries"], 2_000.0);
    assert_eq!(paced["figures"]["delivery_ratio"], 1.0);
    assert_eq!(report["medians"][1]["phase"], "saturation");
}

/// One of the program's own servers, which ends with the test.
struct Started {
    child: Child,
    /// What it says of itself, behind the first colon.
    text: String,
}

impl Started {
    fn new(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let text = line.split_once(':').unwrap().1.trim().to_owned();
        Self { child, text }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn messages_with_the_wrong_number_fail_the_run() {
    // The limit server sends the same number again and again, which a broker must not.
    let server = Started::new(&["limit-server", "--kind", "coalescing"]);
    let pid = server.child.id().to_string();
    let target = ["--connection-string", &server.text, "--server-pid", &pid, "--without-limits"];
    let shape =
        ["fanout", "--members", "5", "--rate", "20", "--seconds", "1", "--runs", "1", "--phases", "paced"];
    let output = loadtest(&[&shape[..], &target].concat());
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(table.contains("WRONG: server, paced: 95 deliveries did not follow the one before"), "{table}");
}

/// Sends a request on a connection of its own and reads until the handler ends that.
fn ask(handler: &Started, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(handler.text.trim_start_matches("http://")).unwrap();
    let length = body.len();
    let request = format!("{head}\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.to_ascii_lowercase()
}

#[test]
fn the_handler_is_valid_and_echoes_text_with_its_type() {
    let handler = Started::new(&["handler"]);
    let valid = ask(&handler, "OPTIONS /a/validate HTTP/1.1\r\nWebHook-Request-Origin: b", "");
    assert!(valid.starts_with("http/1.1 200") && valid.contains("webhook-allowed-origin: *"), "{valid}");
    let echo = ask(&handler, "POST /a/b HTTP/1.1\r\nContent-Type: text/x-test", "words");
    assert!(echo.contains("content-type: text/x-test") && echo.ends_with("\r\n\r\nwords"), "{echo}");
}

#[test]
fn echoes_are_measured_beside_nothing_when_there_is_no_server() {
    let shape = ["echo", "--clients", "3", "--seconds", "1", "--runs", "1", "--http-versions", "http2"];
    let output = loadtest(&[&shape[..], &["--phases", "open", "--rate", "100"]].concat());
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}{}", text(&output.stderr));
    let line = table.lines().find(|line| line.starts_with("echoes ") && line.ends_with(" 100"));
    assert!(line.is_some() && table.contains("HTTP/2, open loop"), "{table}");
    let nobody = loadtest(&["echo", "--without-limits"]);
    assert!(text(&nobody.stderr).contains("nothing to measure"));
}

#[test]
fn programs_of_a_cluster_that_do_not_start_are_named() {
    let absent = loadtest(&["nodes", "--redis-server", "no-such-redis"]);
    assert_eq!(absent.status.code(), Some(1));
    let log = text(&absent.stderr);
    assert!(log.contains("cannot start `no-such-redis`"), "{log}");
    let silent = loadtest(&["nodes", "--redis-server", "true"]);
    assert_eq!(silent.status.code(), Some(1));
    let log = text(&silent.stderr);
    assert!(log.contains("`true` printed no line \"Ready to accept connections ...\""), "{log}");
}

#[test]
fn a_command_that_is_no_server_is_named() {
    let output = loadtest(&["smoke", "--server-command", "true", "--without-limits"]);
    assert_eq!(output.status.code(), Some(1));
    let log = text(&output.stderr);
    assert!(log.contains("`true` printed no line \"Connection string: ...\""), "{log}");
}
