//! Reliable connections that move between nodes: here one is gone, there it is. Neither its groups nor the application
//! are told, and its streams go on.
//!
//! Only whoever has everything of a connection may let it go, and whoever has let it go never takes it up again from what
//! is left: so two nodes never both write to its client.

use std::rc::Rc;

use codec::ids::GroupName;
use codec::message::Downstream;
use tokio::time::Instant;

use super::closing::Ended;
use super::connection::{self, Arrival, Connection};
use super::connections::{Connections, Permit, protocol_of};
use crate::auth::permission::Permissions;
use crate::events::Correspondence;
use crate::hub::{MemberKey, NewMember, Outbox};
use crate::model::close::CloseReason;
use crate::model::command::{Target, Topic};
use crate::model::portable::{Portable, Sight};
use crate::router::Pending;
use crate::session::{Failure, Opening, Session, Speech};

impl Connections {
    /// Takes a reliable connection out of this node. A socket that it has is dropped without a word, and what its task
    /// waits for is forgotten. Nothing when there is none, or when it is about to end anyway.
    pub(super) fn export(&self, key: MemberKey) -> Option<Portable> {
        let connection = self.table.borrow().get(key).cloned()?;
        let recovery = connection.recovery.as_ref()?;
        let subprotocol = connection.session().subprotocol()?;
        // The application is told of its groups by whoever has it when they change.
        self.raise_presence();
        self.suspend(&connection, CloseReason::ConnectionLost);
        let membership = self.router.export(key)?;
        self.table.borrow_mut().remove(key);
        self.idle_timers.borrow_mut().remove(key);
        let session = connection.session();
        let portable = Portable {
            hub: session.hub().clone(),
            connection_id: session.connection_id().clone(),
            user_id: session.user_id().cloned(),
            subprotocol,
            membership,
            conduct: session.export(Instant::now().into_std()),
            letters: connection.correspondence.borrow().export(),
            keep_alive: connection.keep_alive,
            is_active: connection.is_active.get(),
            seconds_left: recovery.deadline.get().saturating_sub(self.now()),
        };
        self.metrics.hub(session.hub().as_str()).closed(protocol_of(session.subprotocol()));
        tracing::info!(hub = %portable.hub, connection = %portable.connection_id, "connection moves away");
        drop(session);
        connection.end(Ended { reason: CloseReason::ConnectionLost, outbox: Outbox::default() });
        Some(portable)
    }

    /// Takes in a reliable connection of another node, whose client has still to come back. It may miss what is published
    /// before the result is settled. There must not be one of its id here.
    pub(super) fn import(
        self: &Rc<Self>,
        portable: Portable,
        permit: Permit,
    ) -> (Rc<Connection>, Pending) {
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
        self.enter(&connection);
        let deadline = self.now() + portable.seconds_left.max(1);
        if let Some(recovery) = &connection.recovery {
            recovery.deadline.set(deadline);
            recovery.has_moved.set(true);
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

    /// Tells a client that has come back of the invocations that ended with its former node.
    pub(super) fn fail_invocations(&self, connection: &Connection) {
        let ids = connection.session().invocations();
        for id in ids {
            let response: Option<Downstream> =
                connection.session().invoked(id, Err(Failure::EventHandler));
            if let Some(response) = response {
                self.router.shard().tell(connection.key, &response);
            }
        }
    }
}
