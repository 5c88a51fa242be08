//! Pure translation between bytes and messages: what a client writes becomes an [`Upstream`](message::Upstream),
//! what it is told is made from a [`Downstream`](message::Downstream).
//!
//! No clock, no randomness, no I/O and no settings live here, so that every rule can be tested as a table and every
//! decoder can be fuzzed alone. The broker and the load generator are its callers.

pub mod cloud_event;
pub mod event;
pub mod filter;
pub mod ids;
pub mod json;
pub mod message;
pub mod metadata;
pub mod protobuf;
pub mod simple;
pub mod subprotocol;
pub mod websocket;

mod any;
mod encode;

pub use encode::{MAX_HEAD, Sequenced, encode, renumber, sequence};
