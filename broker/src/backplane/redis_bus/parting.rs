//! The end of a node's run: it tells the others, and stays until they have all that it has published. Once it has gone nobody
//! can repair what they miss of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Inner;
use crate::backplane::Channel;
use crate::backplane::wire::LinkMessage;

/// Longest time that a node stays for others that do not say that they have everything: they may be cut off for a while.
const PARTING: Duration = Duration::from_secs(5);

impl Inner {
    /// See [`crate::backplane::Bus::leave`].
    pub(super) async fn leave(&self) {
        let is_complete = self.flush().await;
        // Farewell is the last word: no beat comes after it, on this connection at least.
        self.has_left.store(true, Ordering::SeqCst);
        if !is_complete {
            self.tell(&Channel::AllNodes, LinkMessage::Farewell { is_complete });
        } else if tokio::time::timeout(PARTING, self.all_have_heard_farewell()).await.is_err() {
            tracing::warn!("another node may still miss messages of this one");
        }
        self.flush().await;
    }
}
