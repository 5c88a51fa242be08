//! What members of a group show, on its way to those who see it: like any message, through [`Router::submit`].

use std::time::{SystemTime, UNIX_EPOCH};

use codec::message::{GroupState, GroupStateItem};

use super::{RouteError, Router, Submitted};
use crate::hub::{MemberKey, NotMember};
use crate::model::command::{Body, Command, Topic};

/// Why nobody, or not everybody, is told what a member shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShowError {
    /// The connection is not in the group.
    #[error(transparent)]
    NotMember(#[from] NotMember),
    /// As in [`Router::submit`].
    #[error(transparent)]
    Route(#[from] RouteError),
}

impl Router {
    /// Notes what a member shows to the group `topic` from now on, nothing when `state` is absent, and tells those who
    /// see it.
    ///
    /// # Errors
    /// [`ShowError::NotMember`]: nothing has changed. [`ShowError::Route`]: it is noted, but other nodes' members have
    /// not been told.
    pub fn show(
        &self,
        key: MemberKey,
        topic: &Topic,
        state: Option<GroupState>,
    ) -> Result<Submitted, ShowError> {
        let item = self.shard().show(key, topic, state, now())?;
        Ok(self.submit(update(topic.clone(), item))?)
    }

    /// Tells those who see it that members that have left show nothing any more.
    pub(super) fn submit_cleared_states(&self) {
        self.cleared_states().into_iter().for_each(|cleared| self.submit_cleared(cleared));
    }

    /// What those who see it are to be told of members that have left.
    pub(super) fn cleared_states(&self) -> Vec<Command> {
        let cleared = self.shard().take_cleared_states(now);
        cleared.into_iter().map(|(topic, item)| update(topic, item)).collect()
    }

    /// Tells them so of one.
    pub fn submit_cleared(&self, cleared: Command) {
        // Nobody awaits an answer. Whoever subscribes again learns of it.
        if let Err(error) = self.submit(cleared) {
            tracing::debug!(%error, "the end of a group state was not told to other nodes");
        }
    }
}

fn update(topic: Topic, item: GroupStateItem) -> Command {
    let Topic { hub, target } = topic;
    let body = Body::GroupState(item);
    Command { hub, target, body, excluded: Vec::new(), filter: None, time_to_live: None }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
