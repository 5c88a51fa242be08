//! Black-box tests of `hubbub broker` over several real processes, by clients and REST calls on any of them.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod apart;
#[path = "../../../broker/tests/reliable/dialect.rs"]
#[allow(dead_code, unused_macros, unused_imports, reason = "shared with the tests of one broker")]
mod dialect;
mod durable;
mod failures;
mod harness;
mod linked;
#[path = "../../../broker/tests/reliable/peer.rs"]
#[allow(dead_code, reason = "shared with the tests of one broker")]
mod peer;
#[path = "../../../broker/tests/support/mod.rs"]
mod support;
