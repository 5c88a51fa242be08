//! Black-box tests of `hubbub broker`: the program as an operator starts it, one node alone.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod configuration;
#[path = "../cluster/harness/mod.rs"]
mod harness;
mod node;
// The part that starts `hubbub dev` is of no use here.
#[allow(dead_code)]
#[path = "../dev/support.rs"]
mod support;
