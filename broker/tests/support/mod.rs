//! What the black-box suites share: a broker on free ports, clients of several kinds, tokens and REST calls.
//!
//! Everything goes over real sockets; nothing here looks inside the broker. No assertion about one area of the broker
//! belongs here. Every suite in `tests/` declares this module.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "shared by suites of which none uses all of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod bare_handler;
mod client;
mod config;
mod frame;
mod handler;
mod panics;
pub mod protobuf;
mod proxy;
mod raw;
mod rest;
mod server;
mod spec;
pub mod streams;
mod token;

use std::future::Future;
use std::time::Duration;

pub use bare_handler::BareHandler;
pub use client::{Client, Received};
pub use config::{HandlerSpec, INTERNAL_KEY, PRIMARY_KEY, SECONDARY_KEY, Setup};
pub use frame::{Frame, Opcode};
pub use handler::{Answer, Arrived, Gate, Handler};
pub use proxy::{Faults, Proxy};
pub use raw::{RawSocket, Response};
pub use rest::{Call, Reply, Rest};
pub use server::Server;
pub use spec::ClientSpec;
pub use token::Token;

/// The reliable JSON subprotocol.
pub const JSON_RELIABLE: &str = "json.reliable.webpubsub.azure.v1";

/// The JSON subprotocol.
pub const JSON: &str = "json.webpubsub.azure.v1";

/// The protobuf subprotocol.
pub const PROTOBUF: &str = "protobuf.webpubsub.azure.v1";

/// The reliable protobuf subprotocol.
pub const PROTOBUF_RELIABLE: &str = "protobuf.reliable.webpubsub.azure.v1";

/// Longest wait for something that must happen. Generous, for it is only used up when a test fails.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Waits for what must happen.
///
/// # Panics
/// When it has not happened within [`DEADLINE`]; `what` names it.
pub async fn within_deadline<T>(what: &str, future: impl Future<Output = T>) -> T {
    within(DEADLINE, what, future).await
}

/// The same with a time limit of its own.
async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen within {limit:?}"),
    }
}

/// Encodes a text for one segment of a path or one value of a query.
pub fn escape(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
