//! Black-box tests of `hubbub broker`: the program as an operator starts it, one node alone.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod configuration;
#[path = "../cluster/harness/mod.rs"]
mod harness;
mod node;
#[path = "../dev/support.rs"]
#[allow(dead_code, reason = "the part that starts `hubbub dev` is of no use here")]
mod support;
