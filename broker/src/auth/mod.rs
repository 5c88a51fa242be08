//! Who may do what: keys, tokens, audiences and permissions, in the order in which a request meets them.
//!
//! Every rule here is a pure function: no settings, no clock, no I/O, no logging; time and randomness are arguments.
//! The doors (`client`, `rest`) verify tokens here, a session asks its permissions, the configuration makes the keys.
//! Source: `auth.md` of the specification.

pub mod audience;
pub mod key;
pub mod network;
pub mod pattern;
pub mod permission;
pub mod token;
