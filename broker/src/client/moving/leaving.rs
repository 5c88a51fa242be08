//! A node that stops finds another one for each of its reliable connections, whether its client has come back by then or
//! not: the other one fetches it just as if the client had come there.

use std::rc::Rc;
use std::time::Duration;

use codec::ids::{ConnectionId, HubName};

use super::Connections;
use crate::hub::MemberKey;
use crate::model::close::CloseReason;
use crate::model::command::Topic;

/// How often a connection asks for a place before it ends.
const ATTEMPTS: usize = 8;
/// Pause between two attempts, in which its client may come back somewhere, or its event handler answer.
const PAUSE: Duration = Duration::from_millis(500);

impl Connections {
    /// Sends a client away, because the node stops. Its connection moves, if it is reliable and there is another node, and
    /// ends otherwise.
    pub(in crate::client) fn dismiss(self: &Rc<Self>, key: MemberKey, has_others: bool) {
        let connection = self.table.borrow().get(key).cloned();
        match connection.as_ref().and_then(|connection| connection.recovery.as_ref().zip(Some(connection))) {
            Some((recovery, connection)) if has_others => {
                recovery.is_leaving.set(true);
                self.suspend(connection, CloseReason::NodeStopping);
                tokio::task::spawn_local(Rc::clone(self).seek(key));
            }
            _ => self.end(key, CloseReason::NodeStopping),
        }
    }

    /// Asks one node after another to take a connection, until it is not here any more.
    async fn seek(self: Rc<Self>, key: MemberKey) {
        let Ok(_turn) = self.moves.seeking.acquire().await else {
            return;
        };
        for _ in 0..ATTEMPTS {
            let Some((hub, id)) = self.name_of(key) else {
                return;
            };
            let Some(node) = self.moves.next_of(self.router.others()) else {
                break;
            };
            if !self.router.is_adopted(node, hub, id).await {
                tokio::time::sleep(PAUSE).await;
            }
        }
        // Nothing if it has gone.
        self.end(key, CloseReason::NodeStopping);
    }

    fn name_of(&self, key: MemberKey) -> Option<(HubName, ConnectionId)> {
        let connection = self.table.borrow().get(key).cloned()?;
        let session = connection.session();
        Some((session.hub().clone(), session.connection_id().clone()))
    }

    /// Hands on what still comes for connections that have moved from here, until nothing does.
    pub async fn follow_up(&self) {
        if self.moves.has_given.get() {
            self.router.fall_silent().await;
            self.router.caught_up().await;
            self.router.post_letters();
        }
    }

    /// Takes over a connection from its node, which stops. Whether it is here now.
    pub(super) async fn adopt(self: &Rc<Self>, topic: &Topic, id: &ConnectionId) -> bool {
        let is_wanted = !self.moves.is_stopping.get();
        is_wanted && self.fetch_once(&topic.hub, id).await.is_ok() && self.find(topic).is_some()
    }
}
