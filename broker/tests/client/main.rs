//! Black-box tests of what clients and the broker say to each other once the handshake is done. Source:
//! `client-protocols.md` 4 to 7 and its test list; the frames themselves are in `conformance/`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "../support/mod.rs"]
mod support;

mod acks;
mod closing;
mod group_state;
mod malformed;
mod matrix;
mod membership;
mod metadata;
mod protobuf;
mod protobuf_malformed;
mod publishing;
mod simple;
mod streams;
