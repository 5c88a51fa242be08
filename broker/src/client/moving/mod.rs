//! Reliable connections that move between nodes: here one is gone, there it is. Neither its groups nor the application
//! are told, and its streams go on.
//!
//! Only whoever has everything of a connection may let it go, and whoever has let it go never takes it up again from what
//! is left: so two nodes never both write to its client.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use codec::ids::{ConnectionId, GroupName, NodeId};
use codec::message::Downstream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::closing::Ended;
use super::connection::{self, Arrival, Connection};
use super::connections::{Capacity, Connections, Permit};
use crate::auth::permission::Permissions;
use crate::events::Correspondence;
use crate::hub::{MemberKey, NewMember, Outbox};
use crate::model::close::CloseReason;
use crate::model::command::{Target, Topic};
use crate::model::portable::{Membership, Portable, Sight};
use crate::router::Pending;
use crate::session::{Failure, Opening, Session, Speech};
use crate::telemetry::metrics::ConnectOutcome;

mod fetching;
mod giving;
mod leaving;

/// Connections of a worker that look for another node at a time.
const SEEKING: usize = 64;
/// Longest wait for a connection that somebody else fetches.
const POSTPONED: Duration = Duration::from_secs(4);

/// The moves that a worker is part of, or was.
pub(super) struct Moves {
    /// Connections that are being fetched from other nodes.
    fetched: RefCell<HashSet<ConnectionId>>,
    /// A connection has been fetched, or could not be.
    fetch_over: Notify,
    /// A connection's task, which was in the midst of something, has done it.
    pub(super) pause_over: Notify,
    /// Where those take their place that come.
    capacity: Arc<Capacity>,
    /// A connection has moved from here to another node.
    has_given: Cell<bool>,
    /// The node stops, and takes in nobody any more.
    is_stopping: Cell<bool>,
    /// How many may be looking for another node at a time.
    seeking: Semaphore,
    /// Which node is asked next.
    turn: Cell<usize>,
}

impl Moves {
    pub(super) fn new(capacity: Arc<Capacity>) -> Self {
        Self {
            fetched: RefCell::default(),
            fetch_over: Notify::new(),
            pause_over: Notify::new(),
            capacity,
            has_given: Cell::new(false),
            is_stopping: Cell::new(false),
            seeking: Semaphore::new(SEEKING),
            turn: Cell::new(0),
        }
    }

    /// The node stops.
    pub(super) fn stop(&self) {
        self.is_stopping.set(true);
    }

    /// One of the nodes, in turn.
    fn next_of(&self, mut nodes: Vec<NodeId>) -> Option<NodeId> {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let at = turn.checked_rem(nodes.len())?;
        Some(nodes.swap_remove(at))
    }
}

impl Connections {
    /// Takes a reliable connection out of this node. A socket that it has is dropped without a word, and what its task
    /// waits for is forgotten. Nothing when there is none, or when it is about to end anyway.
    pub(super) fn export(&self, key: MemberKey) -> Option<Portable> {
        let connection = self.table.borrow().get(key).cloned()?;
        connection.recovery.as_ref()?;
        // The application is told of its groups by whoever has it when they change.
        self.raise_presence();
        self.suspend(&connection, CloseReason::ConnectionLost);
        let membership = self.router.export(key)?;
        self.table.borrow_mut().remove(key);
        self.idle_timers.borrow_mut().remove(key);
        let portable = self.portable(&connection, membership)?;
        self.moves.has_given.set(true);
        self.report_end(&connection.session(), &CloseReason::MovedAway);
        connection.end(Ended { reason: CloseReason::MovedAway, outbox: Outbox::default() });
        self.forget_record(&connection);
        self.forget_guest(&connection);
        Some(portable)
    }

    /// Everything of a connection but its messages. Nothing when it is not reliable, or about to end anyway.
    pub(super) fn describe(&self, connection: &Connection) -> Option<Portable> {
        let membership = self.router.shard().describe(connection.key)?;
        self.portable(connection, membership)
    }

    fn portable(&self, connection: &Connection, membership: Membership) -> Option<Portable> {
        let recovery = connection.recovery.as_ref()?;
        let session = connection.session();
        Some(Portable {
            hub: session.hub().clone(),
            connection_id: session.connection_id().clone(),
            user_id: session.user_id().cloned(),
            subprotocol: session.subprotocol()?,
            membership,
            conduct: session.export(Instant::now().into_std()),
            letters: connection.correspondence.borrow().export(),
            keep_alive: connection.keep_alive,
            is_active: connection.is_active.get(),
            seconds_left: recovery.deadline.get().saturating_sub(self.now()),
        })
    }

    /// Takes in a reliable connection of another node, whose client has still to come back. It may miss what is published
    /// before the result is settled. There must not be one of its id here.
    pub(super) fn import(self: &Rc<Self>, portable: Portable, permit: Permit) -> (Rc<Connection>, Pending) {
        let Portable { hub, connection_id, user_id, subprotocol, membership, conduct, .. } = portable;
        let new = NewMember {
            hub: hub.clone(),
            connection_id: connection_id.clone(),
            user_id: user_id.clone(),
            subprotocol: Some(subprotocol),
        };
        let awaiting = membership.groups.iter().filter(|group| group.sight == Sight::AwaitsSnapshot);
        let awaiting: Vec<GroupName> = awaiting.map(|membership| membership.group.clone()).collect();
        let (key, pending) = self.router.import(&new, membership);
        let permissions = Permissions::default();
        let opening =
            Opening { hub, connection_id, user_id, permissions, speech: Speech::Messages(subprotocol) };
        let session = Session::import(opening, conduct, Instant::now().into_std());
        let connection = Rc::new(Connection::new(Arrival {
            key,
            connections: Rc::clone(self),
            socket: None,
            session,
            correspondence: Correspondence::import(portable.letters),
            keep_alive: portable.keep_alive,
            permit,
        }));
        connection.is_active.set(portable.is_active);
        self.insert(&connection);
        self.metrics.connect(ConnectOutcome::Moved);
        let deadline = self.now() + portable.seconds_left.max(1);
        if let Some(recovery) = &connection.recovery {
            recovery.deadline.set(deadline);
            recovery.has_moved.set(true);
            recovery.is_guest.set(true);
        }
        self.look_again(&connection, deadline);
        self.time_streams(&connection);
        tracing::info!(hub = %new.hub, connection = %new.connection_id, "connection has moved here");
        connection::start(Rc::clone(&connection), Vec::new());
        for group in awaiting {
            let connection = Rc::clone(&connection);
            let topic = Topic { hub: new.hub.clone(), target: Target::Group(group) };
            tokio::task::spawn_local(async move {
                let items = connection.group_states(&topic).await;
                connection.connections.router.shard().tell_snapshot(key, &topic, items);
                connection.connections.flush_soon();
            });
        }
        (connection, pending)
    }

    /// A connection has ended, or has moved on. If it had come from another node, or is of a durable hub, its own topic is
    /// not wanted any more.
    pub(super) fn forget_guest(&self, connection: &Connection) {
        let is_guest = connection.recovery.as_ref().is_some_and(|recovery| recovery.is_guest.get());
        let session = connection.session();
        if is_guest || self.router.is_durable(session.hub()) {
            self.router.forget_guest(session.hub(), session.connection_id());
        }
    }

    pub(super) fn capacity(&self) -> &Arc<Capacity> {
        &self.moves.capacity
    }

    /// Whether a connection has come from another node.
    pub(super) fn is_guest(&self, key: MemberKey) -> bool {
        let connection = self.table.borrow().get(key).cloned();
        let recovery = connection.as_ref().and_then(|connection| connection.recovery.as_ref());
        recovery.is_some_and(|recovery| recovery.is_guest.get())
    }

    /// Tells a client that has come back of the invocations that ended with its former node.
    pub(super) fn fail_invocations(&self, connection: &Connection) {
        let ids = connection.session().invocations();
        for id in ids {
            let response: Option<Downstream> = connection.session().invoked(id, Err(Failure::EventHandler));
            if let Some(response) = response {
                self.router.shard().tell(connection.key, &response);
            }
        }
    }
}
