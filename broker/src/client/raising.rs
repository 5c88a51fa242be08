//! What connections tell the application: that they have begun and ended, and which groups they join and leave.

use std::rc::Rc;

use codec::event::{Source, What};
use codec::ids::GroupName;

use super::connection::Connection;
use super::connections::Connections;
use crate::events::{Attaching, Delivery, Taker};
use crate::hub::{Keeping, Presence, PresenceChange};
use crate::model::close::CloseReason;
use crate::model::command::Target;

impl Connections {
    /// The request for the next event of a connection, or nothing when nobody takes it.
    pub(super) fn address(&self, connection: &Connection, what: What) -> Option<Delivery> {
        let Some(taker) = self.taker(connection, &what) else {
            connection.correspondence.borrow_mut().skip();
            return None;
        };
        Some(self.address_to(&taker, connection, what))
    }

    fn taker(&self, connection: &Connection, what: &What) -> Option<Taker> {
        self.events.taker(connection.session().hub(), what.kind())
    }

    fn address_to(&self, taker: &Taker, connection: &Connection, what: What) -> Delivery {
        let mut correspondence = connection.correspondence.borrow_mut();
        let event = correspondence.next(source(connection), what);
        self.events.address(&event, taker, &correspondence)
    }

    /// Tells the application that a connection has been made, and then of the groups that it has joined by that.
    pub(super) fn raise_start(&self, connection: &Rc<Connection>) {
        // It may have ended while it was being made.
        if !self.table.borrow().contains_key(connection.key) {
            return;
        }
        // What has been noted of its groups so far is told below, and must not be told again.
        self.raise_presence();
        connection.is_active.set(true);
        self.notify(connection, What::Connected);
        if self.events.takes_presence() {
            for target in self.router.shard().groups_of(connection.key) {
                if let Target::Group(group) = target {
                    self.notify_presence(connection, Presence::Joined, group);
                }
            }
        }
    }

    /// Tells the application that a connection has ended, if it has heard of it.
    pub(super) fn raise_end(&self, connection: &Rc<Connection>, reason: &CloseReason) {
        for change in self.router.shard().take_presence() {
            match change.key == connection.key {
                true if connection.is_active.get() => {
                    self.notify_presence(connection, change.presence, change.group);
                }
                true => {}
                false => self.raise_change(change),
            }
        }
        if connection.is_active.get() {
            self.notify(connection, What::Disconnected { reason: reason.told() });
        }
    }

    /// Tells the application who has joined and left groups since the last call.
    pub(super) fn raise_presence(&self) {
        let changes = self.router.shard().take_presence();
        changes.into_iter().for_each(|change| self.raise_change(change));
    }

    /// Looks again whether the application wants to know who joins and leaves groups.
    pub fn settings_changed(&self) {
        let keeping = if self.events.takes_presence() { Keeping::On } else { Keeping::Off };
        self.router.shard().keep_presence(keeping);
    }

    fn raise_change(&self, change: PresenceChange) {
        let connection = self.table.borrow().get(change.key).cloned();
        // One that is still being made tells of its groups when it has been.
        if let Some(connection) = connection.filter(|connection| connection.is_active.get()) {
            self.notify_presence(&connection, change.presence, change.group);
        }
    }

    /// Unlike other events, those of groups take a number only if somebody wants them: the service's own numbers do not
    /// count them.
    fn notify_presence(&self, connection: &Rc<Connection>, presence: Presence, group: GroupName) {
        let what = match presence {
            Presence::Joined => What::Joined(group),
            Presence::Left => What::Left(group),
        };
        if let Some(taker) = self.taker(connection, &what) {
            self.send(connection, self.address_to(&taker, connection, what));
        }
    }

    fn notify(&self, connection: &Rc<Connection>, what: What) {
        if let Some(delivery) = self.address(connection, what) {
            self.send(connection, delivery);
        }
    }

    /// Sends a notification beside everything else.
    fn send(&self, connection: &Rc<Connection>, delivery: Delivery) {
        let events = Rc::clone(&self.events);
        // The answer of the application must not keep an ended connection.
        let connection = Rc::downgrade(connection);
        self.events.run(async move {
            let sent = events.send(&delivery).await;
            if let (Ok(answer), Some(connection)) = (sent, connection.upgrade()) {
                connection.correspondence.borrow_mut().learn(&delivery, &answer, Attaching::Cookies);
                connection.connections.changed(&connection);
            }
        });
    }
}

/// The connection as events name it.
fn source(connection: &Connection) -> Source {
    let session = connection.session();
    Source {
        hub: session.hub().clone(),
        connection_id: session.connection_id().clone(),
        user_id: session.user_id().cloned(),
        subprotocol: None,
        connection_state: None,
    }
}
