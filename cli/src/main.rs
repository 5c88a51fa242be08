//! The program `hubbub`: picks the subcommand and ends with its exit code.
//!
//! Nothing is decided here; each subcommand has its file.

use std::process::ExitCode;

mod args;
mod banner;
mod data_dir;
mod dev;
mod local_ca;
mod signals;
#[cfg(test)]
mod test_support;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match args::command().get_matches().subcommand() {
        Some((args::DEV, matches)) => dev::run(matches),
        _ => ExitCode::from(dev::WRONG_USAGE),
    }
}
