//! Black-box tests of `hubbub dev`: the program as a user starts it, judged by its output, its files and its ports.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod configuration;
mod node;
#[cfg(unix)]
mod settings;
mod support;
