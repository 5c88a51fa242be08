//! Topics that are watched before their first member is there.
//!
//! A client without a subprotocol is told nothing when it is connected: it takes the answer to its request for that. What
//! is sent to it from then on must reach it, so whatever it takes to hear that is done before the answer.

use futures_util::future::join_all;

use super::{PATIENCE, Router};
use crate::backplane::Channel;
use crate::model::command::Topic;

/// Keeps topics watched until a member has come. Dropped, it gives up those for which nobody has.
pub struct Expected {
    router: Router,
    topics: Vec<Topic>,
}

impl Router {
    /// Watches topics that a connection is about to be a member of. Whether that has worked shows when it is attached.
    pub async fn expect(&self, mut topics: Vec<Topic>) -> Expected {
        topics.retain(|topic| !self.switchboard().index.is_watched(topic));
        let watches = topics.iter().map(|topic| self.0.bus.watch(&Channel::Topic(topic.clone())));
        let all = join_all(watches.collect::<Vec<_>>());
        let expected = Expected { router: self.clone(), topics };
        let _ = tokio::time::timeout(PATIENCE, all).await;
        expected
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        for topic in &self.topics {
            let unwatch = || self.router.0.bus.unwatch(&Channel::Topic(topic.clone()));
            self.router.switchboard().index.unless_wanted(topic, unwatch);
        }
    }
}
