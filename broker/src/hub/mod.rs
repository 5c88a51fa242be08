//! This node's members: who is connected to which hub, in which groups, and how a message reaches them all.
//!
//! Each worker owns a [`Shard`] and touches it without locks. What workers share is the [`Switchboard`]: an index of
//! which of them have members of a target, and an inbox for each. No socket, no other node and no session is known
//! here; the router is the caller.

mod answer;
mod fanout;
mod gate;
mod gather;
mod group_state;
mod handover;
mod inbox;
mod index;
mod member;
mod outbox;
mod parcel;
mod portable;
mod presence;
mod queue;
mod reply_slot;
mod roster;
mod run;
mod shard;
mod window;

use std::sync::Arc;

use codec::ids::{ConnectionId, HubName};

pub use fanout::Outgoing;
pub use gate::{Unwritten, UnwrittenMessage, Version};
pub use gather::Gather;
pub use group_state::NotMember;
pub use handover::{Held, HoldKey, Known, Ticket};
pub use inbox::{Inbox, Letter};
pub use index::{Index, Watch, WatchFailed, Watching, Workers};
pub use member::{MemberKey, NewMember};
pub use outbox::{Outbox, OutboxLimits};
pub use parcel::Parcel;
pub use presence::{Keeping, Presence, PresenceChange};
pub use queue::{DELIVERY_KINDS, QueueLimits};
pub use reply_slot::ReplySlot;
pub use shard::{Flushed, Joined, Shard};
pub use window::WindowLimits;

use crate::model::command::{Target, Topic};

/// Most workers of a node: one bit of a word for each.
pub const MAX_WORKERS: usize = 64;

/// What the workers of a node share.
#[derive(Debug)]
pub struct Switchboard {
    /// Which workers have members of what.
    pub index: Index,
    inboxes: Vec<Inbox>,
}

impl Switchboard {
    /// For this many workers, from 1 to [`MAX_WORKERS`].
    pub fn new(workers: usize) -> Self {
        Self { index: Index::default(), inboxes: (0..workers).map(|_| Inbox::default()).collect() }
    }

    /// The inbox of a worker.
    pub fn inbox(&self, worker: usize) -> &Inbox {
        &self.inboxes[worker]
    }

    /// Which workers may have a connection of the target.
    pub fn workers_of(&self, hub: &HubName, target: &Target) -> Workers {
        match target {
            // Connections are not indexed: the id itself names the worker, here and on every node that it moves to.
            Target::Connection(id) => self.worker_of(id).map(Workers::only).unwrap_or_default(),
            _ => self.index.workers_of(hub, target),
        }
    }

    /// The worker that a connection belongs to wherever it is.
    pub fn worker_of(&self, id: &ConnectionId) -> Option<usize> {
        id.worker().map(|worker| usize::from(worker) % self.inboxes.len())
    }

    /// How many workers there are.
    pub fn count(&self) -> usize {
        self.inboxes.len()
    }

    /// Hands a message to every worker that has a connection of its target. Messages reach a worker in the order of
    /// these calls; one that is hopelessly behind is told instead that it is lost.
    pub fn deliver(&self, outgoing: &Arc<Outgoing>) {
        let command = outgoing.command();
        for worker in self.workers_of(&command.hub, &command.target) {
            self.inboxes[worker].offer(Letter::Deliver(Arc::clone(outgoing)));
        }
    }

    /// Waits until no worker's inbox is full.
    pub async fn room(&self) {
        for inbox in &self.inboxes {
            inbox.room().await;
        }
    }

    /// Tells every worker that messages of these partitions do not come, or not in order.
    pub fn fall_behind(&self, partitions: &Arc<[u8]>) {
        self.inboxes.iter().for_each(|inbox| inbox.post(Letter::Behind(Arc::clone(partitions))));
    }

    /// Tells every worker that has members of the topic, or all workers when there is none, that messages are lost.
    pub fn lose(&self, topic: Option<&Topic>) {
        let workers = topic.map_or_else(
            || Workers::first(self.inboxes.len()),
            |topic| self.workers_of(&topic.hub, &topic.target),
        );
        for worker in workers {
            self.inboxes[worker].post(Letter::Lost(topic.cloned()));
        }
    }
}
