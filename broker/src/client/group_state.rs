//! What a client shows to its groups and sees of their members: done for its session, and answered. Source:
//! `client-protocols.md` 11.

use std::rc::Rc;

use codec::ids::{AckId, GroupName};
use codec::message::{AckError, GroupState, GroupStateItem};

use super::connection::{Connection, Wait};
use crate::model::command::{Command, Target, Topic};
use crate::model::survey::{Answer, Question, Survey};
use crate::router::ShowError;
use crate::session::Failure;

/// Most members of whom a snapshot tells (`limits.md` 5).
const MAX_ITEMS: usize = 200;
/// Groups that are told of an end before others have their turn; far less than a socket's queue holds.
const AT_ONCE: usize = 100;

impl Connection {
    /// Shows a state to a group, or none.
    pub(super) fn set_group_state(
        &self,
        group: GroupName,
        state: Option<GroupState>,
        ack_id: Option<AckId>,
    ) -> Option<Wait> {
        let shown = self.connections.router.show(self.key, &self.topic(group), state);
        let routed = shown.map_err(|error| match error {
            ShowError::NotMember(_) => Failure::Refused(AckError::SetStateNotMember),
            ShowError::Route(_) => Failure::Broker,
        });
        self.routed(ack_id, routed)
    }

    /// Begins to see what a group's members show. The answer goes before the snapshot, which has to be put together:
    /// the topic is given if it is to be.
    pub(super) fn subscribe_group_state(&self, group: GroupName, ack_id: Option<AckId>) -> Option<Topic> {
        let topic = self.topic(group.clone());
        // A statement of its own, so that the shard is free again.
        let subscribed = self.connections.router.shard().subscribe_states(self.key, &topic);
        let is_subscribed = subscribed.is_ok();
        self.done(ack_id, subscribed.map_err(|_| Failure::Refused(AckError::GetStateNotMember(group))));
        is_subscribed.then_some(topic)
    }

    /// Sees it no longer.
    pub(super) fn unsubscribe_group_state(&self, group: GroupName, ack_id: Option<AckId>) {
        self.connections.router.shard().unsubscribe_states(self.key, &self.topic(group));
        self.done(ack_id, Ok(()));
    }

    /// What the members of a group show, as far as a snapshot tells it; nothing when not every worker has answered.
    pub(super) async fn group_states(&self, topic: &Topic) -> Option<Vec<GroupStateItem>> {
        let Topic { hub, target: Target::Group(group) } = topic else {
            return None;
        };
        let question = Question::GroupStates { group: group.clone(), limit: MAX_ITEMS };
        match self.connections.router.survey(Survey { hub: hub.clone(), question }).await {
            Ok(Answer::GroupStates(items)) => Some(items),
            Ok(_) => None,
            Err(error) => {
                // The client is told updates as they come, and may subscribe again for another snapshot.
                let session = self.session();
                let connection = session.connection_id();
                tracing::warn!(%hub, %connection, %error, "a subscriber of group states gets no snapshot");
                None
            }
        }
    }

    /// Tells its groups that a connection which has ended shows nothing any more. If these are many, others have their
    /// turn meanwhile, so that whoever sees all of them can take them.
    pub(super) fn clear_group_states(&self, mut cleared: Vec<Command>) {
        let connections = Rc::clone(&self.connections);
        let many = cleared.split_off(cleared.len().min(AT_ONCE));
        cleared.into_iter().for_each(|cleared| connections.router.submit_cleared(cleared));
        if many.is_empty() {
            return;
        }
        tokio::task::spawn_local(async move {
            for (count, cleared) in many.into_iter().enumerate() {
                if count % AT_ONCE == 0 {
                    connections.flush();
                    tokio::task::yield_now().await;
                }
                connections.router.submit_cleared(cleared);
                connections.breathe().await;
            }
            connections.flush_soon();
        });
    }

    fn topic(&self, group: GroupName) -> Topic {
        Topic { hub: self.session().hub().clone(), target: Target::Group(group) }
    }
}
