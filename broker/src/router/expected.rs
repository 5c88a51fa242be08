//! Topics that are watched before their first member is there.
//!
//! A client without a subprotocol is told nothing when it is connected: it takes the answer to its request for that. What
//! is sent to it from then on must reach it, so whatever it takes to hear that is done before the answer.

use super::{Pending, Router};
use crate::model::command::Topic;

/// Keeps topics watched, and their messages coming to this worker, until a member has come. Dropped, it gives up those
/// for which nobody has.
pub struct Expected {
    router: Router,
    topics: Vec<Topic>,
}

impl Router {
    /// Watches topics that a connection is about to be a member of. Whether that has worked shows when it is attached.
    pub async fn expect(&self, topics: Vec<Topic>) -> Expected {
        let mut pending = Pending::default();
        for topic in &topics {
            self.watch(&topic.hub, topic.target.clone(), &mut pending);
        }
        let expected = Expected { router: self.clone(), topics };
        self.0.expected.update(|expected| expected + 1);
        let _ = self.settle(pending).await;
        expected
    }

    /// Whether a client may have its answer and is not attached yet.
    pub fn is_expecting(&self) -> bool {
        self.0.expected.get() > 0
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.router.0.expected.update(|expected| expected - 1);
        for topic in &self.topics {
            let members = self.router.shard().count(&topic.hub, &topic.target);
            if members == 0 {
                self.router.unwatch(topic);
            }
        }
    }
}
