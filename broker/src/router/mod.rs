//! Where a message goes: to this worker's members, to the other workers', and to the other nodes.
//!
//! One path for one node and for many: what a client publishes is applied to this node first and published then; what
//! the application sends over REST is published only, and applied when the bus hands it back, as everything is in a durable
//! hub. Sockets, sessions and
//! REST are not known here; they are the callers.

mod durable;
mod exchange;
mod expected;
mod group_state;
mod handover;
mod portable;
mod survey;

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use codec::ids::{GroupName, HubName, NodeId};
use futures_util::FutureExt;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::backplane::{Applied, Bus, Channel, Content, Envelope, Number, Receipt};
use crate::hub::{
    Joined, Letter, MemberKey, NewMember, Outbox, Outgoing, Shard, Switchboard, Version, Watch, WatchFailed,
    Watching,
};
use crate::model::command::{Command, Identity, Publication, Target, Topic};

pub use durable::{DurableHubs, Submitted};
pub use exchange::Exchange;
pub use expected::Expected;
pub use group_state::ShowError;
pub use handover::{Taken, Whom};

/// Longest time that anything may take that somebody awaits: an answer, or room.
const PATIENCE: Duration = Duration::from_secs(5);

/// A worker's way to every member of the service. Cheap to clone; all clones of a worker are one.
#[derive(Clone)]
pub struct Router(Rc<Inner>);

struct Inner {
    worker: usize,
    shard: RefCell<Shard>,
    exchange: Arc<Exchange>,
    bus: Arc<dyn Bus>,
    /// A worker that was sent something is too far behind, or the bus.
    is_congested: Cell<bool>,
    /// Clients that are about to be connected and count on what is sent to them from now on.
    expected: Cell<usize>,
    /// Steps of surveys since others had their turn.
    steps: Cell<usize>,
    /// What this turn has for each other worker, posted together when the turn is flushed.
    outgoing: RefCell<Vec<Vec<Letter>>>,
    /// Something of a durable connection has been written, or its writer has come to an end.
    written: Notify,
}

/// A command could not be carried out. The fault is the broker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The link to the other nodes takes nothing more.
    #[error("the service cannot take the message now, try again later")]
    BusFull,
    /// The workers that hold the members are too far behind.
    #[error("the service has too much to do now, try again later")]
    Overloaded,
    /// A part of the service did not answer.
    #[error("a part of the service did not answer, try again later")]
    Incomplete,
    /// The link to the other nodes is broken.
    #[error("the service cannot reach its other nodes, try again later")]
    Unreachable,
    /// The link to the other nodes does not say in time what has become of it.
    #[error("the service cannot reach its other nodes in time, try again later")]
    Unanswered,
}

/// What must be waited for before a member may rely on its membership: nothing, most of the time.
#[must_use]
#[derive(Default)]
pub struct Pending {
    watches: Vec<(Topic, Watching)>,
    /// Memberships that depend on them.
    newly: Vec<(MemberKey, Topic)>,
    /// What has to be written of durable connections.
    unwritten: Vec<(MemberKey, Version)>,
}

/// What is left of a connection that has been forgotten.
#[derive(Debug)]
pub struct Detached {
    /// What is still queued for it.
    pub outbox: Outbox,
    /// That it shows nothing any more, for each group to which it showed something; to be given to
    /// [`Router::submit_cleared`]. There may be very many.
    pub cleared: Vec<Command>,
}

impl Router {
    /// The router of one worker, which is linked to the other nodes by `bus`.
    pub fn new(worker: usize, shard: Shard, exchange: Arc<Exchange>, bus: Arc<dyn Bus>) -> Self {
        Self(Rc::new(Inner {
            worker,
            shard: RefCell::new(shard),
            exchange,
            bus,
            is_congested: Cell::new(false),
            expected: Cell::new(0),
            steps: Cell::new(0),
            outgoing: RefCell::default(),
            written: Notify::new(),
        }))
    }

    /// The worker's part of the hub. Must not be held over a call to the router or an await.
    pub fn shard(&self) -> RefMut<'_, Shard> {
        self.0.shard.borrow_mut()
    }

    /// The number of this worker.
    pub fn worker(&self) -> usize {
        self.0.worker
    }

    /// The node that this worker belongs to.
    pub fn node(&self) -> &NodeId {
        self.0.exchange.node()
    }

    fn switchboard(&self) -> &Switchboard {
        self.0.exchange.switchboard()
    }

    /// Carries out what a client publishes, for this node's members without the way over the others. What one client
    /// submits reaches each member in that order.
    ///
    /// # Errors
    /// [`RouteError::BusFull`]: this node's members have the message, other nodes' do not; in a durable hub nobody has it.
    pub fn submit(&self, command: Command) -> Result<Submitted, RouteError> {
        self.submit_once(command, None)
    }

    /// As [`Router::submit`]. In a durable hub it is published once, however often and at however many nodes the client
    /// makes the same request.
    ///
    /// # Errors
    /// As [`Router::submit`].
    pub fn submit_once(
        &self,
        command: Command,
        publication: Option<Publication>,
    ) -> Result<Submitted, RouteError> {
        let command = Arc::new(command);
        let topic = Topic { hub: command.hub.clone(), target: command.target.clone() };
        if self.is_durable(&topic.hub) {
            let mut workers = self.switchboard().workers_of(&topic.hub, &topic.target).into_iter();
            let is_behind = workers.any(|worker| self.switchboard().inbox(worker).is_full());
            let submitted = self.note(topic, command, publication);
            if is_behind || self.0.bus.room().is_some() {
                self.0.is_congested.set(true);
            }
            return submitted;
        }
        // Published first, so that what this node's members receive has the name by which the others know it.
        let content = Content::Command { applied: Applied::AtOrigin, command: Arc::clone(&command) };
        let published = self.publish_to(&channel_of(&topic), content, None);
        let outgoing = Outgoing::new(command, Instant::now());
        let outgoing = Arc::new(outgoing.known_as(published.as_ref().ok().cloned()));
        let workers = self.switchboard().workers_of(&topic.hub, &topic.target);
        if workers.contains(self.0.worker) {
            self.shard().deliver(&outgoing);
        }
        for worker in workers.without(self.0.worker) {
            self.post(worker, Letter::Deliver(Arc::clone(&outgoing)));
        }
        if self.0.bus.room().is_some() {
            self.0.is_congested.set(true);
        }
        published.map(|_| Submitted::at_once())
    }

    /// Hands on what the application sends. It resolves when the bus has taken the message; sends that are awaited one
    /// after another reach each member in that order, whichever workers of whichever nodes took them.
    ///
    /// # Errors
    /// [`RouteError::Overloaded`]: the members' workers are too far behind, and nobody has the message.
    /// [`RouteError::BusFull`]: the link to the other nodes takes nothing more, and nobody has the message.
    /// [`RouteError::Unreachable`]: it cannot be known whether anybody has it.
    pub async fn publish(&self, command: Command) -> Result<(), RouteError> {
        let topic = Topic { hub: command.hub.clone(), target: command.target.clone() };
        let room = self.switchboard().room();
        tokio::time::timeout(PATIENCE, room).await.map_err(|_| RouteError::Overloaded)?;
        let command = Arc::new(command);
        if self.is_durable(&topic.hub) {
            return self.note(topic, command, None)?.taken().await;
        }
        let receivers = self.publish_and_wait(&channel_of(&topic), &command).await?;
        if receivers == 0 && matches!(topic.target, Target::Connection(_)) {
            // Its node has ended. Whoever has taken the connection over watches its own topic.
            self.publish_and_wait(&Channel::Topic(topic), &command).await?;
        }
        Ok(())
    }

    /// Resolves with the number of nodes that the message was handed to.
    async fn publish_and_wait(&self, channel: &Channel, command: &Arc<Command>) -> Result<u64, RouteError> {
        let content = Content::Command { applied: Applied::OnReceipt, command: Arc::clone(command) };
        let taken = tokio::time::timeout(PATIENCE, self.reach(channel, content)).await;
        taken.map_err(|_| RouteError::Unreachable)?
    }

    /// Publishes, and resolves with the number of nodes that it was handed to.
    async fn reach(&self, channel: &Channel, content: Content) -> Result<u64, RouteError> {
        let (receipt, receivers) = oneshot::channel();
        self.publish_to(channel, content, Some(receipt))?;
        let receivers = receivers.await.map_err(|_| RouteError::Unreachable)?;
        receivers.map_err(|_| RouteError::Unreachable)
    }

    /// Whether a worker that is sent messages, or the bus, is so far behind that clients who publish should not be read
    /// on.
    pub fn is_congested(&self) -> bool {
        self.0.is_congested.get()
    }

    /// Waits until no worker is too far behind, and the bus is not, or does not move at all.
    pub async fn room(&self) {
        if self.is_congested() {
            self.switchboard().room().await;
            if let Some(room) = self.0.bus.room() {
                room.await;
            }
            self.0.is_congested.set(false);
        }
    }

    /// Messages that were lost since the last call because this worker was too far behind to take them.
    pub fn take_missed(&self) -> u64 {
        self.switchboard().inbox(self.0.worker).take_missed()
    }

    /// Resolves when this worker has brought its members all that other threads had for them until now.
    pub async fn caught_up(&self) {
        self.switchboard().inbox(self.0.worker).caught_up().await;
    }

    /// Resolves when all that this node has published until now has gone out to the others.
    pub async fn flushed(&self) {
        self.0.bus.flush().await;
    }

    fn publish_to(
        &self,
        channel: &Channel,
        content: Content,
        receipt: Option<Receipt>,
    ) -> Result<Identity, RouteError> {
        self.publish_envelope(channel, self.envelope(content), receipt)
    }

    fn envelope(&self, content: Content) -> Envelope {
        Envelope { origin: self.node().clone(), content, publication: None }
    }

    fn publish_envelope(
        &self,
        channel: &Channel,
        envelope: Envelope,
        receipt: Option<Receipt>,
    ) -> Result<Identity, RouteError> {
        let origin = envelope.origin.clone();
        let published = self.0.bus.publish(channel, envelope, receipt);
        let Number { epoch, sequence } = published.map_err(|_| RouteError::BusFull)?;
        Ok(Identity { origin, epoch, sequence })
    }

    fn post(&self, worker: usize, letter: Letter) {
        if self.switchboard().inbox(worker).is_full() {
            self.0.is_congested.set(true);
        }
        let mut outgoing = self.0.outgoing.borrow_mut();
        if outgoing.len() <= worker {
            outgoing.resize_with(worker + 1, Vec::new);
        }
        outgoing[worker].push(letter);
    }

    /// Whether other workers have to be told what this turn has for them.
    pub fn has_letters(&self) -> bool {
        self.0.outgoing.borrow().iter().any(|letters| !letters.is_empty())
    }

    /// Tells the other workers what this turn has for them.
    pub fn post_letters(&self) {
        for (worker, letters) in self.0.outgoing.borrow_mut().iter_mut().enumerate() {
            if !letters.is_empty() {
                self.switchboard().inbox(worker).post_all(letters);
            }
        }
    }

    /// Takes in a connection.
    pub fn attach(&self, new: &NewMember) -> (MemberKey, Pending) {
        let key = self.shard().attach(new);
        let mut pending = Pending::default();
        self.watch(&new.hub, Target::Hub, &mut pending);
        if let Some(user) = new.user_id.clone() {
            self.watch(&new.hub, Target::User(user), &mut pending);
        }
        self.watch_own(&new.hub, &new.connection_id, &mut pending);
        (key, pending)
    }

    /// Makes a connection a member of a group.
    pub fn join(&self, key: MemberKey, hub: &HubName, group: GroupName) -> Pending {
        self.join_all(&[key], hub, group)
    }

    /// Makes connections members of a group. One that is already relies on its membership as well.
    pub fn join_all(&self, keys: &[MemberKey], hub: &HubName, group: GroupName) -> Pending {
        let target = Target::Group(group);
        let mut shard = self.shard();
        let joined: Vec<(MemberKey, Joined)> =
            keys.iter().map(|&key| (key, shard.join(key, hub, &target))).collect();
        drop(shard);
        let mut pending = Pending::default();
        if joined.iter().all(|(_, joined)| *joined == Joined::Gone) {
            return pending;
        }
        self.watch(hub, target.clone(), &mut pending);
        if !pending.is_settled() {
            let newly = joined.into_iter().filter(|(_, joined)| *joined == Joined::Newly);
            let topic = Topic { hub: hub.clone(), target };
            pending.newly = newly.map(|(key, _)| (key, topic.clone())).collect();
        }
        pending
    }

    /// Ends a membership.
    pub fn leave(&self, key: MemberKey, hub: &HubName, group: &Target) {
        let emptied = self.shard().leave(key, hub, group);
        if let Some(topic) = emptied {
            self.unwatch(&topic);
        }
        self.submit_cleared_states();
    }

    /// Forgets a connection.
    pub fn detach(&self, key: MemberKey) -> Option<Detached> {
        let (outbox, emptied) = self.shard().detach(key)?;
        for topic in &emptied {
            self.unwatch(topic);
        }
        Some(Detached { outbox, cleared: self.cleared_states() })
    }

    fn watch(&self, hub: &HubName, target: Target, pending: &mut Pending) {
        let topic = Topic { hub: hub.clone(), target };
        let watch = || -> Watch {
            self.0.bus.watch(&Channel::Topic(topic.clone())).map(|done| done.map_err(|_| WatchFailed)).boxed()
        };
        let watching = self.switchboard().index.add(&topic, self.0.worker, watch);
        pending.watches.extend(watching.map(|watching| (topic, watching)));
    }

    fn unwatch(&self, topic: &Topic) {
        if self.shard().is_held(topic) {
            return;
        }
        self.switchboard()
            .index
            .remove(topic, self.0.worker, || self.0.bus.unwatch(&Channel::Topic(topic.clone())));
    }

    /// Waits until the memberships can be relied on. If they cannot, those that are new are taken back.
    ///
    /// # Errors
    /// [`RouteError::Unreachable`] when the other nodes could not be told in five seconds.
    pub async fn settle(&self, pending: Pending) -> Result<(), RouteError> {
        self.settle_until(pending, self.deadline()).await
    }

    /// Until when whoever awaits something from now on may be kept waiting.
    pub fn deadline(&self) -> Instant {
        Instant::now() + PATIENCE
    }

    /// The same as [`Router::settle`] with a deadline of the caller's. When it has passed already, what needs no waiting
    /// still succeeds.
    ///
    /// # Errors
    /// [`RouteError::Unreachable`] when the other nodes could not be told in time.
    pub async fn settle_until(&self, pending: Pending, deadline: Instant) -> Result<(), RouteError> {
        for (topic, watching) in pending.watches {
            let watched = tokio::time::timeout_at(deadline, watching.clone()).await;
            if !matches!(watched, Ok(Ok(()))) {
                for (key, topic) in &pending.newly {
                    self.leave(*key, &topic.hub, &topic.target);
                }
                return Err(RouteError::Unreachable);
            }
            self.switchboard().index.watched(&topic, &watching);
        }
        self.written_until(pending.unwritten, deadline).await
    }
}

impl Pending {
    /// Whether there is nothing to wait for.
    pub fn is_settled(&self) -> bool {
        self.watches.is_empty() && self.unwritten.is_empty()
    }

    /// Waits for what `other` waits for as well.
    pub fn and(mut self, mut other: Self) -> Self {
        self.watches.append(&mut other.watches);
        self.newly.append(&mut other.newly);
        self.unwritten.append(&mut other.unwritten);
        self
    }
}

/// Where whoever holds the members of a topic is reached.
fn channel_of(topic: &Topic) -> Channel {
    let node = match &topic.target {
        Target::Connection(id) => id.node(),
        Target::Hub | Target::Group(_) | Target::User(_) => None,
    };
    node.map_or_else(|| Channel::Topic(topic.clone()), Channel::Node)
}
