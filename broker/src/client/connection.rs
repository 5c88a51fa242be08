//! One connection and its task: reads what the client sends, lets the session judge it, and does what it says.
//!
//! The task is small, because there is one for each connection: it holds a pointer and waits for the socket. What
//! happens seldom, taking leave and waiting for the other nodes, is boxed.

use std::cell::{Cell, OnceCell, RefCell, RefMut};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use codec::event::What;
use codec::ids::{AckId, EventName, GroupName};
use codec::message::{DataType, Payload};
use codec::websocket::{Decoder, Frame, FrameError, Item, Opcode};
use tokio::task::AbortHandle;

use self::pausing::Pause;
pub(super) use self::pausing::{Then, UnderWay, Wait};
use super::closing::{self, Ended};
use super::connections::{Connections, Permit, protocol_of, traced};
use super::invoking::Calls;
use super::records::Keeper;
use super::socket::Socket;
use crate::events::Correspondence;
use crate::hub::{MemberKey, Parcel};
use crate::model::close::CloseReason;
use crate::model::command::{Identity, Target};
use crate::router::{RouteError, Submitted};
use crate::session::{Deed, Effect, Failure, Received, Session, UserEvent};
use crate::telemetry::trace::{Excerpt, Record};

mod pausing;

/// One client.
pub(super) struct Connection {
    pub(super) key: MemberKey,
    pub(super) connections: Rc<Connections>,
    /// Absent when it is lost and the connection waits for another, and when the connection takes leave.
    pub(super) socket: RefCell<Option<Socket>>,
    session: RefCell<Session>,
    /// What the events of this connection have in common.
    pub(super) correspondence: RefCell<Correspondence>,
    /// Its invocations that are under way.
    pub(super) calls: Calls,
    /// The client has been greeted, so that the application hears of its end.
    pub(super) is_active: Cell<bool>,
    decoder: RefCell<Decoder>,
    /// Wakes the connection's task.
    waker: RefCell<Option<Waker>>,
    /// The task that waits for a blocked socket.
    unblocking: Cell<Option<AbortHandle>>,
    /// Set once, when the connection has ended and its task is to take leave.
    ended: Cell<Option<Box<Ended>>>,
    /// Second of the worker's clock in which the client was heard last.
    last_seen: Cell<u32>,
    /// As much has been read ahead as may be, so nothing is heard of the client.
    is_deaf: Cell<bool>,
    /// Second in which the connection is looked at next.
    pub(super) look_at: Cell<u32>,
    /// Seconds between pings.
    pub(super) keep_alive: u8,
    /// What lets a reliable connection outlive its socket.
    pub(super) recovery: Option<Box<Recovery>>,
    _permit: Permit,
}

/// What lets a reliable connection outlive its socket.
#[derive(Default)]
pub(super) struct Recovery {
    /// Second of the worker's clock in which a connection that is without a socket ends.
    pub(super) deadline: Cell<u32>,
    /// A client is about to take the connection up again.
    pub(super) is_reserved: Cell<bool>,
    /// It has come from another node, and its client has not been told of what ended there.
    pub(super) has_moved: Cell<bool>,
    /// It has come from another node, and is reached by its own topic.
    pub(super) is_guest: Cell<bool>,
    /// Its node stops, and another is sought for it.
    pub(super) is_leaving: Cell<bool>,
    /// Its task waits for something in the midst of what the client sent.
    pub(super) is_paused: Cell<bool>,
    /// What it had received when its move was prepared, if it was.
    pub(super) floors: RefCell<Vec<(u8, Identity)>>,
    /// What is written of it, if it is durable.
    keeper: OnceCell<Box<Keeper>>,
    /// What the client sent first on another socket, until the connection's task goes over to that.
    renewed: RefCell<Option<Vec<u8>>>,
}

/// What a connection is made from.
pub(super) struct Arrival {
    pub(super) key: MemberKey,
    pub(super) connections: Rc<Connections>,
    /// Absent when a client has still to come back.
    pub(super) socket: Option<Socket>,
    pub(super) session: Session,
    pub(super) correspondence: Correspondence,
    pub(super) keep_alive: u8,
    pub(super) permit: Permit,
}

/// Why the task stops reading for a moment or for good.
enum Turn {
    /// Something has to be waited for.
    Pause(Box<Pause>),
    /// The connection has ended.
    Ended(Box<Ended>),
}

impl Connection {
    pub(super) fn new(arrival: Arrival) -> Self {
        let Arrival { key, connections, socket, session, correspondence, keep_alive, permit } = arrival;
        connections.open.set(connections.open.get() + 1);
        let now = connections.now();
        let recovery = session.is_reliable().then(Box::default);
        Self {
            key,
            connections,
            socket: RefCell::new(socket),
            session: RefCell::new(session),
            correspondence: RefCell::new(correspondence),
            calls: Calls::default(),
            is_active: Cell::new(false),
            decoder: RefCell::default(),
            waker: RefCell::default(),
            unblocking: Cell::default(),
            ended: Cell::default(),
            last_seen: Cell::new(now),
            is_deaf: Cell::new(false),
            look_at: Cell::new(now),
            keep_alive,
            recovery,
            _permit: permit,
        }
    }

    /// The session. Must not be held over a call that may end the connection.
    pub(super) fn session(&self) -> RefMut<'_, Session> {
        self.session.borrow_mut()
    }

    /// Notes the task that waits for the blocked socket. It ends with the connection, or when another takes its place.
    pub(super) fn is_unblocked_by(&self, task: AbortHandle) {
        if let Some(before) = self.unblocking.replace(Some(task)) {
            before.abort();
        }
    }

    /// Lets the task take leave of the client. Nobody else uses the socket from now on.
    pub(super) fn end(&self, ended: Ended) {
        self.stop_unblocking();
        self.calls.cancel_all();
        self.ended.set(Some(Box::new(ended)));
        self.wake();
    }

    /// Takes the socket away, and with it the task that may wait for it.
    pub(super) fn take_socket(&self) -> Option<Socket> {
        self.stop_unblocking();
        self.socket.take()
    }

    /// Gives the connection another socket, on which the client has begun with `first`. What is left of the former one
    /// is taken in before.
    pub(super) fn give_socket(&self, socket: Socket, first: Vec<u8>) {
        self.socket.replace(Some(socket));
        self.heard(first.len());
        if let Some(recovery) = &self.recovery {
            recovery.renewed.replace(Some(first));
        }
        self.wake();
    }

    fn stop_unblocking(&self) {
        if let Some(task) = self.unblocking.take() {
            task.abort();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Until when the connection is kept without a socket, if it has none.
    pub(super) fn is_missing_until(&self) -> Option<u32> {
        let is_missing = self.socket.borrow().is_none();
        self.recovery.as_ref().filter(|_| is_missing).map(|recovery| recovery.deadline.get())
    }

    /// Who writes its record, if it is durable.
    pub(super) fn keeper(&self) -> Option<&Keeper> {
        self.recovery.as_ref()?.keeper.get().map(Box::as_ref)
    }

    /// How many owners its record has had before the present one; none if it has no record.
    fn term(&self) -> u64 {
        self.keeper().map_or(0, Keeper::term)
    }

    /// Gives it whoever writes its record. The first one stays.
    pub(super) fn set_keeper(&self, keeper: Keeper) {
        if let Some(recovery) = &self.recovery {
            let _ = recovery.keeper.set(Box::new(keeper));
        }
    }

    /// Whether another node is sought for it.
    pub(super) fn is_leaving(&self) -> bool {
        self.recovery.as_ref().is_some_and(|recovery| recovery.is_leaving.get())
    }

    /// Begins with the bytes of another socket, if there is one: the former's broken-off message is forgotten.
    fn renew(&self) -> Option<Vec<u8>> {
        let first = self.recovery.as_ref()?.renewed.take()?;
        self.decoder.replace(Decoder::default());
        Some(first)
    }

    /// Whether what is being taken in came from the socket that the connection has now.
    fn hears_its_socket(&self) -> bool {
        let is_renewed = self.recovery.as_ref().is_some_and(|recovery| recovery.renewed.borrow().is_some());
        !is_renewed && self.socket.borrow().is_some()
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.socket.borrow_mut().as_mut() {
            Some(socket) => socket.poll_read(cx, buffer),
            None => Poll::Pending,
        }
    }

    fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<Turn> {
        let mut buffer = self.connections.read_buffer.borrow_mut();
        let mut total = 0;
        loop {
            if let Some(ended) = self.ended.take() {
                return Poll::Ready(Turn::Ended(ended));
            }
            if let Some(mut first) = self.renew() {
                if let Some(pause) = self.take_in(&mut first) {
                    return Poll::Ready(Turn::Pause(pause));
                }
                continue;
            }
            match self.poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(len)) if len > 0 => {
                    total += len;
                    self.heard(len);
                    if let Some(pause) = self.take_in(&mut buffer[..len]) {
                        return Poll::Ready(Turn::Pause(pause));
                    }
                }
                Poll::Ready(_) => self.connections.end(self.key, CloseReason::ConnectionLost),
                Poll::Pending => break,
            }
            // A client that sends without pause must let the others have their turn.
            if total >= buffer.len() {
                cx.waker().wake_by_ref();
                break;
            }
        }
        self.set_waker(cx);
        Poll::Pending
    }

    fn set_waker(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    fn heard(&self, len: usize) {
        self.last_seen.set(self.connections.now());
        self.connections.counts.inbound_bytes.add(len as u64);
    }

    /// Takes in bytes of the client, message by message, as long as nothing has to be waited for.
    fn take_in(&self, mut input: &mut [u8]) -> Option<Box<Pause>> {
        let router = &self.connections.router;
        let wait = loop {
            if self.is_ended() {
                break None;
            }
            let item = self.decoder.borrow_mut().next(&mut input, self.connections.config.message_bytes);
            let effect = match item {
                Ok(Some(item)) => self.on_item(&item),
                Ok(None) => break None,
                Err(error) => Effect::Close(self.close_reason(error)),
            };
            let is_last = matches!(effect, Effect::Close(_));
            // Who only listens is never kept waiting, least of all with acknowledgements.
            let listens = matches!(effect, Effect::Nothing | Effect::Reply(_) | Effect::Acknowledge(_));
            if let Some(wait) = self.perform(effect) {
                break Some(wait);
            }
            // Nothing follows a close frame, even if the connection lives on.
            if is_last {
                break None;
            }
            let wait = match () {
                () if !listens && router.is_congested() => Wait::Room,
                () if router.shard().needs_flush() => Wait::Breathe,
                () => continue,
            };
            self.connections.flush();
            break Some(wait);
        };
        self.connections.flush_soon();
        wait.map(|wait| Box::new(Pause { wait, unread: input.to_vec() }))
    }

    fn on_item(&self, item: &Item<'_>) -> Effect {
        let received = match item {
            Item::Text(text) => Received::Text(text),
            Item::Binary(bytes) => Received::Binary(bytes),
            Item::Pong => return Effect::Nothing,
            Item::Ping(content) => {
                self.pong(content);
                return Effect::Nothing;
            }
            Item::Close(code, reason) => {
                let reason = reason.as_ref().to_owned();
                return Effect::Close(CloseReason::ClientClosed { code: *code, reason });
            }
        };
        let mut session = self.session();
        self.connections.counts.messages_received(protocol_of(session.subprotocol())).add(1);
        session.on_message(received)
    }

    fn pong(&self, content: &[u8]) {
        let pong = Parcel::new(&Frame::new(Opcode::Pong, content), None);
        self.connections.router.shard().push(self.key, Rc::new(pong));
    }

    fn close_reason(&self, error: FrameError) -> CloseReason {
        match error {
            FrameError::Invalid => CloseReason::InvalidFrame,
            FrameError::Utf8 => self.session().on_invalid_text(),
            FrameError::TooLarge => CloseReason::MessageTooLarge,
        }
    }

    fn perform(&self, effect: Effect) -> Option<Wait> {
        let router = &self.connections.router;
        match effect {
            Effect::Nothing => {}
            Effect::Reply(message) => router.shard().tell(self.key, &message),
            Effect::Acknowledge(up_to) => {
                router.shard().acknowledge(self.key, up_to);
                self.connections.acknowledged_in_record(self, up_to);
                self.connections.acknowledged.notify_waiters();
            }
            Effect::Stream(request) => return self.stream(*request).map(Wait::Taken),
            Effect::Close(reason) => self.close(reason),
            Effect::Do(Deed::Join(group), ack_id) => return self.join(group, ack_id),
            Effect::Do(Deed::Leave(group), ack_id) => {
                let hub = self.session().hub().clone();
                router.leave(self.key, &hub, &Target::Group(group));
                self.done(ack_id, Ok(()));
            }
            Effect::Do(Deed::Route(command), ack_id) => {
                let publication = self.session().publication(ack_id, self.term());
                let routed = router.submit_once(*command, publication).map_err(|_| Failure::Broker);
                return self.routed(ack_id, routed);
            }
            Effect::Do(Deed::Raise(event), ack_id) => return self.raise(*event, ack_id),
            Effect::Do(Deed::SetGroupState(group, state), ack_id) => {
                return self.set_group_state(group, state, ack_id);
            }
            Effect::Do(Deed::SubscribeGroupState(group), ack_id) => {
                return self.subscribe_group_state(group, ack_id).map(|topic| Wait::Snapshot { topic });
            }
            Effect::Do(Deed::UnsubscribeGroupState(group), ack_id) => {
                self.unsubscribe_group_state(group, ack_id);
            }
            Effect::Invoke(invoke) => self.invoke(*invoke),
            Effect::CancelInvocation(id) => {
                self.calls.cancel(&id);
                return Some(Wait::Breathe);
            }
        }
        None
    }

    /// Ends the connection, unless a client that has lost its socket already only says that it does not want it any
    /// longer.
    fn close(&self, reason: CloseReason) {
        if !reason.is_recoverable() || self.hears_its_socket() {
            self.connections.end(self.key, reason);
        }
    }

    fn raise(&self, event: UserEvent, ack_id: Option<AckId>) -> Option<Wait> {
        let UserEvent { event, content } = event;
        self.trace_raised(&event, &content.payload);
        match self.connections.address(self, What::User { event, content }) {
            Some(delivery) => Some(Wait::Answer { ack_id, delivery: Box::new(delivery) }),
            None => {
                self.done(ack_id, Err(Failure::NoEventHandler));
                None
            }
        }
    }

    /// Lets a developer see an event.
    pub(super) fn trace_raised(&self, event: &EventName, payload: &Payload) {
        self.connections.tap.record(|| raised(&self.session(), event, payload));
    }

    fn join(&self, group: GroupName, ack_id: Option<AckId>) -> Option<Wait> {
        let hub = self.session().hub().clone();
        let pending = self.connections.router.join(self.key, &hub, group);
        if !pending.is_settled() {
            return Some(Wait::Join { ack_id, pending });
        }
        self.done(ack_id, Ok(()));
        None
    }

    /// Tells the client what became of what it has published, as soon as that is sure.
    pub(super) fn routed(&self, ack_id: Option<AckId>, routed: Result<Submitted, Failure>) -> Option<Wait> {
        match routed {
            Ok(submitted) if !submitted.is_taken() && ack_id.is_some() => {
                return Some(Wait::Taken(UnderWay { submitted, then: Then::Ack(ack_id) }));
            }
            routed => self.done(ack_id, routed.map(drop)),
        }
        None
    }

    /// Goes on when something is noted, or may not be.
    pub(super) fn on_taken(&self, then: Then, taken: Result<(), RouteError>) -> Option<UnderWay> {
        match then {
            Then::Ack(ack_id) => self.done(ack_id, taken.map_err(|_| Failure::Broker)),
            Then::GoOn(stream_id) => return self.on_part(&stream_id, taken.is_ok()),
            Then::Tell(message) => self.connections.router.shard().tell(self.key, &message),
        }
        None
    }

    /// Tells the client what became of its request.
    pub(super) fn done(&self, ack_id: Option<AckId>, done: Result<(), Failure>) {
        let effect = self.session().done(ack_id, done);
        match effect {
            Effect::Reply(message) => self.connections.router.shard().tell(self.key, &message),
            Effect::Close(reason) => self.connections.end(self.key, reason),
            Effect::Nothing
            | Effect::Acknowledge(_)
            | Effect::Do(..)
            | Effect::Invoke(_)
            | Effect::CancelInvocation(_)
            | Effect::Stream(_) => {}
        }
    }

    /// Second in which the client was heard last; as long as nobody listens, that is now.
    pub(super) fn last_seen(&self, now: u32) -> u32 {
        if self.is_deaf.get() {
            self.last_seen.set(now);
        }
        self.last_seen.get()
    }

    fn is_ended(&self) -> bool {
        let ended = self.ended.take();
        let is_ended = ended.is_some();
        self.ended.set(ended);
        is_ended
    }
}

/// Starts the task of a connection. `first` are bytes that came with the handshake.
pub(super) fn start(connection: Rc<Connection>, mut first: Vec<u8>) {
    match connection.take_in(&mut first) {
        None => drop(tokio::task::spawn_local(run(connection))),
        Some(pause) => drop(tokio::task::spawn_local(async move {
            connection.pause(pause).await;
            run(connection).await;
        })),
    }
}

async fn run(connection: Rc<Connection>) {
    loop {
        match poll_fn(|cx| connection.poll_turn(cx)).await {
            Turn::Pause(pause) => Box::pin(connection.pause(pause)).await,
            Turn::Ended(ended) => {
                if let Some(socket) = connection.take_socket() {
                    Box::pin(closing::take_leave(&connection.connections, socket, *ended)).await;
                }
                return;
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open.set(self.connections.open.get() - 1);
        self.connections.one_closed.notify_one();
    }
}

fn raised(session: &Session, event: &EventName, payload: &Payload) -> Record {
    let data_type = match payload.data_type() {
        DataType::Text => "text",
        DataType::Json => "json",
        DataType::Binary => "binary",
        DataType::Protobuf => "protobuf",
    };
    Record::EventRaised {
        client: traced(session),
        event: Excerpt::of(event.as_str()),
        data_type,
        bytes: payload.bytes().len(),
        payload: std::str::from_utf8(payload.bytes()).ok().map(Excerpt::of),
    }
}
