//! Black-box tests of the reliable protocols: numbers, what is sent again, who may come back and what ends a
//! connection for good. Source: `client-protocols.md` 4.1 and 10; all else is as on the plain protocols, in `client/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "../support/mod.rs"]
mod support;

mod application;
mod burst;
mod dialect;
mod endings;
mod events;
mod expiry;
mod faulty_network;
mod group_state;
mod invocation;
mod metadata;
mod peer;
mod protobuf;
mod recovery;
mod refusal;
mod sequence;
mod streams;
mod window;
