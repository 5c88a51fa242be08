//! The program as it is run: against its own limit servers, which are the cheapest server that speaks its language.
#![allow(clippy::unwrap_used, reason = "helpers of tests take the short way too")]

use std::io::{BufRead, BufReader};
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
    for wanted in ["publishes", "deliveries", "delivery ratio", "RSS bytes per connection", "latency p99 ms"]
    {
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

/// A limit server that ends with the test.
struct LimitServer {
    child: Child,
    connection_string: String,
}

impl LimitServer {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        command.args(["limit-server", "--kind", "coalescing"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let connection_string = line.split_once(':').unwrap().1.trim().to_owned();
        Self { child, connection_string }
    }
}

impl Drop for LimitServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn messages_with_the_wrong_number_fail_the_run() {
    // The limit server sends the same number again and again, which a broker must not.
    let server = LimitServer::start();
    let pid = server.child.id().to_string();
    let target = ["--connection-string", &server.connection_string, "--server-pid", &pid, "--without-limits"];
    let shape =
        ["fanout", "--members", "5", "--rate", "20", "--seconds", "1", "--runs", "1", "--phases", "paced"];
    let output = loadtest(&[&shape[..], &target].concat());
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(table.contains("WRONG: server, paced: 95 deliveries did not follow the one before"), "{table}");
}

#[test]
fn a_command_that_is_no_server_is_named() {
    let output = loadtest(&["smoke", "--server-command", "true", "--without-limits"]);
    assert_eq!(output.status.code(), Some(1));
    let log = text(&output.stderr);
    assert!(log.contains("`true` printed no line \"Connection string: ...\""), "{log}");
}
