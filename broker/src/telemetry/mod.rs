//! What an operator sees of a node, its metrics and its log, and what a developer may watch, its trace.
//!
//! No domain type is known here: labels are words from closed sets, never an id of a connection, user or group, never
//! a raw path, and never a token or a payload. `trace` alone holds ids and the beginning of payloads, for the one who
//! develops on this node. Every room may import this one.

pub mod logging;
pub mod metrics;
pub mod throttle;
pub mod trace;
