//! What an operator sees of a node: its metrics and its log.
//!
//! No domain type is known here: labels are words from closed sets, never an id of a connection, user or group, never
//! a raw path, and never a token or a payload. Every room may import this one.

pub mod logging;
pub mod metrics;
