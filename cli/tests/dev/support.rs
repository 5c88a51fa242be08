//! Starts the program as a user would, in a directory of its own and without the environment of whoever tests.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(20);

/// An empty directory, gone when the test is.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{:032x}", rand::random::<u128>()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program, about to be started with its home in `scratch`.
pub(crate) fn hubbub(scratch: &Scratch, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubbub"));
    command.env_clear().env("HOME", scratch.path()).current_dir(scratch.path()).args(arguments);
    command
}

/// Runs it to its end.
pub(crate) fn output(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The program while it runs; killed when the test is over.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    /// What it said up to `Ready.`
    pub(crate) banner: Vec<String>,
    /// Time from its start to `Ready.`
    pub(crate) took: Duration,
}

impl Running {
    /// Starts `hubbub dev` and waits until it is ready.
    pub(crate) fn start(mut command: Command) -> Self {
        let started = Instant::now();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok());
        });
        let mut running = Self { child, lines, banner: Vec::new(), took: Duration::ZERO };
        while running.banner.last().is_none_or(|line| line != "Ready.") {
            match running.lines.recv_timeout(DEADLINE) {
                Ok(line) => running.banner.push(line),
                Err(_) => panic!("not ready: {}", running.stop_and_read()),
            }
        }
        running.took = started.elapsed();
        running
    }

    /// What stands behind a label of the banner.
    pub(crate) fn shown(&self, label: &str) -> Option<&str> {
        self.banner.iter().find_map(|line| Some(line.strip_prefix(label)?.trim()))
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end; gives the exit code, and the log.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.stop_and_read());
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("still running: {}", self.stop_and_read());
    }

    fn stop_and_read(&mut self) -> String {
        let _ = self.child.kill();
        let mut log = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut log).unwrap();
        }
        log
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
