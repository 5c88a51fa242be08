//! The links of nodes to real Redis servers: one, a cluster of three, and what Sentinel names; and what they do when
//! servers crash, hang, move and refuse.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "../support/redis.rs"]
mod redis;

mod access;
mod delivery;
mod moves;
mod node;
mod once;
mod store;
mod trouble;
