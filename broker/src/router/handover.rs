//! What nodes say to each other about a connection that moves, and what they wait for meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use codec::ids::{ConnectionId, HubName, NodeId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Pending, RouteError, Router};
use crate::backplane::{Applied, Channel, Content, PartitionSet, Position, Reply, Standing};
use crate::hub::{HoldKey, Known, Letter, MemberKey, Outgoing};
use crate::model::command::{Identity, Target, Topic};
use crate::model::survey::{Answer, Given, Move, Question, Survey};

/// Longest time until somebody is ready to give a connection up.
const PATIENCE: Duration = Duration::from_millis(2500);
/// Longest time until it has been given up. Much longer than that takes, and than its client waits, so that it is not given
/// up for nobody: the client may come again meanwhile.
const TRANSFER: Duration = Duration::from_secs(15);
/// Longest time until what a node has published before it gave a connection up has been delivered. Something of it may have
/// to be repaired first, and that ends before.
const EARLIER: Duration = Duration::from_secs(10);
/// Longest time until what is under way to this node has come.
const ARRIVAL: Duration = Duration::from_secs(1);
/// Longest time until nothing comes to a node that stops.
const SILENCE: Duration = Duration::from_secs(5);
/// Time between two looks whether something would.
const LOOK: Duration = Duration::from_millis(50);
/// How long what a connection has received at one node may come to it at another: as long as it may be sent again.
const MEMORY: Duration = Duration::from_secs(60);

/// What another node said of a connection.
#[derive(Debug)]
pub enum Taken {
    /// What it said, if anybody was there; several parts are put together.
    Said(Move),
    /// Nobody was there.
    Nobody,
}

/// Who is asked about a connection.
#[derive(Debug, Clone)]
pub enum Whom {
    /// This node.
    Node(NodeId),
    /// Whoever hears what is sent to the connection, as the node does that has it.
    Watchers,
    /// All nodes. It is an error if one that may have the connection does not answer.
    Everyone,
}

impl Router {
    /// The node that a connection's id names, if that is not this one.
    pub fn home_elsewhere(&self, id: &ConnectionId) -> Option<NodeId> {
        id.node().filter(|node| node != self.node())
    }

    /// Asks about a connection. When it is given up, all that its client has published at its former node has been delivered
    /// here: the client is going to publish here, and that must come after it.
    ///
    /// # Errors
    /// When somebody was asked and has not answered.
    pub async fn ask_about(&self, topic: &Topic, whom: Whom, survey: Survey) -> Result<Taken, RouteError> {
        let giver = match &whom {
            Whom::Node(node) => Some(node.clone()),
            Whom::Watchers | Whom::Everyone => None,
        };
        let taken = self.gather(topic, whom, survey).await?;
        if let (Some(giver), Taken::Said(Move::Given(_))) = (giver, &taken) {
            self.come_after(&giver).await;
        }
        Ok(taken)
    }

    /// Waits until nothing waits here of what a node has published until now.
    async fn come_after(&self, node: &NodeId) {
        let nothing_waits = async {
            while !self.0.bus.has_all_of(node) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(EARLIER, nothing_waits).await.is_err() {
            tracing::warn!(%node, "messages of a connection that has moved may come in another order");
        }
        self.all_dealt_with().await;
    }

    async fn gather(&self, topic: &Topic, whom: Whom, survey: Survey) -> Result<Taken, RouteError> {
        let must_all_tell = matches!(whom, Whom::Everyone);
        let channel = match whom {
            Whom::Node(node) => Channel::Node(node),
            Whom::Watchers => Channel::Topic(topic.clone()),
            Whom::Everyone => Channel::AllNodes,
        };
        let mut asked = self.0.exchange.ask();
        let patience = match &survey.question {
            Question::HandOver { .. } => TRANSFER,
            _ => PATIENCE,
        };
        let question = Content::Question { id: asked.id, survey: Arc::new(survey) };
        let gather = async {
            let mut left = self.reach(&channel, question).await?;
            let mut bytes = BytesMut::new();
            let mut said = Taken::Nobody;
            let mut next = 0;
            let mut by = HashSet::new();
            while left > 0 {
                let (node, reply) = asked.replies.recv().await.ok_or(RouteError::Incomplete)?;
                let Reply::Known(Answer::Move(answer)) = reply else {
                    return Err(RouteError::Incomplete);
                };
                match answer {
                    Move::Given(Given { part, is_last, bytes: more }) if part == next => {
                        bytes.extend_from_slice(&more);
                        next += 1;
                        if is_last {
                            let bytes = std::mem::take(&mut bytes).freeze();
                            return Ok(Taken::Said(Move::Given(Given { part: 0, is_last: true, bytes })));
                        }
                    }
                    Move::Given(_) => return Err(RouteError::Incomplete),
                    // Others may have been asked as well, who do not have it any more.
                    Move::Nothing => {
                        left -= 1;
                        by.insert(node);
                        said = Taken::Said(Move::Nothing);
                    }
                    Move::Later | Move::Prepared(_) => return Ok(Taken::Said(answer)),
                }
            }
            if must_all_tell && !self.have_all_told(topic, &by) {
                return Err(RouteError::Incomplete);
            }
            Ok(said)
        };
        tokio::time::timeout(patience, gather).await.map_err(|_| RouteError::Incomplete)?
    }

    /// The places of a connection: what is sent to any of these is for it.
    pub fn topics_of(&self, key: MemberKey, hub: &HubName, id: &ConnectionId) -> Vec<Topic> {
        let targets = self.shard().targets_of(key).into_iter().chain([Target::Connection(id.clone())]);
        targets.map(|target| Topic { hub: hub.clone(), target }).collect()
    }

    /// Waits until everything has come to this node that was published to the topics before, by this node or another, and
    /// until the others have all that this node has published: a client that moves goes on publishing at another node, and
    /// nobody may get that before. Gives up to which numbers everything has come.
    ///
    /// # Errors
    /// When that takes too long, or something is missing.
    pub async fn arrived(&self, topics: &[Topic]) -> Result<Vec<(u8, Identity)>, RouteError> {
        let partitions = topics.iter().map(|topic| Channel::Topic(topic.clone()).partition());
        let partitions: PartitionSet = partitions.collect();
        self.arrived_in(&partitions).await?;
        // Reliable members of durable hubs that miss something go on from the logs, which have the right order.
        if topics.iter().all(|topic| !self.is_durable(&topic.hub)) {
            let all_have_all = tokio::time::timeout(ARRIVAL, self.0.bus.all_have_all());
            all_have_all.await.map_err(|_| RouteError::Unreachable)?;
        }
        self.0.bus.position(&partitions).map(floors).ok_or(RouteError::Incomplete)
    }

    /// How far this node is with what is published to these partitions; nothing while something is missing, or may be, that
    /// is not in the logs of durable hubs or may still come there unheard.
    pub fn position(&self, partitions: &PartitionSet) -> Option<Vec<(u8, Identity)>> {
        self.0.bus.position_with_logs(partitions).map(floors)
    }

    /// Waits until what this node publishes to these partitions comes back to it.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn arrived_in(&self, partitions: &PartitionSet) -> Result<(), RouteError> {
        let mut asked = self.0.exchange.ask();
        for partition in partitions.iter() {
            let probe = Channel::Probe(self.node().clone(), partition);
            self.publish_to(&probe, Content::Reply { to: asked.id, reply: Reply::Unknown }, None)?;
        }
        let all_back = async {
            for _ in partitions.iter() {
                asked.replies.recv().await.ok_or(RouteError::Incomplete)?;
            }
            Ok(())
        };
        tokio::time::timeout(ARRIVAL, all_back).await.map_err(|_| RouteError::Unreachable)?
    }

    /// Lets nothing more come to this node for connections that are not here any more, and resolves when all that has
    /// come is with the workers. Whoever sends something from then on sees that, and sends it to their new nodes.
    pub async fn fall_silent(&self) {
        let own = Channel::Node(self.node().clone());
        self.0.bus.unwatch(&own);
        let silent = async {
            while self.is_heard_at(&own).await? {
                tokio::time::sleep(LOOK).await;
            }
            self.arrived_in(&[own.partition()].into_iter().collect()).await
        };
        if !matches!(tokio::time::timeout(SILENCE, silent).await, Ok(Ok(()))) {
            tracing::warn!("messages for connections that have moved may not have been handed on");
        }
    }

    async fn is_heard_at(&self, channel: &Channel) -> Result<bool, RouteError> {
        let asked = self.0.exchange.ask();
        Ok(self.reach(channel, Content::Reply { to: asked.id, reply: Reply::Unknown }).await? > 0)
    }

    /// Waits until this worker has dealt with everything that this node has received, or its own clients have published,
    /// before.
    pub async fn all_dealt_with(&self) {
        let mut posted = Vec::new();
        for worker in (0..self.switchboard().count()).filter(|worker| *worker != self.0.worker) {
            let (done, is_done) = oneshot::channel();
            self.switchboard().inbox(worker).post(Letter::PostAll(done));
            posted.push(is_done);
        }
        for is_done in posted {
            // A worker that is gone posts nothing any more.
            let _ = is_done.await;
        }
        self.switchboard().inbox(self.0.worker).caught_up().await;
    }

    /// Keeps what is sent to these topics as well, for a connection that is to come. It is settled once nothing is missed.
    pub fn hold(&self, hold: HoldKey, topics: Vec<Topic>) -> Pending {
        let mut pending = Pending::default();
        for topic in topics {
            let is_new = self.shard().hold_topic(hold, topic.clone());
            if is_new {
                self.watch(&topic.hub, topic.target, &mut pending);
            }
        }
        pending
    }

    /// Nobody comes after all.
    pub fn end_hold(&self, hold: HoldKey) {
        let (_, unwanted) = self.shard().end_hold(hold);
        unwanted.iter().for_each(|topic| self.unwatch(topic));
    }

    /// Delivers what was kept for a connection that has come to these topics, as far as it has not received it before:
    /// these messages, and of each partition everything up to the floors. False when something is missing.
    #[must_use]
    pub fn release_hold(
        &self,
        (hold, key): (HoldKey, MemberKey),
        topics: Vec<Topic>,
        delivered: Vec<Identity>,
        floors: &[(u8, Identity)],
    ) -> bool {
        let floors_of = |topic: Topic| {
            let partition = Channel::Topic(topic.clone()).partition().0;
            let floors = floors.iter().filter(|(at, _)| *at == partition);
            (topic, floors.map(|(_, floor)| floor.clone()).collect())
        };
        let known = Known {
            delivered: delivered.into_iter().collect(),
            floors: topics.into_iter().map(floors_of).collect(),
        };
        let mut shard = self.shard();
        shard.know(key, known, Instant::now() + MEMORY);
        let (held, unwanted) = shard.end_hold(hold);
        let is_complete = held.is_some();
        for held in held.iter().flatten() {
            // One that has no room for what it is owed finds this in the logs as well.
            if shard.is_behind(key) {
                break;
            }
            shard.deliver_held(key, held);
        }
        drop(shard);
        unwanted.iter().for_each(|topic| self.unwatch(topic));
        is_complete
    }

    /// A connection that was reached by its own topic has gone.
    pub fn forget_guest(&self, hub: &HubName, id: &ConnectionId) {
        self.unwatch(&Topic { hub: hub.clone(), target: Target::Connection(id.clone()) });
    }

    /// Brings a message to this worker's members. What is for a connection that this node has given away, or given away
    /// and got back, is published to whoever has it, so that all of that takes one way.
    pub fn deliver(&self, outgoing: &Outgoing, is_guest: impl FnOnce(MemberKey) -> bool) {
        let command = outgoing.command();
        let Target::Connection(id) = &command.target else {
            return self.shard().deliver(outgoing);
        };
        let found = self.shard().find(&command.hub, id);
        let is_home = id.node().as_ref() == Some(self.node());
        if outgoing.is_forwarded() || !is_home || found.is_some_and(|key| !is_guest(key)) {
            return self.shard().deliver(outgoing);
        }
        let topic = Topic { hub: command.hub.clone(), target: command.target.clone() };
        let content = Content::Command { applied: Applied::Forwarded, command: outgoing.shared_command() };
        if self.publish_to(&Channel::Topic(topic), content, None).is_err() {
            tracing::debug!("a message for a connection that has moved could not be handed on");
        }
    }

    /// Asks another node to take over a connection of this one. What it answers; nothing when it does not, because it has
    /// ended meanwhile, for example.
    pub async fn adopted(&self, node: NodeId, hub: HubName, connection: ConnectionId) -> Option<Answer> {
        let survey = Arc::new(Survey { hub, question: Question::Adopt { connection } });
        let channel = Channel::Node(node.clone());
        let gone = async {
            while !self.0.bus.outlook().is_gone(&node) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            asked = tokio::time::timeout(TRANSFER, self.ask(&channel, &survey)) => {
                asked.ok()?.ok().filter(|told| !told.by.is_empty()).map(|told| told.answer)
            }
            () = gone => None,
        }
    }

    /// Whether another node is known to be there.
    pub fn is_alive(&self, node: &NodeId) -> bool {
        self.0.bus.outlook().others.get(node) == Some(&Standing::Alive)
    }

    /// The other nodes that may be there, and whether they are known to be.
    pub fn others(&self) -> Vec<(NodeId, bool)> {
        let others = self.0.bus.outlook().others.into_iter();
        let others = others.filter(|(_, standing)| *standing != Standing::Gone);
        others.map(|(node, standing)| (node, standing == Standing::Alive)).collect()
    }

    /// Whose holders a survey concerns.
    pub fn topic_of(survey: &Survey) -> Topic {
        super::survey::topic_of(survey)
    }
}

/// Each as members know it.
fn floors(positions: Vec<Position>) -> Vec<(u8, Identity)> {
    let floors = positions.into_iter().map(|heard| {
        let (epoch, sequence) = (heard.up_to.epoch, heard.up_to.sequence);
        (heard.partition.0, Identity { origin: heard.origin, epoch, sequence })
    });
    floors.collect()
}
