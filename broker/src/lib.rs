//! A broker node: holds sockets, decides locally, fans out, and relays what concerns other nodes.
//!
//! The modules stand in the order in which a message meets them; who may import whom is written down, and tested, in
//! `tests/layering.rs`. `docs/ARCHITECTURE.md` is the map.

mod app;
mod worker;

pub mod edge;

pub mod client;
pub mod playground;
pub mod rest;

pub mod session;

pub mod events;
pub mod router;

pub mod backplane;
pub mod hub;

pub mod auth;
pub mod model;

pub mod config;
pub mod settings;
pub mod telemetry;

pub use app::{Addresses, Broker, ListenerKind, StartError};
pub use settings::follow::Reread;
pub use worker::DrainConfig;
