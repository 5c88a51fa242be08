//! The node that a client comes back to fetches its connection from the node that has it.

use std::rc::Rc;
use std::time::Duration;

use codec::ids::{ConnectionId, GroupName, HubName, UserId};

use super::{Connections, POSTPONED};
use crate::backplane::wire::session;
use crate::client::records::Records;
use crate::client::recovery::Unreachable;
use crate::hub::HoldKey;
use crate::model::command::{Target, Topic};
use crate::model::portable::{HandedOver, Portable};
use crate::model::survey::{Move, Prepared, Question, Survey};
use crate::router::{Taken, Whom};

/// Longest time until what is sent to a connection that is to come reaches this node.
const WATCHING: Duration = Duration::from_secs(2);
/// How often a connection may change its groups while it is fetched.
const ROUNDS: usize = 3;

impl Connections {
    /// Fetches a connection that is not here, if anybody has it and its client still waits for it; if somebody fetches it
    /// already, waits for that.
    ///
    /// # Errors
    /// When whoever has it does not answer, or cannot give it up now, or the fetch that was waited for has not brought it.
    pub(in crate::client) async fn fetch_once(
        self: &Rc<Self>,
        hub: &HubName,
        id: &ConnectionId,
        is_awaited: impl Fn() -> bool,
    ) -> Result<(), Unreachable> {
        // It may have come while this waited for its turn.
        if self.router.shard().find(hub, id).is_some() {
            return Ok(());
        }
        let is_first = self.moves.fetched.borrow_mut().insert(id.clone());
        if !is_first {
            let over = async {
                loop {
                    let over = self.moves.fetch_over.notified();
                    if !self.moves.fetched.borrow().contains(id) {
                        return;
                    }
                    over.await;
                }
            };
            tokio::time::timeout(POSTPONED, over).await.map_err(|_| Unreachable)?;
            // What the others were told is not known here: that there is no such connection, or that they may try again.
            return self.router.shard().find(hub, id).map(drop).ok_or(Unreachable);
        }
        let topic = Topic { hub: hub.clone(), target: Target::Connection(id.clone()) };
        let fetched = self.fetch(&topic, id, is_awaited).await;
        self.moves.fetched.borrow_mut().remove(id);
        self.moves.fetch_over.notify_waiters();
        self.flush_soon();
        fetched
    }

    async fn fetch(
        self: &Rc<Self>,
        topic: &Topic,
        id: &ConnectionId,
        is_awaited: impl Fn() -> bool,
    ) -> Result<(), Unreachable> {
        if let Some(records) = self.records.as_ref().filter(|_| self.router.is_durable(&topic.hub)) {
            return self.fetch_recorded(records, topic, id, is_awaited).await;
        }
        match self.look_for(topic, id).await? {
            Move::Prepared(prepared) => self.take(topic, prepared).await,
            Move::Nothing => Ok(()),
            Move::Later | Move::Given(_) => Err(Unreachable),
        }
    }

    /// The same in a durable hub, where the record says who has the connection. It goes on from the record unless that
    /// node gives it up.
    async fn fetch_recorded(
        self: &Rc<Self>,
        records: &Records,
        topic: &Topic,
        id: &ConnectionId,
        is_awaited: impl Fn() -> bool,
    ) -> Result<(), Unreachable> {
        let Some(owner) = self.owner_of_record(records, topic, id).await? else {
            return Ok(());
        };
        if self.router.is_alive(&owner.node) {
            let question = Question::Prepare { connection: id.clone() };
            let survey = Survey { hub: topic.hub.clone(), question };
            match self.router.ask_about(topic, Whom::Node(owner.node.clone()), survey).await {
                Ok(Taken::Said(Move::Prepared(prepared))) => {
                    self.take(topic, prepared).await?;
                    // If it is not here, its record tells more.
                    return self.find(topic).map(drop).ok_or(Unreachable);
                }
                Ok(Taken::Said(Move::Later)) => return Err(Unreachable),
                Ok(Taken::Said(Move::Nothing | Move::Given(_)) | Taken::Nobody) | Err(_) => {}
            }
        }
        // Nobody else can have it while this node has its record.
        self.recall(records, (topic, id), owner, is_awaited).await
    }

    /// Takes a connection from the node that has it.
    async fn take(self: &Rc<Self>, topic: &Topic, prepared: Prepared) -> Result<(), Unreachable> {
        let permit = self.moves.capacity.take().ok_or(Unreachable)?;
        let hold = self.router.shard().begin_hold();
        let handed_over = match self.fetch_from(topic, prepared, hold).await {
            Ok(Some(handed_over)) if self.is_wanted(topic, &handed_over) => handed_over,
            other => {
                self.router.end_hold(hold);
                return other.map(drop);
            }
        };
        // Nothing may come in between: from here until what was held is delivered nobody else has a turn.
        let floors = handed_over.known_floors();
        let HandedOver { portable, delivered, record, .. } = handed_over;
        let (connection, pending) = self.import(portable, permit);
        if let Some(record) = record {
            self.inherit_record(&connection, record);
        }
        let topics = self.router.topics_of(connection.key, &topic.hub, connection.session().connection_id());
        let is_complete = self.router.release_hold((hold, connection.key), topics, delivered, &floors);
        if !is_complete || !pending.is_settled() {
            self.lose_messages(connection.key);
        }
        Ok(())
    }

    fn is_wanted(&self, topic: &Topic, handed_over: &HandedOver) -> bool {
        let Portable { hub, connection_id, .. } = &handed_over.portable;
        let is_meant = *hub == topic.hub && Target::Connection(connection_id.clone()) == topic.target;
        is_meant && self.find(topic).is_none()
    }

    /// Asks the node that the id names, and if that does not have the connection, whoever has it. That there is none is
    /// only believed when all say so: whoever has it may be out of reach, and the client is better off trying again.
    async fn look_for(&self, topic: &Topic, id: &ConnectionId) -> Result<Move, Unreachable> {
        let survey =
            || Survey { hub: topic.hub.clone(), question: Question::Prepare { connection: id.clone() } };
        let home = self.router.home_elsewhere(id).map(Whom::Node);
        for whom in home.into_iter().chain([Whom::Watchers, Whom::Everyone]) {
            let taken = self.router.ask_about(topic, whom, survey()).await.map_err(|_| Unreachable)?;
            if let Taken::Said(said @ (Move::Prepared(_) | Move::Later)) = taken {
                return Ok(said);
            }
        }
        Ok(Move::Nothing)
    }

    /// Holds from now on what is sent to a connection of this user and these groups. Gives where that is sent.
    ///
    /// # Errors
    /// When it cannot be said in time that nothing of it is missed.
    pub(in crate::client) async fn hold_all(
        &self,
        hold: HoldKey,
        topic: &Topic,
        user_id: Option<UserId>,
        groups: impl Iterator<Item = GroupName>,
    ) -> Result<Vec<Topic>, Unreachable> {
        let targets = [Target::Hub, topic.target.clone()].into_iter();
        let targets = targets.chain(user_id.map(Target::User)).chain(groups.map(Target::Group));
        let topics: Vec<_> = targets.map(|target| Topic { hub: topic.hub.clone(), target }).collect();
        let settled = self.router.settle(self.router.hold(hold, topics.clone()));
        match tokio::time::timeout(WATCHING, settled).await {
            Ok(Ok(())) => Ok(topics),
            Ok(Err(_)) | Err(_) => Err(Unreachable),
        }
    }

    /// Holds what is sent to a connection, and then has it given up by the node that has it.
    async fn fetch_from(
        &self,
        topic: &Topic,
        mut prepared: Prepared,
        hold: HoldKey,
    ) -> Result<Option<HandedOver>, Unreachable> {
        for _ in 0..ROUNDS {
            let Prepared { node, ticket, user_id, groups } = prepared;
            let topics = self.hold_all(hold, topic, user_id, groups.iter().cloned()).await?;
            // What this node's own clients published before the hold does not come back to it: it must have gone to the
            // other node before that gives the connection up.
            let gone = self.router.arrived(&topics).await;
            if gone.is_err() || !self.router.shard().is_complete(hold) {
                return Err(Unreachable);
            }
            let Target::Connection(id) = &topic.target else {
                return Ok(None);
            };
            let question = Question::HandOver { connection: id.clone(), ticket, groups };
            let survey = Survey { hub: topic.hub.clone(), question };
            match self.router.ask_about(topic, Whom::Node(node), survey).await {
                Ok(Taken::Said(Move::Given(given))) => {
                    let decoded = session::decode_handover(given.bytes);
                    return decoded.map(Some).map_err(|error| {
                        tracing::warn!(%error, "a connection was handed over that cannot be read");
                        Unreachable
                    });
                }
                Ok(Taken::Said(Move::Prepared(again))) => prepared = again,
                Ok(Taken::Said(Move::Nothing)) => return Ok(None),
                Ok(Taken::Said(Move::Later) | Taken::Nobody) | Err(_) => return Err(Unreachable),
            }
        }
        Err(Unreachable)
    }
}
