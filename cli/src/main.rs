//! The program `hubbub`: picks the subcommand and ends with its exit code.
//!
//! Nothing is decided here; each subcommand has its file.

use std::process::ExitCode;

mod args;
mod banner;
mod broker;
mod data_dir;
mod dev;
mod event_handler;
mod local_ca;
mod node;
mod signals;
#[cfg(test)]
mod test_support;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code when the command line or the configuration is at fault.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    match args::command().get_matches().subcommand() {
        Some((args::DEV, matches)) => dev::run(matches),
        Some((args::BROKER, matches)) => broker::run(matches),
        Some((event_handler::NAME, matches)) => event_handler::run(matches),
        _ => ExitCode::from(WRONG_USAGE),
    }
}
