//! One `hubbub broker` on free ports.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::eventually;
use super::process::Process;

/// What fakes the clock of a process: a part of the program `faketime`, found in the folder of this system's libraries.
const FAKE_CLOCK: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";
/// Longest wait for a page of the operations listener.
const PAGE: Duration = Duration::from_secs(5);

/// A running broker.
pub struct Broker {
    process: Process,
    address: SocketAddr,
    operations: SocketAddr,
}

impl Broker {
    /// Starts a broker with these flags and waits until it is ready.
    pub fn start(flags: &[&str]) -> Self {
        let broker = Self::launch(flags);
        eventually("a ready broker", || broker.is_ready().then_some(()));
        broker
    }

    /// Starts a broker whose clock is so many seconds ahead, or behind if it is negative, and waits until it is ready.
    pub fn start_ahead(seconds: i64, flags: &[&str]) -> Self {
        let mut command = hubbub();
        // Time passes as it does, and what is measured by it is not changed: only what time it is.
        command.env("LD_PRELOAD", FAKE_CLOCK).env("FAKETIME", format!("{seconds:+}s"));
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let broker = Self::run(command, flags);
        eventually("a ready broker", || broker.is_ready().then_some(()));
        broker
    }

    /// Starts a broker with these flags and waits until it knows its ports.
    pub fn launch(flags: &[&str]) -> Self {
        Self::run(hubbub(), flags)
    }

    fn run(mut command: Command, flags: &[&str]) -> Self {
        command.args(["broker", "--listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0"]);
        command.args(["--log-format", "json"]).args(flags);
        let mut process = Process::start(command);
        let [address, operations] = process.find("a broker that listens", |line| {
            let entry: Value = serde_json::from_str(line).ok()?;
            (entry["message"] == "listening").then_some(())?;
            Some(["listen", "operations"].map(|field| entry[field].as_str().unwrap().parse().unwrap()))
        });
        Self { process, address, operations }
    }

    /// Where clients and REST callers connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it says that it is ready. A broker that does not answer is not.
    pub fn is_ready(&self) -> bool {
        self.is_ready_within(PAGE)
    }

    /// The same, if it does not answer in this time.
    pub fn is_ready_within(&self, limit: Duration) -> bool {
        self.page_within("/health/ready", limit).is_some_and(|page| page.starts_with("HTTP/1.1 200 "))
    }

    /// Head and body of a page of the operations listener, if it is answered.
    pub fn page(&self, path: &str) -> Option<String> {
        self.page_within(path, PAGE)
    }

    fn page_within(&self, path: &str, limit: Duration) -> Option<String> {
        let mut socket = TcpStream::connect_timeout(&self.operations, limit).ok()?;
        socket.set_read_timeout(Some(limit)).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").ok()?;
        let mut page = String::new();
        socket.read_to_string(&mut page).ok()?;
        Some(page)
    }

    /// Sum of a metric over all its labels; 0 while there is none.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.page("/metrics").unwrap_or_default();
        let values = page.lines().filter_map(|line| line.strip_prefix(name));
        let values = values.filter(|rest| rest.starts_with(['{', ' ']));
        values.map(|rest| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Stops all its threads, as a stalled machine would.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on after a pause.
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Ends it without giving it a chance to say so.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to drain.
    pub fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }
}

/// The program, which sees nothing of the test's environment.
fn hubbub() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubbub"));
    command.env_clear();
    command
}
