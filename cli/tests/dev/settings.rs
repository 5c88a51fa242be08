//! The hubs file of a running `hubbub dev`: what a change of it does, and what a bad change does not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Running, Scratch, hubbub};

/// Longest wait for what must happen.
const DEADLINE: Duration = Duration::from_secs(15);

const CHAT_OPEN: &str = "hubs:\n  chat:\n    anonymousConnectPolicy: allow\n";
const LOBBY_OPEN: &str = "hubs:\n  lobby:\n    anonymousConnectPolicy: allow\n";

struct Node {
    running: Running,
    http: u16,
    operations: u16,
}

impl Node {
    fn start(scratch: &Scratch, hubs: &str, more: &[&str]) -> Self {
        let mut arguments = vec![
            "dev",
            "--listen",
            "127.0.0.1:0",
            "--tls-listen",
            "off",
            "--operations-listen",
            "127.0.0.1:0",
        ];
        arguments.extend(["--hubs", hubs]);
        arguments.extend(more);
        let running = Running::start(hubbub(scratch, &arguments));
        let port = |label: &str| {
            let shown = running.shown(label).unwrap().split([';', ' ']).next().unwrap().trim_end_matches('/');
            shown.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap()
        };
        let (http, operations) = (port("Connection string:"), port("Operations:"));
        Self { running, http, operations }
    }

    /// Status of a client without a token, and its socket.
    fn connect(&self, hub: &str) -> (u16, BufReader<TcpStream>) {
        let mut socket = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(
            socket,
            "GET /client/hubs/{hub} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.http
        )
        .unwrap();
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        (status, reader)
    }

    fn status(&self, hub: &str) -> u16 {
        self.connect(hub).0
    }

    fn metric(&self, series: &str) -> f64 {
        let mut socket = TcpStream::connect(("127.0.0.1", self.operations)).unwrap();
        write!(socket, "GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        socket.read_to_string(&mut page).unwrap();
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).unwrap();
        value.parse().unwrap()
    }

    fn reloads(&self, outcome: &str) -> f64 {
        self.metric(&format!("hubbub_settings_reloads_total{{outcome=\"{outcome}\"}}"))
    }

    fn is_good(&self) -> bool {
        self.metric("hubbub_settings_last_reload_success") == 1.0
    }

    /// Ends it in order; gives its log.
    fn log(self) -> String {
        self.running.signal("TERM");
        let (code, log) = self.running.wait();
        assert_eq!(code, Some(0), "{log}");
        log
    }
}

fn eventually(what: &str, happened: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !happened() {
        assert!(Instant::now() < end, "{what} did not happen within {DEADLINE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Puts a new file in the place of the old one, as tools that write files do.
fn replace(scratch: &Scratch, path: &str, text: &str) {
    let new = scratch.file("new.yaml", text);
    fs::rename(new, path).unwrap();
}

#[test]
fn a_change_takes_effect_for_the_next_client_and_closes_nobody() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", LOBBY_OPEN);
    let node = Node::start(&scratch, &hubs, &[]);
    assert_eq!((node.status("chat"), node.reloads("applied")), (401, 0.0));
    let (status, mut early) = node.connect("lobby");
    assert_eq!(status, 101);

    replace(&scratch, &hubs, CHAT_OPEN);
    eventually("the change", || node.status("chat") == 101);
    assert_eq!(node.status("lobby"), 401);
    assert_eq!((node.reloads("applied"), node.reloads("refused")), (1.0, 0.0));

    // A ping without content, and its pong.
    early.get_mut().write_all(&[0x89, 0x80, 1, 2, 3, 4]).unwrap();
    let mut pong = [0; 2];
    early.read_exact(&mut pong).unwrap();
    assert_eq!(pong, [0x8a, 0]);
    let log = node.log();
    assert!(log.contains("changed hub settings are applied"), "{log}");
}

#[test]
fn links_are_followed_to_another_file() {
    let scratch = Scratch::new();
    let (old, new) = (scratch.file("old.yaml", LOBBY_OPEN), scratch.file("other.yaml", CHAT_OPEN));
    let link = scratch.path().join("hubs.yaml");
    std::os::unix::fs::symlink(old, &link).unwrap();
    let node = Node::start(&scratch, link.to_str().unwrap(), &[]);
    let swapped = scratch.path().join("swap");
    std::os::unix::fs::symlink(new, &swapped).unwrap();
    fs::rename(swapped, link).unwrap();
    eventually("the change", || node.status("chat") == 101);
}

#[test]
fn a_bad_change_is_told_once_by_line_and_the_last_good_settings_stay() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", CHAT_OPEN);
    let node = Node::start(&scratch, &hubs, &[]);
    assert!(node.is_good());

    replace(&scratch, &hubs, "hubs:\n  chat:\n    anonymousConnectPolicy: maybe\n  b:\n    retries: 3\n");
    eventually("the refusal", || !node.is_good());
    assert_eq!(node.status("chat"), 101);
    fs::remove_file(&hubs).unwrap();
    eventually("the second refusal", || node.reloads("refused") == 2.0);
    assert_eq!(node.status("chat"), 101);
    replace(&scratch, &hubs, CHAT_OPEN);
    eventually("the recovery", || node.is_good());
    assert_eq!((node.reloads("applied"), node.reloads("refused")), (1.0, 2.0));

    let log = node.log();
    let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 3, "{log}");
    for (error, part) in errors.iter().zip([
        format!("{hubs}:3: anonymousConnectPolicy is allow or deny, not \"maybe\"; the last good"),
        format!("{hubs}:5: unknown key \"retries\" in hub \"b\""),
        format!("{hubs}: cannot read the hub settings: "),
    ]) {
        assert!(error.contains(&part), "{part} is not in\n{log}");
    }
    assert!(log.contains("the hub settings are good again"), "{log}");
}

#[test]
fn an_emptied_file_is_one_that_is_being_written() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", CHAT_OPEN);
    let node = Node::start(&scratch, &hubs, &[]);
    fs::write(&hubs, "\n").unwrap();
    eventually("the refusal", || !node.is_good());
    assert_eq!(node.status("chat"), 101);
    fs::write(&hubs, "hubs: {}\n").unwrap();
    eventually("the change", || node.status("chat") == 401);
    assert!(node.is_good());
    let log = node.log();
    assert!(log.contains(&format!("{hubs}: the file is empty; write \"hubs: {{}}\"")), "{log}");
}

#[test]
fn a_hangup_has_the_file_read_at_once() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", CHAT_OPEN);
    let node = Node::start(&scratch, &hubs, &[]);
    node.running.signal("HUP");
    eventually("the reading", || node.reloads("applied") == 1.0);
    assert_eq!(node.status("chat"), 101);
    let log = node.log();
    assert!(log.contains("the hub settings were read and have not changed"), "{log}");
}

#[test]
fn a_secret_in_a_file_of_its_own_is_followed_too() {
    let scratch = Scratch::new();
    let key = scratch.file("key", "the-first-secret");
    let handler = format!(
        "hubs: {{a: {{eventHandlers: [{{urlTemplate: http://127.0.0.1:9/, systemEvents: [connected], auth: {{type: \
         Header, header: {{name: x-api-key, valueFile: {key}}}}}}}]}}}}\n"
    );
    let hubs = scratch.file("hubs.yaml", &handler);
    let node = Node::start(&scratch, &hubs, &[]);
    fs::write(&key, "the-second-secret").unwrap();
    eventually("the change", || node.reloads("applied") == 1.0);
    fs::remove_file(&key).unwrap();
    eventually("the refusal", || node.reloads("refused") == 1.0);
    let log = node.log();
    assert!(log.contains(&format!("{hubs}:1: valueFile: cannot read {key}")), "{log}");
    assert!(!log.contains("-secret"), "{log}");
}

#[test]
fn what_the_command_line_gave_stays_and_the_file_must_not_name_its_hub() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", "hubs: {}\n");
    let handler = "hub=room url-template=http://127.0.0.1:9/{event} system-event=connected";
    let node = Node::start(&scratch, &hubs, &["--event-handler", handler]);
    replace(&scratch, &hubs, "hubs:\n  room:\n    anonymousConnectPolicy: allow\n");
    eventually("the refusal", || !node.is_good());
    assert_eq!(node.status("room"), 401);
    let log = node.log();
    assert!(
        log.contains(&format!("{hubs}:2: hub \"room\" has event handlers from the command line")),
        "{log}"
    );
}
