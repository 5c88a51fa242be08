//! Links between nodes: envelopes go out, envelopes come in. No hub and no session is known here.

mod channel;
#[cfg(test)]
mod contract;
mod envelope;
mod lanes;
mod local;
mod outlook;
mod partitions;
pub mod redis;
mod redis_bus;
pub mod store;
pub mod wire;

use codec::ids::NodeId;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::oneshot;

pub use channel::{Channel, Partition};
pub use envelope::{Applied, Content, Envelope, Number, Position, QuestionId, Reply};
pub use local::LocalBus;
pub use outlook::{LinkFault, Outlook, Standing};
pub use partitions::PartitionSet;
pub use redis_bus::{RedisBus, RedisBusParts};

use crate::model::command::Topic;
use store::Store;

/// Carries envelopes to every node that watches their channel, the sender's own included. Fan-out to sockets is never
/// its task.
pub trait Bus: Overview {
    /// Queues for the nodes that watch `channel`, and gives the number by which they know it; keeps the order of calls;
    /// never waits for the network. `receipt` is told what became of it.
    ///
    /// # Errors
    /// [`BusFull`] when nothing more can be queued: the envelope has gone nowhere, and the receipt is dropped.
    fn publish(
        &self,
        channel: &Channel,
        envelope: Envelope,
        receipt: Option<Receipt>,
    ) -> Result<Number, BusFull>;

    /// Resolves once whatever is published to `channel` from now on will reach this node.
    fn watch(&self, channel: &Channel) -> BoxFuture<'static, Result<(), BusError>>;

    /// Ends the wish. Envelopes that are under way may still arrive.
    fn unwatch(&self, channel: &Channel);

    /// Resolves when all that was published has gone out, or will not any more.
    fn flush(&self) -> BoxFuture<'static, ()>;

    /// Where durable hubs keep what must outlive this node, and the number of this run of the node; absent when the bus
    /// keeps nothing.
    fn store(&self) -> Option<(Store, u64)> {
        None
    }

    /// Tells the others that this run of the node has ended and that nothing of it is left; resolves when that and all
    /// that was published before it has gone out, or will not any more. The last call.
    fn leave(&self) -> BoxFuture<'static, ()>;
}

/// What a bus can tell of itself and of the other nodes.
pub trait Overview: Send + Sync + 'static {
    /// How far the node is with what all nodes, itself included, publish to these partitions; nothing while something is
    /// missing, or may be. What has come has been given to the receiver before.
    fn position(&self, partitions: &PartitionSet) -> Option<Vec<Position>>;

    /// The same for whoever reads in logs what this node has missed while it was deaf: a node that has been quiet since is
    /// not waited for. It may be lost, and nobody else knows what was missed of it. From the first call on
    /// [`Arrival::Deaf`] comes whenever something has to wait, that of such a node included.
    fn position_with_logs(&self, partitions: &PartitionSet) -> Option<Vec<Position>> {
        self.position(partitions)
    }

    /// Whether all that the node has published and that has come here has been given to the receiver, and nothing is missing
    /// in between: nothing of it waits.
    fn has_all_of(&self, _node: &NodeId) -> bool {
        true
    }

    /// Resolves when all other nodes that are there have given everything to their receivers that this node has published
    /// until now. Whoever waits has a time limit of their own: a node that is cut off is waited for until it is gone.
    fn all_have_all(&self) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }

    /// How this node and the others are linked at the moment, as far as it can tell.
    fn outlook(&self) -> Outlook;

    /// Nothing while there is room for more. Otherwise so much waits to go out that whoever can wait should, until this
    /// resolves: there is room again, or nothing goes out at all, so that waiting makes no sense.
    fn room(&self) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

/// Is told how many nodes an envelope was handed to once its order among all that was published to its channel is
/// settled, or that it cannot be known whether anybody has it. Dropped without a word when the bus ends.
pub type Receipt = oneshot::Sender<Result<u64, BusError>>;

/// The link to the other nodes takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link to the other nodes takes nothing more")]
pub struct BusFull;

/// The link to the other nodes is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link to the other nodes is broken")]
pub struct BusError;

/// What a bus brings to its node.
#[derive(Debug)]
pub enum Arrival {
    /// An envelope of a channel that the node watches, or did until just now, and its number.
    Envelope(Envelope, Number),
    /// Envelopes of this topic, or of any channel when it is absent, have been lost for good.
    Lost(Option<Topic>),
    /// What is published to these partitions from now on, by one node at least, does not come for a while. What was, and is
    /// brought later, may come in another order than that in which it was published by different nodes.
    Deaf(PartitionSet),
}

/// Takes in what a bus brings, in its order, on whatever thread it arrives.
pub type Receiver = Box<dyn Fn(Arrival) + Send + Sync>;
