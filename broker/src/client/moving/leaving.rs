//! A node that stops finds another one for each of its reliable connections, whether its client has come back by then or
//! not: the other one fetches it just as if the client had come there.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use codec::ids::{ConnectionId, HubName};
use tokio::time::Instant;

use super::Connections;
use crate::hub::MemberKey;
use crate::model::close::CloseReason;
use crate::model::command::Topic;
use crate::model::survey::{Answer, Move};

/// Pause between two attempts to find a place, in which its client may come back somewhere, its event handler answer, or
/// the links to the other nodes recover.
const PAUSE: Duration = Duration::from_millis(500);

impl Connections {
    /// The connections that end with this node: those that are not reliable, and all when there is no other node.
    pub(in crate::client) fn bound_to_this_node(&self) -> Vec<MemberKey> {
        let has_others = !self.router.others().is_empty();
        let table = self.table.borrow();
        let bound = table.iter().filter(|(_, connection)| !has_others || connection.recovery.is_none());
        bound.map(|(key, _)| key).collect()
    }

    /// Sends a client away, because the node stops. Its connection moves, if it is reliable and there may be another node,
    /// for which there is time until then.
    pub(in crate::client) fn dismiss(self: &Rc<Self>, key: MemberKey, until: Option<Instant>) {
        let connection = self.table.borrow().get(key).cloned();
        let recovery = connection.as_ref().and_then(|connection| connection.recovery.as_ref());
        if let Some(connection) = connection.as_ref().filter(|connection| connection.keeper().is_some()) {
            // Whoever its client comes to finds its record.
            self.suspend(connection, CloseReason::NodeStopping);
            self.let_lie(key);
            return;
        }
        let (Some(connection), Some(recovery), Some(until)) = (&connection, recovery, until) else {
            return self.end(key, CloseReason::NodeStopping);
        };
        recovery.is_leaving.set(true);
        self.suspend(connection, CloseReason::NodeStopping);
        tokio::task::spawn_local(Rc::clone(self).seek(key, until));
    }

    /// Asks one node after another to take a connection, until it is not here any more.
    async fn seek(self: Rc<Self>, key: MemberKey, until: Instant) {
        let Ok(_turn) = self.moves.seeking.acquire().await else {
            return;
        };
        // They stop as well.
        let mut stopping = HashSet::new();
        while Instant::now() < until {
            let Some((hub, id)) = self.name_of(key) else {
                return;
            };
            let mut others = self.router.others();
            others.retain(|(node, _)| !stopping.contains(node));
            if others.is_empty() {
                break;
            }
            let there = others.into_iter().filter(|(_, is_there)| *is_there).map(|(node, _)| node);
            if let Some(node) = self.moves.next_of(there.collect()) {
                match self.router.adopted(node.clone(), hub, id).await {
                    Some(Answer::Count(_)) => break,
                    Some(Answer::Move(Move::Nothing)) => {
                        stopping.insert(node);
                        continue;
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
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

    /// Takes over a connection from its node, which stops.
    pub(super) async fn adopt(self: &Rc<Self>, topic: &Topic, id: &ConnectionId) -> Answer {
        if self.moves.is_stopping.get() {
            return Answer::Move(Move::Nothing);
        }
        let is_here = self.fetch_once(&topic.hub, id, || true).await.is_ok() && self.find(topic).is_some();
        if is_here { Answer::Count(1) } else { Answer::Move(Move::Later) }
    }
}
