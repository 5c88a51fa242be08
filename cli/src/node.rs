//! What the programs that run a node have in common: the configuration, the log, the runtime, and how faults are told.

use std::fmt::Display;
use std::future::Future;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use broker::config::entry::{self, Program};
use broker::config::{self, Checked, Machine};
use broker::telemetry::logging::{self, LoggingError};
use broker::{ListenerKind, StartError};
use clap::ArgMatches;

use crate::{WRONG_USAGE, args};

/// The checked configuration of `program`.
///
/// # Errors
/// The exit code when there is nothing to run: faults have been told, or the configuration was only to be printed.
pub(crate) fn configure(matches: &ArgMatches, program: Program) -> Result<Checked, ExitCode> {
    let raw = args::raw(matches, program, program.entries(), &machine());
    let checked = config::check(&raw).map_err(|faults| {
        faults.to_string().lines().for_each(complain);
        ExitCode::from(WRONG_USAGE)
    })?;
    if args::only_print(matches) {
        say(&config::print(&raw));
        return Err(ExitCode::SUCCESS);
    }
    Ok(checked)
}

/// Starts the log, and writes into it what is allowed but unwise.
///
/// # Errors
/// [`LoggingError`]
pub(crate) fn open_log(checked: &Checked) -> Result<(), LoggingError> {
    logging::start(checked.log)?;
    checked.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(())
}

/// Runs `serve` on the main thread to its end.
///
/// # Errors
/// Those of `serve`, and the operating system's when it refuses a runtime.
pub(crate) fn serve_alone<E: From<io::Error>>(serve: impl Future<Output = Result<(), E>>) -> Result<(), E> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(serve);
    // A file system that does not answer shall not hold up the end.
    runtime.shutdown_background();
    ended
}

/// The exit code of a node that has ended; says why, if it did not end well.
pub(crate) fn succeed(ended: Result<(), impl Display>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Which flag helps.
pub(crate) fn advice(error: &StartError) -> String {
    let StartError::Bind { listener, .. } = error else {
        return String::new();
    };
    let entry = match listener {
        ListenerKind::Http => &entry::LISTEN,
        ListenerKind::Https => &entry::TLS_LISTEN,
        ListenerKind::Operations => &entry::OPERATIONS_LISTEN,
    };
    format!("; choose another address with --{}", entry.flag)
}

/// What the machine and the environment decide.
pub(crate) fn machine() -> Machine {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data_home = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
    Machine {
        processors: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        data_dir: data_home.map(|home| home.join("hubbub")),
    }
}

/// Writes to standard output. Whoever closed it does not want to hear.
pub(crate) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a fault to standard error.
pub(crate) fn complain(fault: &str) {
    let _ = writeln!(io::stderr(), "error: {fault}");
}
