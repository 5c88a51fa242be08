//! The node that has a connection gives it to another one, whose client has come there.
//!
//! First it prepares: the connection loses its socket and its task comes to rest, and what it is delivered from then on is
//! noted by name. Once the other node holds whatever is sent to the connection, this one brings it all that was published
//! before, and hands it over in one turn.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use codec::ids::GroupName;
use tokio::time::Instant;

use super::{Connections, POSTPONED};
use crate::backplane::wire::session;
use crate::client::connection::Connection;
use crate::hub::{MemberKey, ReplySlot, Ticket};
use crate::model::close::CloseReason;
use crate::model::command::{Target, Topic};
use crate::model::portable::HandedOver;
use crate::model::survey::{Answer, Given, Move, Prepared, Question, Survey};
use crate::router::{RouteError, Router};

/// Longest time until a connection's task has done what it is in the midst of. It may wait for an event handler, which is
/// not to be called twice; the client tries again.
const RESTING: Duration = Duration::from_secs(1);
/// Longest time that a node takes to give up a connection. Less than whoever asks for it waits.
const GIVING: Duration = Duration::from_millis(1500);
/// How long a preparation stands. Longer than whoever asks for the connection goes on asking.
const PREPARED: Duration = Duration::from_secs(20);

impl Connections {
    /// Takes over a survey that cannot be answered at once; gives it back if it can.
    pub(in crate::client) fn reply_later(
        self: &Rc<Self>,
        survey: Arc<Survey>,
        reply: ReplySlot,
    ) -> Option<(Arc<Survey>, ReplySlot)> {
        let topic = Router::topic_of(&survey);
        let connections = Rc::clone(self);
        match &survey.question {
            Question::Prepare { .. } => {
                tokio::task::spawn_local(async move {
                    reply.give(Answer::Move(connections.prepare(&topic).await));
                });
            }
            Question::HandOver { ticket, groups, .. } => {
                let (ticket, groups) = (Ticket(*ticket), groups.clone());
                tokio::task::spawn_local(async move {
                    reply.give(Answer::Move(connections.hand_over(&topic, ticket, &groups).await));
                });
            }
            Question::Adopt { connection } => {
                let connection = connection.clone();
                tokio::task::spawn_local(async move {
                    reply.give(connections.adopt(&topic, &connection).await);
                });
            }
            Question::Permission { .. } if self.router.is_durable(&survey.hub) => {
                tokio::task::spawn_local(async move {
                    let answer = connections.answer_for_sessions(&survey).await;
                    connections.flush_soon();
                    if connections.router.settle(connections.router.written_through(&topic)).await.is_ok() {
                        reply.give(answer);
                    }
                });
            }
            _ if self.router.shard().is_held(&topic) => {
                tokio::task::spawn_local(async move {
                    let over = tokio::time::timeout(POSTPONED, connections.not_held(&topic)).await;
                    // Without an answer whoever asks knows that something is missing.
                    if over.is_ok() {
                        connections.reply(&survey, reply).await;
                        connections.flush_soon();
                    }
                });
            }
            _ => return Some((survey, reply)),
        }
        None
    }

    async fn not_held(&self, topic: &Topic) {
        loop {
            let over = self.moves.fetch_over.notified();
            if !self.router.shard().is_held(topic) {
                return;
            }
            over.await;
        }
    }

    pub(super) fn find(&self, topic: &Topic) -> Option<Rc<Connection>> {
        let Target::Connection(id) = &topic.target else {
            return None;
        };
        // A statement of its own, so that the shard is free again.
        let key = self.router.shard().find(&topic.hub, id)?;
        self.table.borrow().get(key).cloned()
    }

    /// Begins to give up a connection: it loses its socket, and what it is delivered from now on is noted.
    async fn prepare(&self, topic: &Topic) -> Move {
        if let Target::Connection(id) = &topic.target {
            self.forget_behind(&topic.hub, id);
            // Its record is this node's already, or is about to be.
            if self.router.is_durable(&topic.hub) && self.moves.fetched.borrow().contains(id) {
                return Move::Later;
            }
        }
        let Some(connection) = self.find(topic) else {
            return Move::Nothing;
        };
        let Some(recovery) = &connection.recovery else {
            return Move::Nothing;
        };
        if recovery.is_reserved.get() {
            return Move::Later;
        }
        self.suspend(&connection, CloseReason::ConnectionLost);
        let key = connection.key;
        if !self.comes_to_rest(&connection).await {
            return Move::Later;
        }
        let ticket = self.router.shard().begin_record(key, Instant::now() + PREPARED);
        let id = connection.session().connection_id().clone();
        let topics = self.router.topics_of(key, &topic.hub, &id);
        let floors = self.router.arrived(&topics).await;
        if !self.router.shard().has_record(key, ticket) {
            return Move::Later;
        }
        match floors {
            Ok(floors) => drop(recovery.floors.replace(floors)),
            Err(error) => {
                tracing::debug!(%error, "a connection cannot move now");
                self.router.shard().end_record(key);
                return Move::Later;
            }
        }
        let user_id = connection.session().user_id().cloned();
        let (node, groups) = (self.router.node().clone(), self.groups_of(key));
        Move::Prepared(Prepared { node, ticket: ticket.0, user_id, groups })
    }

    /// Waits until the task of a connection without a socket has nothing more in hand. False when that takes too long, or
    /// the connection has ended or is about to have a socket again.
    async fn comes_to_rest(&self, connection: &Connection) -> bool {
        let Some(recovery) = &connection.recovery else {
            return false;
        };
        let at_rest = async {
            loop {
                let over = self.moves.pause_over.notified();
                if !recovery.is_paused.get() {
                    return;
                }
                over.await;
            }
        };
        let is_at_rest = tokio::time::timeout(RESTING, at_rest).await.is_ok();
        let is_alone = !recovery.is_reserved.get() && connection.is_missing_until().is_some();
        is_at_rest && is_alone && self.table.borrow().contains_key(connection.key)
    }

    fn groups_of(&self, key: MemberKey) -> Vec<GroupName> {
        let groups = self.router.shard().groups_of(key).into_iter().filter_map(|target| match target {
            Target::Group(group) => Some(group),
            Target::Hub | Target::User(_) | Target::Connection(_) => None,
        });
        groups.collect()
    }

    /// Gives up a connection, once everything has been delivered to it that was published before whoever asks began to
    /// hold what is sent to it.
    async fn hand_over(&self, topic: &Topic, ticket: Ticket, held: &[GroupName]) -> Move {
        let Some(connection) = self.find(topic) else {
            return Move::Nothing;
        };
        let key = connection.key;
        let id = connection.session().connection_id().clone();
        let topics = self.router.topics_of(key, &topic.hub, &id);
        let ready = async {
            // What it has published itself, or it might overtake that at the other node.
            self.router.flushed().await;
            self.router.arrived(&topics).await?;
            self.router.all_dealt_with().await;
            Ok::<_, RouteError>(())
        };
        if !matches!(tokio::time::timeout(GIVING, ready).await, Ok(Ok(()))) {
            return Move::Later;
        }
        self.forget_behind(&topic.hub, &id);
        // It may have ended meanwhile, or its client may have come back to this node.
        if self.find(topic).is_none() {
            return Move::Nothing;
        }
        if !self.router.shard().has_record(key, ticket) {
            return Move::Later;
        }
        if !self.groups_of(key).iter().all(|group| held.contains(group)) {
            return self.prepare(topic).await;
        }
        let Some(delivered) = self.router.shard().end_record(key) else {
            return Move::Later;
        };
        let floors = connection.recovery.as_ref().map(|recovery| recovery.floors.take()).unwrap_or_default();
        // What it has been sent is in its window, and has to be said to be served.
        self.keep_records();
        let record = self.record_state(&connection);
        let Some(portable) = self.export(key) else {
            return Move::Nothing;
        };
        let bytes = session::encode_handover(&HandedOver { portable, delivered, floors, record });
        Move::Given(Given { part: 0, is_last: true, bytes: bytes.into() })
    }
}
