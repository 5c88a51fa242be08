//! The program `loadtest`: drives a broker with many connections, measures what that costs the broker's process, and
//! sets it beside the limit of the machine, measured in the same run.
//!
//! It speaks through `codec` and never imports the broker, so that it sees what a client sees. `docs/benchmarks.md`
//! says what each figure means and how to run each scenario.

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};

mod access;
mod arguments;
mod client;
mod handler;
mod hubs;
mod limit;
mod process;
mod proxy;
mod report;
mod scenario;
mod server;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::LimitServer(arguments) => {
            limit::run(&arguments).map(|()| true).map_err(|error| error.to_string())
        }
        Command::LimitProxy(arguments) => {
            proxy::run(&arguments).map(|()| true).map_err(|error| error.to_string())
        }
        Command::Handler(arguments) => {
            handler::run(&arguments).map(|()| true).map_err(|error| error.to_string())
        }
        Command::Idle(arguments) => scenario::idle(&arguments).map_err(|error| error.to_string()),
        Command::Fanout(arguments) => scenario::fanout(&arguments).map_err(|error| error.to_string()),
        Command::Groups(arguments) => scenario::groups(&arguments).map_err(|error| error.to_string()),
        Command::Echo(arguments) => scenario::echo(&arguments).map_err(|error| error.to_string()),
        Command::Reliable(arguments) => scenario::reliable(&arguments).map_err(|error| error.to_string()),
        Command::Isolation(arguments) => scenario::isolation(&arguments).map_err(|error| error.to_string()),
        Command::Nodes(arguments) => scenario::nodes(&arguments).map_err(|error| error.to_string()),
        Command::Durable(arguments) => scenario::durable(&arguments).map_err(|error| error.to_string()),
        Command::Smoke(arguments) => scenario::smoke(&arguments).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("loadtest: {message}");
            ExitCode::FAILURE
        }
    }
}
