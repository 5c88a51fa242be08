//! The log: where it goes, how it looks and how much of it there is.
//!
//! What is logged is the business of the rooms. Called once, by the program, before anything else starts.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The crates whose log an operator chooses the level of.
const OURS: [&str; 3] = ["broker", "codec", "hubbub"];

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// Lowest severity of our own lines that is written.
    ///
    /// Libraries write warnings and errors at most: below that, some of them write headers, and with those tokens.
    pub level: LevelFilter,
    /// Form of a line.
    pub format: LogFormat,
}

/// Form of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object for each line, for programs.
    Json,
}

/// The log could not be set up, because the process has one already.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the log: {0}")]
pub struct LoggingError(#[from] TryInitError);

/// Sends the log of the whole process to standard error from now on.
///
/// # Errors
/// [`LoggingError`] when the process has a log already.
pub fn start(config: LogConfig) -> Result<(), LoggingError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter(config.level))).try_init()?;
    Ok(())
}

fn filter(level: LevelFilter) -> Targets {
    let libraries = level.min(LevelFilter::WARN);
    Targets::new().with_default(libraries).with_targets(OURS.map(|name| (name, level)))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_never_write_more_than_warnings() {
        let check = |level: LevelFilter, ours: Level, theirs: Level| {
            let filter = filter(level);
            assert!(filter.would_enable("broker::rest", &ours), "{level}");
            assert!(filter.would_enable("hyper", &theirs), "{level}");
            assert!(!filter.would_enable("hyper::proto::h1", &Level::INFO), "{level}");
        };
        check(LevelFilter::TRACE, Level::TRACE, Level::WARN);
        check(LevelFilter::INFO, Level::INFO, Level::WARN);
        check(LevelFilter::ERROR, Level::ERROR, Level::ERROR);
        assert!(!filter(LevelFilter::ERROR).would_enable("rustls", &Level::WARN));
        assert!(!filter(LevelFilter::OFF).would_enable("broker", &Level::ERROR));
    }
}
