//! Configuration as it is meant: validated, with every default of the house. It is fixed for the life of the process;
//! what may change while running lives in `settings`.
//!
//! Only the composition root reads [`Config`]; each room receives the part that it owns. The way of a value: `entry`
//! names it, `raw` collects it as written, `check` and `parse` understand it, `print` shows it again.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use codec::ids::NodeId;

use crate::auth::audience::Origins;
use crate::backplane::redis::RedisConfig;
use crate::client::ClientConfig;
use crate::edge::tls::Identity;
use crate::events::webhook::WebhookConfig;
use crate::rest::RestConfig;
use crate::settings::Settings;
use crate::settings::follow::HubsSource;
use crate::worker::{DrainConfig, MAX_WORKERS};

pub use self::check::{Checked, Kept, check};
pub use self::fault::{Fault, Faults, Place};
pub use self::print::print;
pub use self::raw::{Given, Machine, Raw};

mod check;
pub mod entry;
mod fault;
mod parse;
mod print;
mod raw;
mod redis;
mod secrets;
mod webhooks;

/// Everything that a broker node is told when it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Short id of this node, the tail of the connection ids that it gives out.
    pub node_id: NodeId,
    /// Threads that hold connections, each with its own part of every hub. At most [`MAX_WORKERS`].
    pub workers: NonZeroUsize,
    /// Where clients and REST callers connect without TLS.
    pub listen: SocketAddr,
    /// Where they connect with TLS, if anywhere.
    pub tls: Option<TlsListener>,
    /// Where metrics and health are served, if anywhere.
    pub operations_listen: Option<SocketAddr>,
    /// Under which names applications know the node, and whom it believes about them.
    pub origins: Origins,
    /// Keys and hub settings to start with.
    pub settings: Settings,
    /// Where hub settings come from while the node runs.
    pub hubs: HubsSource,
    /// What clients are granted.
    pub client: ClientConfig,
    /// How REST calls are read and answered.
    pub rest: RestConfig,
    /// How event handlers are called.
    pub webhooks: WebhookConfig,
    /// What links the node to others. Without it the node is alone.
    pub redis: Option<RedisConfig>,
    /// How the node stops.
    pub drain: DrainConfig,
    /// Whether the playground is served. Off until a program for development switches it on.
    pub playground: bool,
}

/// A listener with TLS.
#[derive(Debug, Clone)]
pub struct TlsListener {
    /// Its address.
    pub listen: SocketAddr,
    /// Certificate chain and private key.
    pub identity: Identity,
}

#[cfg(test)]
mod tests;
