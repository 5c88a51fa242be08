//! What may change while a node runs: access keys and the settings of hubs.
//!
//! Where settings come from is one file each; what they mean for a client is not decided here. `client`, `rest` and
//! the composition root read them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use codec::event::EventKind;
use codec::ids::HubName;

use self::handler::EventHandler;
use crate::auth::key::Keys;

pub(crate) mod file;
pub mod follow;
pub mod handler;
pub(crate) mod yaml;

/// What a hub's name is made of, for those who wrote another.
const HUB_NAME_RULE: &str = "a letter, then up to 127 letters, digits or _ ` , . [ ]";

/// Everything that may change while a node runs. A new value replaces the old one whole.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Keys that sign and verify tokens.
    pub keys: Keys,
    /// Settings of the hubs that have any.
    pub hubs: BTreeMap<HubName, Arc<HubSettings>>,
}

/// Settings of one hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// What happens to clients without a token.
    pub anonymous_connect_policy: AnonymousConnectPolicy,
    /// Time between two pings that the broker sends to a socket; 1 to 120 seconds.
    pub keep_alive_interval: Duration,
    /// Who takes events of the hub; the first that wants an event gets it.
    pub event_handlers: Vec<Arc<EventHandler>>,
    /// What is sent outlives the node that takes it. Stays as it was when the node started; only among other nodes.
    pub is_durable: bool,
}

/// What holds for a hub that nobody wrote settings for.
static DEFAULT: LazyLock<Arc<HubSettings>> = LazyLock::new(Arc::default);

/// What happens to clients that have no token. One that has a token which is refused is refused either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnonymousConnectPolicy {
    /// They connect, without a user and without permissions.
    Allow,
    /// They are refused.
    Deny,
}

impl Settings {
    /// Settings of a hub; a hub that nobody wrote settings for has those of [`HubSettings::default`].
    pub fn hub(&self, hub: &HubName) -> &Arc<HubSettings> {
        self.hubs.get(hub).unwrap_or(&DEFAULT)
    }
}

impl HubSettings {
    /// Who takes the event: the first handler that wants it, whether or not it then fails.
    pub fn handler(&self, event: EventKind<'_>) -> Option<&Arc<EventHandler>> {
        self.event_handlers.iter().find(|handler| handler.takes(event))
    }
}

impl Default for HubSettings {
    /// The service's own: anonymous clients are refused, and a ping is sent every 20 seconds.
    fn default() -> Self {
        Self {
            anonymous_connect_policy: AnonymousConnectPolicy::Deny,
            keep_alive_interval: Duration::from_secs(20),
            event_handlers: Vec::new(),
            is_durable: false,
        }
    }
}
