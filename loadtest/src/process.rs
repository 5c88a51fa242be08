//! What the kernel says about a process: processor time, resident memory, descriptors. Linux only; `scenario` calls it.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that a process needs beside its connections.
const SPARE_DESCRIPTORS: u64 = 64;

/// A process that is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(u32);

/// Why a process cannot be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("cannot read {path}: {error}; is the process running, and is it yours?")]
    Read { path: String, error: std::io::Error },
    #[error("{0} does not have the form that Linux documents")]
    Form(String),
    #[error(
        "{needed} connections need {needed} descriptors and some more, but this process may have {allowed}: raise the \
         hard limit (ulimit -Hn) or ask for fewer connections"
    )]
    Descriptors { needed: u32, allowed: u64 },
    #[error("the limit of open descriptors cannot be raised: {0}")]
    Limit(rustix::io::Errno),
}

impl Process {
    pub(crate) fn new(pid: u32) -> Self {
        Self(pid)
    }

    /// This program.
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    /// User and system time of all its threads since it started. The kernel rounds it to a clock tick (10 ms).
    ///
    /// # Errors
    /// [`ProcessError`] when the process is gone.
    pub(crate) fn cpu_time(self) -> Result<Duration, ProcessError> {
        let path = format!("/proc/{}/stat", self.0);
        let text = read(&path)?;
        let ticks = parse_cpu_ticks(&text).ok_or(ProcessError::Form(path))?;
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// Resident memory in bytes. Read from `smaps_rollup`, which counts pages; `statm` may lag behind.
    ///
    /// # Errors
    /// [`ProcessError`] when the process is gone or belongs to somebody else.
    pub(crate) fn resident_bytes(self) -> Result<u64, ProcessError> {
        let path = format!("/proc/{}/smaps_rollup", self.0);
        let text = read(&path)?;
        parse_resident_bytes(&text).ok_or(ProcessError::Form(path))
    }
}

/// Lets this process have as many descriptors as it may, which must do for so many connections.
///
/// # Errors
/// [`ProcessError::Descriptors`] when the hard limit is too low.
pub(crate) fn allow_connections(needed: u32) -> Result<(), ProcessError> {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    if allowed < u64::from(needed) + SPARE_DESCRIPTORS {
        return Err(ProcessError::Descriptors { needed, allowed });
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .map_err(ProcessError::Limit)
}

fn read(path: &str) -> Result<String, ProcessError> {
    std::fs::read_to_string(path).map_err(|error| ProcessError::Read { path: path.to_owned(), error })
}

/// Fields 14 and 15 of `stat`. The second field is the program's name in brackets and may hold anything.
fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn parse_resident_bytes(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_name_cannot_confuse_the_fields() {
        let stat = "7 (a) b 1 2) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0 1 0";
        assert_eq!(parse_cpu_ticks(stat), Some(42));
        assert_eq!(parse_cpu_ticks("7 (x) S 1"), None);
    }

    #[test]
    fn resident_memory_is_in_kilobytes() {
        assert_eq!(parse_resident_bytes("0-1 ---p [rollup]\nRss:     12 kB\nPss: 3 kB\n"), Some(12_288));
        assert_eq!(parse_resident_bytes("Pss: 3 kB\n"), None);
    }

    #[test]
    fn this_process_can_be_measured() {
        let process = Process::current();
        assert!(process.resident_bytes().unwrap() > 100_000);
        let before = process.cpu_time().unwrap();
        while process.cpu_time().unwrap() == before {}
    }
}
