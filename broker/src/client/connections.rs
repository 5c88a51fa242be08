//! The connections that a worker holds, and everything that happens to them from outside their own task.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use slotmap::{SecondaryMap, SparseSecondaryMap};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use codec::message::Downstream;
use codec::subprotocol::Subprotocol;
use codec::websocket::{Frame, Opcode};

use super::ClientConfig;
use super::closing::Ended;
use super::connection::Connection;
use super::keep_alive::{self, Due, Wheel};
use super::moving::Moves;
use super::records::Records;
use super::streaming::IdleTimer;
use crate::events::Events;
use crate::hub::{MemberKey, Parcel};
use crate::model::close::CloseReason;
use crate::model::survey::{Answer, PermissionAnswer, Question, Survey};
use crate::router::Router;
use crate::session::Session;
use crate::settings::Settings;
use crate::telemetry::metrics::{Initiator, Metrics, Protocol, WorkerMetrics};
use crate::telemetry::trace::{self, Excerpt, Record, Tap};

/// Bytes that one read may bring. All connections of a worker read into the same buffer.
const READ_BUFFER: usize = 64 * 1024;
/// Bytes of short frames that one write may join. All connections of a worker write from the same room.
const WRITE_ROOM: usize = 64 * 1024;
/// Connections that are closed before other tasks have their turn.
const CLOSE_SLICE: usize = 1024;
/// Longest wait of a node that stops for what is to be written of durable connections. What is not is in the logs.
const WRITING: Duration = Duration::from_secs(1);
/// How long a wave of closed connections is given before the next.
const WAVE_PAUSE: Duration = Duration::from_millis(100);

/// How many connections the node may still take.
#[derive(Debug)]
pub struct Capacity {
    free: AtomicUsize,
}

/// One connection's share of the [`Capacity`]; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Permit(Arc<Capacity>);

impl Capacity {
    /// Room for this many.
    pub fn new(connections: usize) -> Self {
        Self { free: AtomicUsize::new(connections) }
    }

    pub(super) fn take(self: &Arc<Self>) -> Option<Permit> {
        let less = |free: usize| free.checked_sub(1);
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
        Some(Permit(Arc::clone(self)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}

/// See the module.
pub struct Connections {
    pub(super) router: Router,
    pub(super) events: Rc<Events>,
    pub(super) settings: watch::Receiver<Arc<Settings>>,
    pub(super) config: ClientConfig,
    pub(super) metrics: Arc<Metrics>,
    pub(super) counts: WorkerMetrics,
    pub(super) tap: Tap,
    pub(super) table: RefCell<SecondaryMap<MemberKey, Rc<Connection>>>,
    pub(super) read_buffer: RefCell<Box<[u8]>>,
    pub(super) write_room: RefCell<Box<[u8]>>,
    pub(super) wheel: RefCell<Wheel>,
    /// What ends the idle streams of the connections that have streams.
    pub(super) idle_timers: RefCell<SparseSecondaryMap<MemberKey, IdleTimer>>,
    /// Empty room for the list of members to flush.
    pub(super) spare_dirty: Cell<Vec<MemberKey>>,
    /// Somebody queued something; the flush runs after the tasks that are ready now.
    pub(super) flush_wanted: Notify,
    /// A reliable client has acknowledged something, or nobody waits for it any more.
    pub(super) acknowledged: Notify,
    /// Sockets whose task has not ended.
    pub(super) open: Cell<usize>,
    pub(super) one_closed: Notify,
    /// A client that was to take its connection up again has come, or has given up.
    pub(super) reservation_over: Notify,
    pub(super) moves: Moves,
    /// Absent when there are no durable hubs.
    pub(super) records: Option<Records>,
}

/// What the connections of a worker need.
pub struct ConnectionsParts {
    /// Their way to each other.
    pub router: Router,
    /// Their way to the application.
    pub events: Rc<Events>,
    /// Keys and hub settings as they are now.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// What they are granted.
    pub config: ClientConfig,
    /// Where they are counted.
    pub metrics: Arc<Metrics>,
    /// Where it is told who comes and goes.
    pub tap: Tap,
    /// Where those take their place that come from other nodes.
    pub capacity: Arc<Capacity>,
}

impl Connections {
    /// An empty table for a worker.
    pub fn new(parts: ConnectionsParts) -> Self {
        let ConnectionsParts { router, events, settings, config, metrics, tap, capacity } = parts;
        let records = Records::new(&router, config.reconnect_window);
        Self {
            records,
            router,
            events,
            settings,
            config,
            counts: metrics.worker(),
            metrics,
            tap,
            table: RefCell::default(),
            read_buffer: RefCell::new(vec![0; READ_BUFFER].into_boxed_slice()),
            write_room: RefCell::new(vec![0; WRITE_ROOM].into_boxed_slice()),
            wheel: RefCell::default(),
            idle_timers: RefCell::default(),
            spare_dirty: Cell::default(),
            flush_wanted: Notify::new(),
            acknowledged: Notify::new(),
            open: Cell::new(0),
            one_closed: Notify::new(),
            reservation_over: Notify::new(),
            moves: Moves::new(capacity),
        }
    }

    /// Takes in a connection that is attached to the hub, and looks after it from now on.
    pub(super) fn insert(&self, connection: &Rc<Connection>) {
        let session = connection.session();
        let protocol = session.subprotocol().map(Subprotocol::name);
        self.tap.record(|| Record::Connected { client: traced(&session), protocol });
        self.metrics.hub(session.hub().as_str()).opened(protocol_of(session.subprotocol()));
        drop(session);
        self.table.borrow_mut().insert(connection.key, Rc::clone(connection));
        self.look_again(connection, self.now() + u32::from(connection.keep_alive));
    }

    /// Seconds since the worker's start.
    pub(super) fn now(&self) -> u32 {
        self.wheel.borrow().now()
    }

    /// Looks at a connection at this time instead of any that was asked for before.
    pub(super) fn look_again(&self, connection: &Connection, at: u32) {
        connection.look_at.set(self.wheel.borrow_mut().add(connection.key, at));
    }

    /// Ends a connection: from now on nobody reaches it, and its task takes leave of the client. Nothing happens if it
    /// has ended already. A reliable connection only loses its socket if the reason is one that it can outlive.
    pub(super) fn end(&self, key: MemberKey, reason: CloseReason) {
        self.acknowledged.notify_waiters();
        let Some(connection) = self.table.borrow().get(key).cloned() else {
            return;
        };
        if reason.is_recoverable() && connection.recovery.is_some() {
            return self.suspend(&connection, reason);
        }
        self.table.borrow_mut().remove(key);
        if let Some(message) = reason.farewell() {
            self.router.shard().tell(key, &Downstream::Disconnected { message });
        }
        let detached = self.router.detach(key);
        self.forget_guest(&connection);
        self.end_record(&connection);
        let (outbox, cleared) = detached.map(|left| (left.outbox, left.cleared)).unwrap_or_default();
        self.report_end(&connection.session(), &reason);
        self.raise_end(&connection, &reason);
        connection.clear_group_states(cleared);
        self.cancel_streams(&connection);
        connection.end(Ended { reason, outbox });
        // Others may have been told of it.
        self.flush_soon();
    }

    pub(super) fn report_end(&self, session: &Session, reason: &CloseReason) {
        let (hub, connection) = (session.hub(), session.connection_id());
        self.metrics.hub(hub.as_str()).closed(protocol_of(session.subprotocol()));
        self.metrics.close(reason.category(), initiator(reason));
        self.tap.record(|| Record::Ended { client: traced(session), category: reason.category() });
        tracing::info!(%hub, %connection, category = reason.category(), "connection ended");
    }

    /// Answers what another thread, or a REST operation of this one, asks about connections and their sessions.
    pub(super) async fn answer_for_sessions(&self, survey: &Survey) -> Answer {
        match &survey.question {
            Question::Close { target, excluded, reason } => {
                let keys = self.router.shard().select(&survey.hub, target, excluded, None);
                self.end_subscriptions(&keys).await;
                for slice in keys.chunks(CLOSE_SLICE) {
                    for &key in slice {
                        self.end(key, CloseReason::ClosedByApplication(reason.clone()));
                        self.breathe().await;
                    }
                    tokio::task::yield_now().await;
                }
                Answer::Count(keys.len() as u64)
            }
            Question::Permission { connection, action, group, wish } => {
                let key = self.router.shard().find(&survey.hub, connection);
                let found = key.and_then(|key| self.table.borrow().get(key).cloned());
                let Some(found) = found else {
                    return Answer::Permission(PermissionAnswer::NoConnection);
                };
                let answer = found.session().on_permission(*action, group, *wish);
                self.changed(&found);
                self.end_forbidden_streams(&found).await;
                Answer::Permission(answer)
            }
            Question::Count(_)
            | Question::Members { .. }
            | Question::GroupStates { .. }
            | Question::Join { .. }
            | Question::Leave { .. }
            // Answered in a task of their own.
            | Question::Prepare { .. }
            | Question::HandOver { .. }
            | Question::Adopt { .. } => Answer::Count(0),
        }
    }

    /// One second has passed: pings those whose time has come, and ends those that have been silent, or without a
    /// socket, for too long.
    pub async fn tick(&self) {
        let due = self.wheel.borrow_mut().turn();
        let now = self.now();
        let ping = Rc::new(Parcel::new(&Frame::new(Opcode::Ping, &[]), None));
        for key in due {
            self.breathe().await;
            let connection = self.table.borrow().get(key).cloned();
            let Some(connection) = connection.filter(|connection| connection.look_at.get() == now) else {
                continue;
            };
            if let Some(deadline) = connection.is_missing_until() {
                match now >= deadline {
                    true => self.end(key, CloseReason::RecoveryExpired),
                    false => self.look_again(&connection, deadline),
                }
                continue;
            }
            match keep_alive::due(now, connection.last_seen(now), u32::from(connection.keep_alive)) {
                Due::Timeout => self.end(key, CloseReason::PingTimeout),
                Due::Later { next } => self.look_again(&connection, next),
                Due::Ping { next } => {
                    self.router.shard().push(key, Rc::clone(&ping));
                    self.look_again(&connection, next);
                }
            }
        }
        self.router.shard().forget_moves(Instant::now());
        let deliveries = self.router.shard().take_deliveries();
        let kinds = std::iter::once(None).chain(Subprotocol::ALL.map(Some));
        for (subprotocol, count) in kinds.zip(deliveries) {
            self.counts.deliveries(protocol_of(subprotocol)).add(count);
        }
        self.count_missed();
        self.counts.flush();
        self.flush_soon();
    }

    fn count_missed(&self) {
        let missed = self.router.take_missed();
        if missed > 0 {
            let worker = self.router.worker();
            tracing::warn!(worker, missed, "too far behind to take what others send, messages are lost");
            self.counts.missed.add(missed);
        }
    }

    /// Tells every client to come back later, at least `wave` of them at a time and so many that all are told within
    /// half of `grace`, and resolves when all sockets are closed and other nodes have the reliable connections, for which
    /// they have three quarters of it.
    pub async fn drain(self: &Rc<Self>, wave: usize, grace: Duration) {
        // What was accepted before the stop is to arrive before the close.
        self.router.caught_up().await;
        let waves = (grace / 2).as_millis() / WAVE_PAUSE.as_millis();
        let in_time = self.table.borrow().len() / usize::try_from(waves).unwrap_or(usize::MAX).max(1);
        let wave = wave.max(in_time + 1);
        let until = Instant::now() + grace * 3 / 4;
        self.all_written(until.min(Instant::now() + WRITING)).await;
        self.end_subscriptions(&self.bound_to_this_node()).await;
        self.moves.stop();
        while self.open.get() > 0 {
            let keys = self.not_leaving(wave);
            let until = (!self.router.others().is_empty()).then_some(until);
            for key in keys {
                self.dismiss(key, until);
                self.breathe().await;
            }
            let _ = tokio::time::timeout(WAVE_PAUSE, self.all_closed()).await;
        }
    }

    /// Some of the connections that have not been sent away yet.
    fn not_leaving(&self, most: usize) -> Vec<MemberKey> {
        let table = self.table.borrow();
        let left = table.iter().filter(|(_, connection)| !connection.is_leaving());
        left.map(|(key, _)| key).take(most).collect()
    }

    /// Connections that are about to end are told no more of the states of others.
    async fn end_subscriptions(&self, keys: &[MemberKey]) {
        for slice in keys.chunks(CLOSE_SLICE) {
            self.router.shard().end_subscriptions(slice);
            tokio::task::yield_now().await;
        }
    }

    /// Writes what is queued and lets others have their turn, if much is: whoever ends connections one after another
    /// tells their groups of each.
    pub(super) async fn breathe(&self) {
        if self.router.shard().needs_flush() {
            self.flush();
            tokio::task::yield_now().await;
        }
    }

    async fn all_closed(&self) {
        while self.open.get() > 0 {
            self.one_closed.notified().await;
        }
    }

    /// Lets go of the connections that are left, so that their sockets are closed.
    pub fn abandon(&self) {
        self.table.borrow_mut().clear();
    }
}

/// How metrics name a connection's protocol.
pub(super) fn protocol_of(subprotocol: Option<Subprotocol>) -> Protocol {
    match subprotocol {
        None => Protocol::Simple,
        Some(Subprotocol::Json) => Protocol::Json,
        Some(Subprotocol::JsonReliable) => Protocol::JsonReliable,
        Some(Subprotocol::Protobuf) => Protocol::Protobuf,
        Some(Subprotocol::ProtobufReliable) => Protocol::ProtobufReliable,
    }
}

/// How the trace names a connection.
pub(super) fn traced(session: &Session) -> trace::Client {
    trace::Client {
        hub: session.hub().to_string(),
        connection: session.connection_id().to_string(),
        user: session.user_id().map(|user| Excerpt::of(user.as_str())),
    }
}

fn initiator(reason: &CloseReason) -> Initiator {
    match reason {
        CloseReason::ClientClosed { .. } | CloseReason::ConnectionLost | CloseReason::MovedAway => {
            Initiator::Client
        }
        CloseReason::ClosedByApplication(_) => Initiator::Application,
        _ => Initiator::Broker,
    }
}
