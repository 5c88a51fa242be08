//! Several brokers and the Redis that links them, each a process of its own on free ports, with nothing kept on disk.
//!
//! `scenario` calls it. All of them have the same access key and workers; each broker is entered by its own address.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{START_DEADLINE, Server, ServerError, Started, behind, spawn_until};
use crate::access::Access;
use crate::arguments::ClusterArguments;
use crate::process::Process;

/// Key of these brokers, who live as long as a measurement and listen on the loopback only.
const ACCESS_KEY: &str = "this-key-guards-nothing-but-a-load-test";
/// What Redis says when it listens.
const REDIS_READY: &str = "Ready to accept connections";
/// What a broker says when it listens.
const LISTENING: &str = "listening";
/// How long a broker may take to answer whether it is ready, and Redis how much it has done.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);
/// Between two such questions.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// What a cluster is started from.
pub(crate) struct Programs<'a> {
    pub(crate) arguments: &'a ClusterArguments,
    /// Settings of hubs, if they have any.
    pub(crate) hubs: Option<&'a Path>,
}

/// Running brokers and their Redis. All of it ends when this is dropped, Redis last.
pub(crate) struct Cluster {
    /// In the order of their names.
    pub(crate) brokers: Vec<Server>,
    pub(crate) redis: Redis,
}

/// A running Redis.
pub(crate) struct Redis {
    /// What is measured.
    pub(crate) process: Process,
    address: SocketAddr,
    /// Only kept to end it.
    _started: Started,
}

/// A line of a broker's log, as far as it matters here.
#[derive(Deserialize)]
struct Entry {
    level: String,
    message: String,
    listen: Option<SocketAddr>,
    operations: Option<SocketAddr>,
}

/// Where a broker listens.
struct Addresses {
    clients: SocketAddr,
    operations: SocketAddr,
}

impl Cluster {
    /// Starts Redis and `count` brokers, and waits until each broker is ready.
    ///
    /// # Errors
    /// [`ServerError`] when one of them cannot be started, or does not get ready within 20 seconds.
    pub(crate) fn start(programs: &Programs<'_>, count: u8, hub: &str) -> Result<Self, ServerError> {
        let redis = Redis::start(&programs.arguments.redis_server)?;
        let url = format!("redis://{}", redis.address);
        let brokers = (1..=count).map(|number| start_broker(programs, number, &url, hub));
        Ok(Self { brokers: brokers.collect::<Result<_, _>>()?, redis })
    }
}

impl Redis {
    fn start(program: &Path) -> Result<Self, ServerError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ServerError::Port)?;
        let address = listener.local_addr().map_err(ServerError::Port)?;
        // Redis cannot choose a port itself.
        drop(listener);
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--save", "", "--appendonly", "no"]).arg("--dir").arg(std::env::temp_dir());
        let spawned =
            spawn_until(&mut command, &program.to_string_lossy(), REDIS_READY, behind(REDIS_READY))?;
        Ok(Self { process: spawned.process, address, _started: spawned.started })
    }

    /// How many messages it has taken since it started, from all brokers together.
    ///
    /// # Errors
    /// [`ServerError::Statistics`] when it does not answer.
    pub(crate) fn publishes(&self) -> Result<u64, ServerError> {
        let statistics = ask(self.address, "INFO commandstats\r\nQUIT\r\n");
        Ok(count_publishes(&statistics.map_err(ServerError::Statistics)?))
    }

    /// Bytes of what it keeps, without what it needs for connections and for itself.
    ///
    /// # Errors
    /// [`ServerError::Statistics`] when it does not say.
    pub(crate) fn bytes_kept(&self) -> Result<u64, ServerError> {
        let statistics = ask(self.address, "INFO memory\r\nQUIT\r\n").map_err(ServerError::Statistics)?;
        read_dataset(&statistics).ok_or_else(|| ServerError::Statistics(ErrorKind::InvalidData.into()))
    }
}

/// Reads how many bytes there are of data.
fn read_dataset(statistics: &str) -> Option<u64> {
    statistics.lines().find_map(|line| line.strip_prefix("used_memory_dataset:"))?.trim().parse().ok()
}

/// Reads how often the command was called. It is absent before the first time.
fn count_publishes(statistics: &str) -> u64 {
    let calls = statistics.lines().find_map(|line| line.strip_prefix("cmdstat_spublish:calls="));
    let digits = calls.and_then(|calls| calls.split(',').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

fn start_broker(programs: &Programs<'_>, number: u8, redis: &str, hub: &str) -> Result<Server, ServerError> {
    let ClusterArguments { hubbub, workers, .. } = programs.arguments;
    // The log goes to the standard error. With `exec` the shell becomes the broker, which is what is measured.
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$0" broker "$@" 2>&1"#]).arg(hubbub);
    command.args(["--listen", "127.0.0.1:0", "--operations-listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--log-level", "info"]);
    command.args(["--redis", redis, "--node-id", &format!("n{number}")]);
    command.args(["--workers", &workers.to_string()]).env("HUBBUB_ACCESS_KEY", ACCESS_KEY);
    if let Some(file) = programs.hubs {
        command.arg("--hubs").arg(file);
    }
    let shown = format!("{} broker", hubbub.display());
    let spawned = spawn_until(&mut command, &shown, LISTENING, read_log)?;
    let Addresses { clients, operations } = spawned.found;
    let deadline = Instant::now() + START_DEADLINE;
    while !is_ready(operations) {
        if Instant::now() > deadline {
            return Err(ServerError::NotReady { number });
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    let access = format!("Endpoint=http://{clients};AccessKey={ACCESS_KEY};Version=1.0;");
    let access = Access::new(&access, hub)?;
    Ok(Server { access, process: spawned.process, _started: Some(spawned.started) })
}

/// Finds where a broker listens, and repeats what it says beyond the ordinary.
fn read_log(line: &str) -> Option<Addresses> {
    let Ok(Entry { level, message, listen, operations }) = serde_json::from_str(line) else {
        eprintln!("{line}");
        return None;
    };
    if level != "INFO" {
        eprintln!("{line}");
    }
    let (clients, operations) = listen.zip(operations).filter(|_| message == LISTENING)?;
    Some(Addresses { clients, operations })
}

/// Whether a broker would be given traffic. One that does not answer would not.
fn is_ready(operations: SocketAddr) -> bool {
    let answer = ask(operations, "GET /health/ready HTTP/1.0\r\n\r\n").unwrap_or_default();
    answer.split_ascii_whitespace().nth(1) == Some("200")
}

/// Sends a text and reads until the other side has said all.
fn ask(address: SocketAddr, question: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_DEADLINE)?;
    stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
    stream.write_all(question.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_says_how_often_it_was_published_to() {
        let statistics = "$90\r\n# Commandstats\r\ncmdstat_ping:calls=3,usec=1\r\ncmdstat_spublish:calls=42,usec=7\r\n\r\n";
        assert_eq!(count_publishes(statistics), 42);
        assert_eq!(count_publishes("$17\r\n# Commandstats\r\n\r\n+OK\r\n"), 0);
    }

    #[test]
    fn redis_says_how_much_it_keeps() {
        let statistics = "$60\r\n# Memory\r\nused_memory:900\r\nused_memory_dataset:123\r\n\r\n";
        assert_eq!(read_dataset(statistics), Some(123));
        assert_eq!(read_dataset("$12\r\n# Memory\r\n\r\n+OK\r\n"), None);
    }

    #[test]
    fn the_log_says_where_a_broker_listens() {
        let check = |line: &str, expected: Option<&str>| {
            let found = read_log(line).map(|addresses| addresses.clients.to_string());
            assert_eq!(found.as_deref(), expected, "{line}");
        };
        let addresses = r#""listen":"127.0.0.1:81","operations":"127.0.0.1:82""#;
        check(&format!(r#"{{"level":"INFO","message":"listening",{addresses}}}"#), Some("127.0.0.1:81"));
        check(&format!(r#"{{"level":"INFO","message":"stopping",{addresses}}}"#), None);
        check(r#"{"level":"INFO","message":"listening"}"#, None);
        check("error: what a broker says before it has a log", None);
    }
}
