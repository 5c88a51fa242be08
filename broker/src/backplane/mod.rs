//! Links between nodes: envelopes go out, envelopes come in. No hub and no session is known here.

#[cfg(test)]
mod contract;
mod local;

use std::sync::Arc;

use codec::ids::NodeId;
use futures_util::future::BoxFuture;

pub use local::LocalBus;

use crate::model::command::{Command, Topic};

/// Carries envelopes to every node that watches their topic, the sender's own included. Fan-out to sockets is never
/// its task.
pub trait Bus: Send + Sync + 'static {
    /// Queues for the nodes that watch `topic`; keeps the order of calls; never waits for the network.
    ///
    /// # Errors
    /// [`BusFull`] when nothing more can be queued: the envelope has gone nowhere.
    fn publish(&self, topic: &Topic, envelope: Envelope) -> Result<(), BusFull>;

    /// Resolves once whatever is published to `topic` from now on will reach this node.
    fn watch(&self, topic: &Topic) -> BoxFuture<'static, Result<(), BusError>>;

    /// Ends the wish. Envelopes that are under way may still arrive.
    fn unwatch(&self, topic: &Topic);
}

/// The link to the other nodes takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link to the other nodes takes nothing more")]
pub struct BusFull;

/// The link to the other nodes is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link to the other nodes is broken")]
pub struct BusError;

/// A command on its way between nodes. It carries content, never a client's encoding.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The node that published it.
    pub origin: NodeId,
    /// Whether the origin has served its own members already.
    pub applied: Applied,
    /// What is to be done.
    pub command: Arc<Command>,
}

/// Who serves the members of the node that publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The node itself, before it published: it drops the envelope when it comes back.
    AtOrigin,
    /// Nobody yet: the envelope's return gives the order.
    OnReceipt,
}

/// Takes in the envelopes of a bus, in their order, on whatever thread they arrive.
pub type Receiver = Box<dyn Fn(Envelope) + Send + Sync>;
