//! Durable hubs: what is sent there is noted by the bus before anybody has it, and whoever sent it is told only then that
//! it is taken.
//!
//! Nobody is served before the others: what a node publishes comes to its own members by the bus as well, so that
//! everywhere what comes of one node comes in the order of its numbers. What is for a connection is published to the
//! connection's own topic, wherever it is, so that there is one log that has it.

use std::collections::BTreeSet;
use std::sync::Arc;

use codec::ids::{ConnectionId, HubName, SequenceId};
use tokio::sync::futures::Notified;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{PATIENCE, Pending, RouteError, Router};
use crate::backplane::store::Store;
use crate::backplane::{Applied, BusError, Channel, Content, Envelope, Partition};
use crate::hub::{MemberKey, Version};
use crate::model::command::{Command, Publication, Target, Topic};

/// The hubs that are durable for as long as the node runs. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct DurableHubs(Arc<BTreeSet<HubName>>);

/// What a client has published, on its way.
#[derive(Debug)]
pub struct Submitted(Option<oneshot::Receiver<Result<u64, BusError>>>);

impl DurableHubs {
    /// Whether a hub is one of them.
    #[inline]
    pub fn has(&self, hub: &HubName) -> bool {
        !self.0.is_empty() && self.0.contains(hub)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<HubName> for DurableHubs {
    fn from_iter<I: IntoIterator<Item = HubName>>(hubs: I) -> Self {
        Self(Arc::new(hubs.into_iter().collect()))
    }
}

impl Submitted {
    /// It needs nothing more.
    pub(super) fn at_once() -> Self {
        Self(None)
    }

    /// Whether there is nothing to wait for.
    pub fn is_taken(&self) -> bool {
        self.0.is_none()
    }

    /// Resolves when it is noted where it outlives this node.
    ///
    /// # Errors
    /// It cannot be known whether it is, and whether anybody has it: [`RouteError::Unreachable`] when it is refused,
    /// [`RouteError::Unanswered`] when nobody has said anything in time; it may be noted any moment.
    pub async fn taken(self) -> Result<(), RouteError> {
        let Some(receipt) = self.0 else { return Ok(()) };
        let told = tokio::time::timeout(PATIENCE, receipt).await.map_err(|_| RouteError::Unanswered)?;
        told.map_err(|_| RouteError::Unreachable)?.map_err(|_| RouteError::Unreachable).map(drop)
    }
}

impl Router {
    /// Whether a hub is durable.
    pub fn is_durable(&self, hub: &HubName) -> bool {
        self.0.exchange.durable().has(hub)
    }

    /// Where the records of durable connections are kept, and by what number this run of the node is known; absent when
    /// there are no durable hubs, or nothing is kept.
    pub fn store(&self) -> Option<(Store, u64)> {
        if self.0.exchange.durable().is_empty() { None } else { self.0.bus.store() }
    }

    /// Where in the store, and on which way to it, what is sent to a topic stands.
    pub fn partition_of(topic: &Topic) -> Partition {
        Channel::Topic(topic.clone()).partition()
    }

    /// Messages up to this number, and all changes up to this version, are written of a durable connection.
    pub fn written(&self, key: MemberKey, up_to: SequenceId, version: Version) {
        self.shard().written(key, up_to, version);
        self.0.written.notify_waiters();
    }

    /// Nothing more of a durable connection will be written for now.
    pub fn written_no_more(&self) {
        self.0.written.notify_waiters();
    }

    /// Resolves when [`Router::written`] or [`Router::written_no_more`] is called after this.
    pub fn progress(&self) -> Notified<'_> {
        self.0.written.notified()
    }

    /// Settled when everything is written of what a topic's members here have changed until now.
    pub fn written_through(&self, topic: &Topic) -> Pending {
        let keys = self.shard().select(&topic.hub, &topic.target, &[], None);
        Pending { unwritten: self.unwritten(&keys), ..Pending::default() }
    }

    /// What is still to be written of these members.
    pub(super) fn unwritten(&self, keys: &[MemberKey]) -> Vec<(MemberKey, Version)> {
        let shard = self.shard();
        let all = keys.iter().map(|&key| (key, shard.version(key)));
        all.filter(|&(key, version)| shard.is_written(key, version) == Some(false)).collect()
    }

    /// Waits until all this is written.
    pub(super) async fn written_until(
        &self,
        unwritten: Vec<(MemberKey, Version)>,
        deadline: Instant,
    ) -> Result<(), RouteError> {
        for (key, version) in unwritten {
            loop {
                // Asked for before looking, so that what is written in between is not missed.
                let progress = self.progress();
                let is_written = self.shard().is_written(key, version);
                // Whoever goes on with it elsewhere may not know of it.
                if is_written.ok_or(RouteError::Incomplete)? {
                    break;
                }
                tokio::time::timeout_at(deadline, progress).await.map_err(|_| RouteError::Unreachable)?;
            }
        }
        Ok(())
    }

    /// Publishes to all members of a durable hub's topic, this node's included. A publication that has been noted already
    /// is taken as well, and nobody has it twice.
    pub(super) fn note(
        &self,
        topic: Topic,
        command: Arc<Command>,
        publication: Option<Publication>,
    ) -> Result<Submitted, RouteError> {
        let (receipt, told) = oneshot::channel();
        let content = Content::Command { applied: Applied::Noted, command };
        let envelope = Envelope { publication, ..self.envelope(content) };
        self.publish_envelope(&Channel::Topic(topic), envelope, Some(receipt))?;
        Ok(Submitted(Some(told)))
    }

    /// Sees to it that what is sent to a connection of a durable hub comes to this node.
    pub(super) fn watch_own(&self, hub: &HubName, id: &ConnectionId, pending: &mut Pending) {
        if self.is_durable(hub) {
            self.watch(hub, Target::Connection(id.clone()), pending);
        }
    }
}
