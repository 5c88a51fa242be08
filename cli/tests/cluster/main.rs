//! Black-box tests of `hubbub broker` over several real processes, by clients and REST calls on any of them.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod apart;
mod failures;
mod harness;
mod linked;
#[path = "../../../broker/tests/support/mod.rs"]
mod support;
