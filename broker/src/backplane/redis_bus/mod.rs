//! The backplane of a node among others: envelopes over Redis, with the numbers of `lanes` on top of the links of `redis`.
//!
//! What is published is numbered and queued under one lock, so that numbers leave in their order. What arrives passes
//! [`Heard`], which drops what has come twice, asks for what is missing and keeps the order meanwhile. The links' thread
//! brings messages, a task of the main runtime does what is done now and then; both take the lock of `ears` for as long
//! as it takes to hand on what is due, so that nothing is overtaken.
//!
//! Locks, in their order: `ears`, then `wishes`, then one of the others. A receiver is called under `ears` and may publish, but
//! neither watch nor unwatch; these take any lock but `ears`.

mod arrivals;
mod checkpoints;
mod faults;
mod namesakes;
mod nodes;
mod parting;
mod probes;
mod repairs;
mod upkeep;
mod wishes;

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use codec::ids::NodeId;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::lanes::{Heard, RingLimits, Sent, Stamp, Step};
use super::redis::{LinkError, LinkState, Links, Outgoing, QueueLimits, RedisConfig};
use super::store::Store;
use super::wire::{Body, LinkMessage, Unsealed};
use super::{
    Applied, Bus, BusError, BusFull, Channel, Content, Envelope, LinkFault, Number, Outlook, Overview,
    Partition, PartitionSet, Position, QuestionId, Receipt, Receiver, Reply,
};
use crate::telemetry::metrics::BackplaneMetrics;
use crate::telemetry::throttle::Throttle;
use arrivals::Arrived;
use checkpoints::Checkpoints;
use faults::Signs;
use namesakes::Namesakes;
use nodes::Nodes;
use probes::Probes;
use repairs::Asked;
use wishes::Wishes;

/// What is kept for those who miss it. Enough for the seconds that a lost connection takes to be made anew.
const RING: RingLimits = RingLimits { bytes: 32 << 20, age: Duration::from_secs(60) };
/// Longest time that a node waits for Redis when it starts.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time that a node that stops waits until Redis has taken what it has published.
const LAST_PATIENCE: Duration = Duration::from_secs(2);
/// Longest time that a node that starts waits for the others to say that they are there. More than a beat takes.
const MEETING: Duration = Duration::from_millis(1500);
/// How often it looks meanwhile.
const MEETING_LOOK: Duration = Duration::from_millis(5);

/// A question that is never asked: nodes number theirs from 0.
const NO_QUESTION: QuestionId = QuestionId(u64::MAX);

/// See the module.
pub struct RedisBus {
    inner: Arc<Inner>,
    /// Does what is done now and then.
    upkeep: AbortHandle,
}

struct Inner {
    node: NodeId,
    /// Which run of the node this is.
    epoch: u64,
    prefix: String,
    receive: Receiver,
    /// Absent until they are up.
    links: OnceLock<(Links, watch::Receiver<LinkState>)>,
    /// Absent as long as they are.
    store: OnceLock<Store>,
    sent: Mutex<Sent>,
    ears: Mutex<Ears>,
    /// What is answered when it is known what has been published.
    asked: Mutex<Vec<Asked>>,
    /// Channels whose numbers [`Heard`] is to forget. Noted apart, because whoever begins to watch a channel may hold a
    /// lock that a receiver wants.
    forgotten: Mutex<Vec<Arc<str>>>,
    wishes: Mutex<Wishes>,
    probes: Mutex<Probes>,
    nodes: Mutex<Nodes>,
    namesakes: Mutex<Namesakes>,
    /// Set when the node says farewell.
    has_left: AtomicBool,
    /// Who has said that they have all that the node had published before.
    checkpoints: Mutex<Checkpoints>,
    /// A number up to which Redis has taken what the node has published.
    confirmed: AtomicU64,
    metrics: BackplaneMetrics,
    /// Log lines about what was lost, and about what cannot be read.
    losses: Mutex<Throttle>,
    unreadable: Mutex<Throttle>,
}

/// What the node has heard, and room for what is to be done next.
struct Ears {
    heard: Heard<Arrived>,
    steps: Vec<Step<Arrived>>,
}

/// What a node brings to its bus.
pub struct RedisBusParts {
    /// How Redis is reached.
    pub config: RedisConfig,
    /// The node's id.
    pub node: NodeId,
    /// A random number of this run.
    pub epoch: u64,
    /// Takes in what arrives.
    pub receive: Receiver,
    /// Where it counts.
    pub metrics: BackplaneMetrics,
}

impl RedisBus {
    /// Links the node to the others. It hears what concerns it when this resolves. Must be called on a runtime that lives
    /// as long as the bus.
    ///
    /// # Errors
    /// [`LinkError`] says what to change.
    pub async fn start(parts: RedisBusParts) -> Result<Self, LinkError> {
        let RedisBusParts { config, node, epoch, receive, metrics } = parts;
        let inner = Arc::new(Inner {
            nodes: Mutex::new(Nodes::new(node.clone(), Instant::now())),
            namesakes: Mutex::new(Namesakes::new(epoch, Instant::now())),
            has_left: AtomicBool::new(false),
            checkpoints: Mutex::default(),
            confirmed: AtomicU64::new(0),
            node,
            epoch,
            prefix: config.prefix().to_owned(),
            receive,
            links: OnceLock::new(),
            store: OnceLock::new(),
            sent: Mutex::new(Sent::new(RING)),
            ears: Mutex::new(Ears { heard: Heard::new(), steps: Vec::new() }),
            asked: Mutex::default(),
            forgotten: Mutex::default(),
            wishes: Mutex::default(),
            probes: Mutex::default(),
            metrics,
            losses: Mutex::default(),
            unreadable: Mutex::default(),
        });
        let weak = Arc::downgrade(&inner);
        let on_event = move |event| {
            if let Some(inner) = Weak::upgrade(&weak) {
                inner.on_event(event);
            }
        };
        let links = Links::start(config, QueueLimits::default(), PATIENCE, on_event).await?;
        let state = links.state();
        let _ = inner.store.set(Store::new(links.clone(), &inner.prefix));
        let _ = inner.links.set((links, state));
        inner.watch_own_channels().await?;
        inner.meet_others().await;
        let upkeep = tokio::spawn(upkeep::keep_up(Arc::downgrade(&inner))).abort_handle();
        Ok(Self { inner, upkeep })
    }
}

impl Inner {
    /// What every node hears: what is for it, what is for all, and its own probes.
    async fn watch_own_channels(&self) -> Result<(), LinkError> {
        let probes = (0..=u8::MAX).map(|number| Channel::Probe(self.node.clone(), Partition(number)));
        let channels = [Channel::Node(self.node.clone()), Channel::AllNodes].into_iter().chain(probes);
        let watches: Vec<_> = channels.map(|channel| self.watch(&channel)).collect();
        let all = futures_util::future::try_join_all(watches);
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(LinkError::Patience),
        }
    }

    /// Says that the node is there and waits until all that hear it have said the same: whoever does not know the others
    /// cannot tell whose answer is missing.
    async fn meet_others(&self) {
        let (receipt, handed) = oneshot::channel();
        self.tell_with(Some(receipt), &Channel::AllNodes, LinkMessage::Beat { sequence: 0, age_ms: 0 });
        let met = async {
            // Itself included.
            let count = handed.await.unwrap_or(Ok(0)).unwrap_or(0);
            while (lock(&self.nodes).count() as u64) + 1 < count {
                tokio::time::sleep(MEETING_LOOK).await;
            }
        };
        if tokio::time::timeout(MEETING, met).await.is_err() {
            tracing::info!("another node hears this one and does not answer");
        }
    }

    fn watch(&self, channel: &Channel) -> BoxFuture<'static, Result<(), BusError>> {
        let Some((links, _)) = self.links.get() else {
            return std::future::ready(Err(BusError)).boxed();
        };
        let name = self.name(channel);
        // What was published before must not count as missing.
        let is_new = lock(&self.wishes).want(&name, channel);
        if is_new {
            lock(&self.forgotten).push(Arc::clone(&name));
        }
        links.subscribe(channel.partition(), &name)
    }

    fn name(&self, channel: &Channel) -> Arc<str> {
        channel.name(&self.prefix).into()
    }

    fn publish(
        &self,
        channel: &Channel,
        envelope: Envelope,
        receipt: Option<Receipt>,
    ) -> Result<Number, BusFull> {
        let (links, _) = self.links.get().ok_or(BusFull)?;
        let (partition, name) = (channel.partition(), self.name(channel));
        let Envelope { content, publication, .. } = envelope;
        let noted = match (&content, self.store.get()) {
            (Content::Command { applied: Applied::Noted, command }, Some(store)) => {
                Some((store, command.hub.clone()))
            }
            _ => None,
        };
        let unsealed = Unsealed::new(&self.node, self.epoch, &Body::Content(content));
        let mut sent = lock(&self.sent);
        let stamp = sent.stamp(&name);
        let payload = unsealed.seal(stamp.sequence, stamp.previous);
        let through = noted.map(|(store, hub)| match &publication {
            None => store.through(partition),
            Some(publication) => {
                let void = (stamp.sequence, self.void(stamp));
                store.through_once((partition, &hub), publication, void)
            }
        });
        let outgoing =
            Outgoing { partition, channel: Arc::clone(&name), payload: payload.clone(), receipt, through };
        let is_once = outgoing.through.as_ref().is_some_and(|through| through.once.is_some());
        if let Err(full) = links.publish(outgoing) {
            sent.take_back(&name, stamp);
            return Err(full);
        }
        sent.keep(stamp.sequence, (partition, name), payload, Instant::now());
        if is_once {
            // The links tell what becomes of it on their thread, which waits for the lock.
            sent.unsettle(stamp.sequence, partition);
        }
        Ok(Number { epoch: self.epoch, sequence: stamp.sequence })
    }

    /// What has the place of an envelope and says nothing, in a way that every version understands: an answer to a
    /// question that nobody asks. Whoever hears it has heard the envelope of that number.
    fn void(&self, stamp: Stamp) -> Bytes {
        let nothing = Content::Reply { to: NO_QUESTION, reply: Reply::Unknown };
        let unsealed = Unsealed::new(&self.node, self.epoch, &Body::Content(nothing));
        unsealed.seal(stamp.sequence, stamp.previous)
    }

    /// Publishes what buses tell each other. It stands outside of every order, and nobody is told if it goes nowhere.
    fn tell(&self, channel: &Channel, message: LinkMessage) {
        self.tell_with(None, channel, message);
    }

    /// The same to one node, where it hears its own probes: that is as long as it runs. It gives up [`Channel::Node`] when
    /// its connections have moved, and others may have to ask it for something after that.
    fn tell_node(&self, node: NodeId, message: LinkMessage) {
        let partition = Channel::Node(node.clone()).partition();
        self.tell(&Channel::Probe(node, partition), message);
    }

    fn tell_with(&self, receipt: Option<Receipt>, channel: &Channel, message: LinkMessage) {
        let Some((links, _)) = self.links.get() else {
            return;
        };
        let payload: Bytes = Unsealed::new(&self.node, self.epoch, &Body::Link(message)).seal(0, 0);
        let (partition, channel) = (channel.partition(), self.name(channel));
        if links.publish(Outgoing { partition, channel, payload, receipt, through: None }).is_err() {
            tracing::debug!("the queue to Redis is full");
        }
    }

    /// Whether Redis has taken all that was published.
    async fn flush(&self) -> bool {
        let Some((links, _)) = self.links.get() else {
            return false;
        };
        let is_taken = links.flush(LAST_PATIENCE).await;
        if !is_taken {
            tracing::warn!("Redis has not taken the messages of this node in time");
        }
        is_taken
    }

    fn fault(&self) -> Option<LinkFault> {
        let Some((links, state)) = self.links.get() else {
            return Some(LinkFault::Deaf);
        };
        let now = Instant::now();
        let (state, waiting) = (*state.borrow(), links.waiting());
        let deaf = lock(&self.probes).deaf(now);
        let must_yield = lock(&self.namesakes).verdict(now).must_yield;
        Signs { state, deaf, waiting, must_yield }.fault()
    }

    fn is_hearing(&self) -> bool {
        let is_linked = self.links.get().is_some_and(|(_, state)| state.borrow().hearing);
        is_linked && lock(&self.probes).deaf(Instant::now()) == 0
    }
}

/// Nothing that runs under one of the locks leaves its value half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bus for RedisBus {
    fn publish(
        &self,
        channel: &Channel,
        envelope: Envelope,
        receipt: Option<Receipt>,
    ) -> Result<Number, BusFull> {
        self.inner.publish(channel, envelope, receipt)
    }

    fn watch(&self, channel: &Channel) -> BoxFuture<'static, Result<(), BusError>> {
        self.inner.watch(channel)
    }

    fn store(&self) -> Option<(Store, u64)> {
        Some((self.inner.store.get()?.clone(), self.inner.epoch))
    }

    fn unwatch(&self, channel: &Channel) {
        let name = self.inner.name(channel);
        lock(&self.inner.wishes).leave(&name, Instant::now());
    }

    fn flush(&self) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.inner);
        async move {
            inner.flush().await;
        }
        .boxed()
    }

    fn leave(&self) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.inner);
        async move { inner.leave().await }.boxed()
    }
}

impl Overview for RedisBus {
    fn position(&self, partitions: &PartitionSet) -> Option<Vec<Position>> {
        lock(&self.inner.ears).heard.position(partitions)
    }

    fn position_with_logs(&self, partitions: &PartitionSet) -> Option<Vec<Position>> {
        lock(&self.inner.ears).heard.position_with_logs(partitions)
    }

    fn has_all_of(&self, node: &NodeId) -> bool {
        lock(&self.inner.ears).heard.has_all_of(node)
    }

    fn all_have_all(&self) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.inner);
        async move { inner.all_have_all().await }.boxed()
    }

    fn outlook(&self) -> Outlook {
        let fault = self.inner.fault();
        let (others, unheard) = lock(&self.inner.nodes).standings();
        Outlook { fault, others, unheard }
    }

    fn room(&self) -> Option<BoxFuture<'static, ()>> {
        self.inner.links.get().and_then(|(links, _)| links.room())
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.upkeep.abort();
    }
}
