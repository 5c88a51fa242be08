//! What a task needs that talks to one server: `publisher`, `caller` and `subscriber` have one each.

use std::sync::Arc;

use tokio::sync::Notify;

use super::connection::{Connection, Ears, Manner};
use super::{Address, LinkError, ServerKey, Shared};

/// See the module.
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) key: ServerKey,
    pub(super) address: Address,
    /// There is something to do.
    pub(super) wake: Arc<Notify>,
}

impl Link {
    /// Connects and says hello, as the configuration says.
    pub(super) async fn open(&self, ears: Option<Ears>) -> Result<Connection, LinkError> {
        let config = &self.shared.config;
        let manner = Manner { credentials: &config.credentials, tls: config.tls.as_ref() };
        Connection::open(&self.address, manner, ears).await
    }
}
