//! One `redis-server` on a free port, with nothing kept on disk.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::eventually;
use super::process::Process;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_millis(500);

/// Ports that the system gives to nobody who asks for any port. It would give away others while Redis is not there.
const PORTS: Range<u16> = 20_000..32_000;

/// A running Redis.
pub struct Redis {
    process: Process,
    address: SocketAddr,
}

impl Redis {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        Self::start_at(eventually("a free port", || free(rand::random_range(PORTS))))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start_at(address: SocketAddr) -> Self {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--dir", env!("CARGO_TARGET_TMPDIR")]);
        let redis = Self { process: Process::start(command), address };
        eventually("an answer of Redis", || redis.ask("PING").filter(|answer| answer == "+PONG\r\n"));
        redis
    }

    /// The URL for brokers.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// The answer to a command without spaces in its words, if it comes at once. Short answers only.
    pub fn ask(&self, command: &str) -> Option<String> {
        let mut socket = TcpStream::connect_timeout(&self.address, ANSWER).ok()?;
        socket.set_read_timeout(Some(ANSWER)).unwrap();
        write!(socket, "{command}\r\n").ok()?;
        let mut answer = [0; 4096];
        let length = socket.read(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    /// Stops it without closing its connections.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on after a pause.
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on its port, empty.
    pub fn restart(&mut self) {
        self.process.kill();
        *self = Self::start_at(self.address);
    }
}

/// The address with this port, if nobody has it.
fn free(port: u16) -> Option<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?.local_addr().ok()
}
