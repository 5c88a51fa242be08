//! `hubbub event-handler check`: calls an event handler as a node would, step by step, and says in plain words what is
//! wrong with it.
//!
//! It is for people who set a handler up. What it does is seen by the application like any event, but nothing of it
//! reaches a client. `plan` reads what is wanted, `walk` takes the steps, `report` prints them.

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use crate::WRONG_USAGE;
use crate::node::complain;

mod args;
mod connect;
mod event;
mod exchange;
mod line;
mod plan;
mod report;
mod status;
mod tls;
mod validation;
mod walk;

/// Name of the subcommand.
pub(crate) const NAME: &str = "event-handler";

/// The subcommand and its own ones.
pub(crate) fn command() -> Command {
    Command::new(NAME)
        .about("Work with the event handlers of hubs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(args::check())
}

/// Runs the subcommand.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    match matches.subcommand() {
        Some((args::CHECK, matches)) => check(matches),
        _ => ExitCode::from(WRONG_USAGE),
    }
}

fn check(matches: &ArgMatches) -> ExitCode {
    let plan = match plan::read(matches) {
        Ok(plan) => plan,
        Err(faults) => {
            faults.iter().for_each(|fault| complain(fault));
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("the operating system refuses what every program gets: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut report = args::report(matches);
    runtime.block_on(walk::all(&plan, &mut report));
    // A name that is still being looked up would hold the end up.
    runtime.shutdown_background();
    if report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
