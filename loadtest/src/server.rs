//! The server that is measured, and the event handler that it asks: started for a run and stopped after it, or running
//! already.
//!
//! Knows nothing of what is measured. `scenario` calls it.

mod cluster;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::access::{Access, AccessError};
use crate::arguments::{HandlerMode, HttpVersion, LimitKind};
use crate::process::Process;

pub(crate) use self::cluster::{Cluster, Programs, Redis};

/// What the line with the connection string starts with.
const CONNECTION_STRING: &str = "Connection string:";
/// What the line with a handler's URL starts with.
pub(crate) const HANDLER_URL: &str = "Handler:";
/// How long a server may take to print it.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// How long a server may take to end when it is asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// A running server. One that was started here ends when this is dropped.
pub(crate) struct Server {
    /// How to get in.
    pub(crate) access: Access,
    /// What is measured.
    pub(crate) process: Process,
    /// Only kept to end it.
    _started: Option<Started>,
}

/// A running event handler. It ends when this is dropped, and its port is closed then.
pub(crate) struct Handler {
    /// Where it is, without a path.
    pub(crate) url: String,
    pub(crate) version: HttpVersion,
    /// What is measured.
    pub(crate) process: Process,
    /// Only kept to end it.
    _started: Started,
}

struct Started {
    child: Child,
    output: Option<JoinHandle<()>>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("cannot start `{command}`: {error}")]
    Start { command: String, error: std::io::Error },
    #[error("`{command}` printed no line \"{line} ...\" on its standard output within 20 seconds")]
    Silent { command: String, line: &'static str },
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("no port is free for Redis: {0}")]
    Port(std::io::Error),
    #[error("broker {number} was not ready for traffic within 20 seconds")]
    NotReady { number: u8 },
    #[error("Redis does not say how much it has done: {0}")]
    Statistics(std::io::Error),
    #[error("cannot find this program's own file, which is started as limit and as handler: {0}")]
    OwnFile(std::io::Error),
}

impl Server {
    /// Starts a server with the shell's rules for quotes and waits until it has printed its connection string.
    ///
    /// # Errors
    /// [`ServerError`] when the server cannot be started, says nothing in time, or prints a string that is not one.
    pub(crate) fn start(command: &str, hub: &str) -> Result<Self, ServerError> {
        // With `exec` the shell becomes the server, so that the process that is measured is the server.
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec {command}"));
        spawn(&mut shell, command)?.into_server(hub)
    }

    /// Starts this program's limit server.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn start_limit(kind: LimitKind, payload: u32, hub: &str) -> Result<Self, ServerError> {
        let mut command = own_program()?;
        command.args(["limit-server", "--kind", kind.name(), "--payload", &payload.to_string()]);
        spawn(&mut command, "loadtest limit-server")?.into_server(hub)
    }

    /// Starts this program's limit proxy before this handler.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn start_proxy(handler: &Handler, hub: &str) -> Result<Self, ServerError> {
        let mut command = own_program()?;
        command.args(["limit-proxy", "--handler", &handler.url, "--http-version", handler.version.name()]);
        spawn(&mut command, "loadtest limit-proxy")?.into_server(hub)
    }

    /// Takes a server that runs already; it goes on running.
    ///
    /// # Errors
    /// [`ServerError::Access`] when the connection string is none.
    pub(crate) fn attach(connection_string: &str, pid: u32, hub: &str) -> Result<Self, ServerError> {
        let access = Access::new(connection_string, hub)?;
        Ok(Self { access, process: Process::new(pid), _started: None })
    }
}

impl Handler {
    /// Starts this program's event handler.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn start(version: HttpVersion, mode: HandlerMode) -> Result<Self, ServerError> {
        let mut command = own_program()?;
        command.args(["handler", "--http-version", version.name(), "--mode", mode.name()]);
        let spawned = spawn_until(&mut command, "loadtest handler", HANDLER_URL, behind(HANDLER_URL))?;
        let Spawned { found, process, started } = spawned;
        Ok(Self { url: found, version, process, _started: started })
    }
}

/// A program that has said where it is.
struct Spawned<T> {
    /// What it said.
    found: T,
    process: Process,
    started: Started,
}

impl Spawned<String> {
    fn into_server(self, hub: &str) -> Result<Server, ServerError> {
        let access = Access::new(&self.found, hub)?;
        Ok(Server { access, process: self.process, _started: Some(self.started) })
    }
}

fn own_program() -> Result<Command, ServerError> {
    Ok(Command::new(std::env::current_exe().map_err(ServerError::OwnFile)?))
}

fn spawn(command: &mut Command, shown: &str) -> Result<Spawned<String>, ServerError> {
    spawn_until(command, shown, CONNECTION_STRING, behind(CONNECTION_STRING))
}

/// Finds what stands behind these words in a line.
fn behind(words: &'static str) -> impl Fn(&str) -> Option<String> {
    move |line| line.split_once(words).map(|(_, text)| text.trim().to_owned())
}

/// Starts a program and waits for the line that `find` knows; errors call that line `line`.
fn spawn_until<T: Send + 'static>(
    command: &mut Command,
    shown: &str,
    line: &'static str,
    find: impl Fn(&str) -> Option<T> + Send + 'static,
) -> Result<Spawned<T>, ServerError> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| ServerError::Start { command: shown.to_owned(), error })?;
    let process = Process::new(child.id());
    let (tell, told) = mpsc::channel();
    let output = child.stdout.take();
    let output = output.map(|output| std::thread::spawn(move || read_output(output, find, &tell)));
    // From here on an early return stops the child.
    let started = Started { child, output };
    let silent = || ServerError::Silent { command: shown.to_owned(), line };
    let found = told.recv_timeout(START_DEADLINE).map_err(|_| silent())?;
    Ok(Spawned { found, process, started })
}

/// Reads to the end, because a server whose output nobody reads would come to a halt.
fn read_output<T>(output: ChildStdout, find: impl Fn(&str) -> Option<T>, tell: &mpsc::Sender<T>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if let Some(found) = find(&line) {
            // Nobody waits for a second one.
            let _ = tell.send(found);
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOP_DEADLINE;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if let Some(output) = self.output.take() {
            let _ = output.join();
        }
    }
}
