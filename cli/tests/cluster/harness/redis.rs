//! One `redis-server` on a free port, with nothing kept on disk unless that is asked for.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
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
    /// Where it keeps what it has, if it does.
    folder: Option<PathBuf>,
}

impl Redis {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        Self::start_at(free_address(), None)
    }

    /// The same, but it has everything again when it is restarted: whatever it has answered is in a file by then.
    pub fn keeping() -> Self {
        let address = free_address();
        let name = format!("redis-{}-{}", std::process::id(), address.port());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Self::start_at(address, Some(folder))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start_at(address: SocketAddr, folder: Option<PathBuf>) -> Self {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", ""]);
        match &folder {
            // Otherwise it may answer before it writes, and lose that when it is killed.
            Some(folder) => {
                command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(folder)
            }
            None => command.args(["--appendonly", "no", "--dir", env!("CARGO_TARGET_TMPDIR")]),
        };
        let redis = Self { process: Process::start(command), address, folder };
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
        self.process.pause();
    }

    /// Lets it go on after a pause.
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on its port: empty, unless it keeps what it has.
    pub fn restart(&mut self) {
        self.process.kill();
        let folder = self.folder.take();
        *self = Self::start_at(self.address, folder);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn free_address() -> SocketAddr {
    eventually("a free port", || free(rand::random_range(PORTS)))
}

/// The address with this port, if nobody has it.
fn free(port: u16) -> Option<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?.local_addr().ok()
}
