//! RFC 6455 over a bare socket, in the groups of the Autobahn suite. The connection publishes all that it sends to a
//! group of its own and is a member of it, so the broker echoes to it. Close codes and reasons of our side are those of
//! `client-protocols.md` 4.1.
#![allow(clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "../support/mod.rs"]
mod support;

mod case;

mod closing;
mod fragmentation;
mod framing;
mod opcodes;
mod pings;
mod sizes;
mod utf8;
