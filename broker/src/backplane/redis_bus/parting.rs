//! The end of a node's run: it tells the others, and stays until they have all that it has published. Once it has gone nobody
//! can repair what they miss of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Inner, lock};
use crate::backplane::wire::LinkMessage;
use crate::backplane::{Channel, Standing};

/// Longest time that a node stays for others that do not say that they have everything: they may be cut off for a while.
const PARTING: Duration = Duration::from_secs(5);
/// How often it says farewell meanwhile.
const AGAIN: Duration = Duration::from_millis(100);
/// How often it looks who has answered.
const LOOK: Duration = Duration::from_millis(10);

impl Inner {
    /// See [`crate::backplane::Bus::leave`].
    pub(super) async fn leave(&self) {
        let is_complete = self.flush().await;
        self.say_farewell(is_complete);
        if is_complete && tokio::time::timeout(PARTING, self.all_are_complete()).await.is_err() {
            tracing::warn!("another node may still miss messages of this one");
        }
        self.flush().await;
    }

    /// The last word: no beat comes after it, on this connection at least.
    fn say_farewell(&self, is_complete: bool) {
        self.has_left.store(true, Ordering::SeqCst);
        self.tell(&Channel::AllNodes, LinkMessage::Farewell { is_complete });
    }

    /// Resolves when everybody who is there has said that nothing of this run is missing.
    async fn all_are_complete(&self) {
        loop {
            for _ in 0..AGAIN.as_millis() / LOOK.as_millis() {
                if self.is_free() {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
            self.say_farewell(true);
        }
    }

    fn is_free(&self) -> bool {
        let (others, _) = lock(&self.nodes).standings();
        let complete = lock(&self.parting);
        others.iter().all(|(node, standing)| *standing == Standing::Gone || complete.contains(node))
    }
}
