//! The links of a node to its Redis servers: one Redis, a Redis Cluster, or whatever Sentinel names.
//!
//! Channels and bytes are all that is known here; what they mean is for the bus that owns the links. Everything that
//! talks to Redis runs on one thread of its own: `run` finds out who serves which partition and starts, for each
//! server, one `publisher`, one `subscriber` with one connection each, and one `caller`, which connects when the server is
//! first asked to run a script. `batches` is what the first and the last have in common. `outbox` and `wishes` are the
//! values in between: callers on any thread put in, the thread takes out.
//!
//! Promises: what is published of one partition goes out in the order of the calls, at least once, also over lost
//! connections and moves between servers; a wish to hear a channel outlives all of these.

mod backoff;
mod batches;
mod caller;
mod config;
mod connection;
mod counts;
mod error;
mod link;
mod outbox;
mod publisher;
mod run;
mod scout;
mod slots;
mod subscriber;
mod tap;
mod tls;
mod wishes;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use redis::Value;
use tokio::sync::{Notify, oneshot, watch};

use super::{BusError, BusFull, Partition, PartitionSet, Receipt};
use crate::telemetry::metrics::LinkNumbers;

pub use config::{Address, RedisConfig, RedisTexts};
pub use error::LinkError;

use counts::LinkCounts;
use outbox::{Item, Outbox};
use wishes::{Begun, Wishes};

/// The links of a node. Cheap to clone; they end with the last clone.
#[derive(Clone)]
pub struct Links {
    shared: Arc<Shared>,
    /// Ends the thread when the last clone of it goes.
    _thread: Arc<Thread>,
}

/// Something to be published.
pub struct Outgoing {
    /// Where the channel belongs. Its number must be what stands in braces in the channel's name.
    pub partition: Partition,
    /// Full name of the channel.
    pub channel: Arc<str>,
    /// What is published.
    pub payload: Bytes,
    /// Is told to how many subscribers Redis has handed it, or that it may not have reached anybody. In a Redis Cluster
    /// that is the number at the server that owns the channel, where all subscribers of a channel are.
    pub receipt: Option<Receipt>,
    /// What is done in place of a plain SPUBLISH, if anything.
    pub through: Option<Through>,
}

/// A script that publishes what it is given, and does something else at the same moment.
#[derive(Debug, Clone)]
pub struct Through {
    /// Its text. Its arguments are the channel and the payload, its answer is that of SPUBLISH.
    pub script: &'static str,
    /// Its first key, in the same slot as the channel.
    pub key: Arc<str>,
    /// What else it is given when the payload may be published already.
    pub once: Option<Once>,
}

/// By what a script knows that something has been published before, or comes too late. It publishes a void in its place
/// then, and its answer is -1 less the subscribers that the void was handed to, or nil if it comes too late.
#[derive(Debug, Clone)]
pub struct Once {
    /// Its second key, in the same slot, where it notes the names of what it has published.
    pub key: Arc<str>,
    /// Name of the payload, its third argument.
    pub name: Arc<str>,
    /// Its fourth argument.
    pub void: Bytes,
    /// Its fifth argument: it comes too late once something of a later term has been published.
    pub term: u64,
    /// By what [`LinkEvent::Settled`] names it.
    pub number: u64,
    /// Whether the script may have run: its answer was lost.
    pub is_tried: bool,
}

/// What has become of something that was to be published once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which it is.
    pub number: u64,
    /// What has taken its place, if it has not been published.
    pub void: Option<Bytes>,
}

/// A script that a server is to run on one key.
pub struct Call {
    /// Where the key belongs. Its number must be what stands in braces in the key.
    pub partition: Partition,
    /// Text of the script. It may be run twice when the first answer is lost.
    pub script: &'static str,
    /// Full name of the key.
    pub key: Arc<str>,
    /// What the script is given.
    pub arguments: Vec<Bytes>,
    /// Is told what it answers, or that it cannot be known what it has done.
    pub answer: oneshot::Sender<Result<Value, BusError>>,
}

/// How much may wait for one server.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Messages, what is in flight included.
    pub messages: usize,
    /// Bytes of channel names and payloads, what is in flight included.
    pub bytes: usize,
}

/// What the links bring. Always on their thread, in order; whoever takes it must not wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// Something was published to a channel that is wanted, or was until just now.
    Message {
        /// Full name of the channel.
        channel: Bytes,
        /// What was published.
        payload: Bytes,
        /// The server that brought it.
        from: ServerKey,
    },
    /// From a while ago until [`LinkEvent::Hearing`], what is published to channels of these partitions may be lost.
    Deaf(PartitionSet),
    /// Whatever is wanted of these partitions is heard, from now on. Also told once at the start.
    Hearing(PartitionSet),
    /// What was to be published once is published, or will not be.
    Settled(Vec<Settled>),
}

/// What works at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkState {
    /// The servers of all partitions can be published to.
    pub publishing: bool,
    /// All wanted channels of all partitions are heard.
    pub hearing: bool,
    /// A server refuses for good what is published to it.
    pub refused: bool,
}

/// Names a server among those of this process. One that comes back is a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerKey(u64);

/// What callers and the thread share. No lock is held while the other is taken.
struct Shared {
    config: RedisConfig,
    outbox: Mutex<Outbox<Outgoing>>,
    calls: Mutex<Outbox<Call>>,
    wishes: Mutex<Wishes>,
    state: watch::Sender<LinkState>,
    events: Box<dyn Fn(LinkEvent) + Send + Sync>,
    counts: LinkCounts,
    /// Somebody has reason to believe that servers have moved.
    owners_wanted: Notify,
    /// Something has gone out.
    gone: Notify,
    /// What [`Outbox::is_crowded`] said last. Written under its lock.
    is_crowded: AtomicBool,
    /// It is crowded no more.
    roomy: Notify,
}

struct Thread {
    stop: Option<oneshot::Sender<()>>,
    handle: Option<JoinHandle<()>>,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { messages: 100_000, bytes: 64 << 20 }
    }
}

impl Links {
    /// Finds the servers and connects to all that own a partition; ends when both publishing and hearing work. `events`
    /// is called on the links' thread.
    ///
    /// # Errors
    /// [`LinkError`] says what to change. What may pass by itself is waited for until `patience` is over.
    pub async fn start(
        config: RedisConfig,
        limits: QueueLimits,
        patience: Duration,
        events: impl Fn(LinkEvent) + Send + Sync + 'static,
    ) -> Result<Self, LinkError> {
        let shared = Arc::new(Shared {
            config,
            outbox: Mutex::new(Outbox::new(limits)),
            calls: Mutex::new(Outbox::new(limits)),
            wishes: Mutex::new(Wishes::new()),
            state: watch::Sender::new(LinkState::default()),
            events: Box::new(events),
            counts: LinkCounts::default(),
            owners_wanted: Notify::new(),
            gone: Notify::new(),
            is_crowded: AtomicBool::new(false),
            roomy: Notify::new(),
        });
        let deadline = Instant::now() + patience;
        let (stop, stopped) = oneshot::channel();
        let (found, answer) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| LinkError::Thread(error.to_string()))?;
        let on_thread = Arc::clone(&shared);
        let handle = std::thread::Builder::new()
            .name("redis-links".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = run::run(on_thread, deadline, found) => {}
                        _ = stopped => {}
                    }
                });
            })
            .map_err(|error| LinkError::Thread(error.to_string()))?;
        let thread = Thread { stop: Some(stop), handle: Some(handle) };
        let links = Self { shared, _thread: Arc::new(thread) };
        answer.await.unwrap_or(Err(LinkError::Patience))?;
        let mut state = links.state();
        let ready = state.wait_for(|state| state.publishing && state.hearing);
        match tokio::time::timeout_at(deadline.into(), ready).await {
            Ok(Ok(_)) => Ok(links.clone()),
            Ok(Err(_)) | Err(_) => Err(LinkError::Patience),
        }
    }

    /// Queues behind whatever waits for the same server. Never waits. A receipt fails when it has waited 10 seconds.
    ///
    /// # Errors
    /// [`BusFull`] when the server's queue is full: nothing has been queued, and the receipt is dropped.
    pub fn publish(&self, outgoing: Outgoing) -> Result<(), BusFull> {
        let bytes = outgoing.channel.len() + outgoing.payload.len();
        let item = Item::new(outgoing.partition, bytes, outgoing, Instant::now());
        let mut outbox = self.shared.outbox();
        let queued = outbox.push(item);
        if outbox.is_crowded() && !self.shared.is_crowded.swap(true, Ordering::Relaxed) {
            self.shared.counts.crowded();
        }
        drop(outbox);
        if queued.is_err() {
            self.shared.counts.refused();
        }
        queued
    }

    /// Nothing while little waits. Otherwise whoever can wait should, until this resolves: when there is room again, or
    /// when the server has taken nothing for five seconds, so that waiting makes no sense.
    pub fn room(&self) -> Option<BoxFuture<'static, ()>> {
        if !self.shared.is_crowded.load(Ordering::Relaxed) {
            return None;
        }
        self.shared.outbox().crowded_until(Instant::now())?;
        let shared = Arc::clone(&self.shared);
        let room = async move {
            loop {
                // Asked for before looking, so that room that comes in between is not missed.
                let roomy = shared.roomy.notified();
                let until = shared.outbox().crowded_until(Instant::now());
                let Some(until) = until else { return };
                // Whichever comes first, it is looked again.
                let _ = tokio::time::timeout_at(until.into(), roomy).await;
            }
        };
        Some(room.boxed())
    }

    /// Queues behind the calls that wait for the same server, apart from what is published there. Never waits. The answer
    /// is an error when it has waited 10 seconds.
    ///
    /// # Errors
    /// [`BusFull`] when the server's queue is full: nothing has been queued, and the place for the answer is dropped.
    pub fn call(&self, call: Call) -> Result<(), BusFull> {
        let bytes = call.key.len() + call.arguments.iter().map(Bytes::len).sum::<usize>();
        let item = Item::new(call.partition, bytes, call, Instant::now());
        self.shared.calls().push(item)
    }

    /// Resolves when Redis has confirmed that it sends what is published to the channel from now on, which may be long
    /// after a lost server is back; the caller has a time limit of its own. Letting go of the future does not end the
    /// wish, only [`Links::unsubscribe`] does.
    pub fn subscribe(
        &self,
        partition: Partition,
        channel: &Arc<str>,
    ) -> BoxFuture<'static, Result<(), BusError>> {
        let begun = self.shared.wishes().want(partition, channel);
        match begun {
            Begun::Live => ready(Ok(())).boxed(),
            Begun::Pending(receiver) => async move { receiver.await.map_err(|_| BusError) }.boxed(),
        }
    }

    /// Ends the wish, at once. Whoever waits for it fails, and messages that are under way may still arrive.
    pub fn unsubscribe(&self, channel: &str) {
        self.shared.wishes().take_back(channel);
    }

    /// The partitions of which all that is wanted is heard from this server now: in one order, that of its connection.
    pub fn heard_from(&self, server: ServerKey) -> PartitionSet {
        self.shared.wishes().heard_from(server)
    }

    /// What works, now and whenever it changes. It has changed already when an event tells why.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.shared.state.subscribe()
    }

    /// How long the oldest message has been waiting that has not gone out yet; nothing when none waits.
    pub fn waiting(&self) -> Duration {
        self.shared.outbox().waiting(Instant::now())
    }

    /// What has been counted since the start, and what waits now.
    pub fn numbers(&self) -> LinkNumbers {
        let load = self.shared.outbox().load();
        let channels = self.shared.wishes().len();
        self.shared.counts.numbers(load, channels)
    }

    /// Waits until all that was queued has been confirmed; false when `patience` is over before.
    pub async fn flush(&self, patience: Duration) -> bool {
        let empty = async {
            loop {
                let gone = self.shared.gone.notified();
                tokio::pin!(gone);
                gone.as_mut().enable();
                if self.shared.outbox().load().messages == 0 {
                    return;
                }
                gone.await;
            }
        };
        tokio::time::timeout(patience, empty).await.is_ok()
    }
}

impl Shared {
    fn outbox(&self) -> MutexGuard<'_, Outbox<Outgoing>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, Outbox<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that nothing is heard of some partitions any more.
    fn deaf(&self, partitions: PartitionSet) {
        self.look_at_state();
        if !partitions.is_empty() {
            (self.events)(LinkEvent::Deaf(partitions));
        }
    }

    /// Tells which partitions are whole again.
    fn settle(&self) {
        let back = self.wishes().settle();
        if !back.is_empty() {
            self.look_at_state();
            (self.events)(LinkEvent::Hearing(back));
        }
    }

    /// Tells what has become of things that were to be published once.
    fn settled(&self, settled: Vec<Settled>) {
        if !settled.is_empty() {
            (self.events)(LinkEvent::Settled(settled));
        }
    }

    /// Tells those who wait for room when there is some again.
    fn look_at_room(&self) {
        let outbox = self.outbox();
        let is_crowded = outbox.is_crowded();
        let was_crowded = self.is_crowded.swap(is_crowded, Ordering::Relaxed);
        drop(outbox);
        if was_crowded && !is_crowded {
            self.roomy.notify_waiters();
        }
    }

    /// Brings the state up to date.
    fn look_at_state(&self) {
        let outbox = self.outbox();
        let (publishing, refused) = (outbox.is_reachable(), outbox.is_refused());
        drop(outbox);
        let hearing = self.wishes().is_hearing();
        let now = LinkState { publishing, hearing, refused };
        self.state.send_if_modified(|state| std::mem::replace(state, now) != now);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.take();
        // The last clone may go on the thread itself, inside a callback: it cannot wait for its own end.
        if let Some(handle) = self.handle.take()
            && handle.thread().id() != std::thread::current().id()
        {
            // A panic there has been told already.
            let _ = handle.join();
        }
    }
}
