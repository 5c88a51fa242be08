//! Calls the application for what happens to connections.
//!
//! Which handler is meant stands in the settings; how events look on the wire is the codec's. Source:
//! `event-handlers.md` of the specification.
#![cfg_attr(not(test), expect(dead_code, reason = "nothing raises events yet"))]

mod cookies;
mod signature;
pub mod webhook;
