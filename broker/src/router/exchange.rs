//! This node among the others: takes in what the bus brings, answers what other nodes ask, and collects what they
//! answer. Shared by all workers; a node asks itself in the same way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use codec::ids::NodeId;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::durable::DurableHubs;
use super::survey::{merge, nothing_known, topic_of};
use crate::backplane::{
    Applied, Arrival, Bus, Channel, Content, Envelope, Number, QuestionId, Receiver, Reply,
};
use crate::hub::{Letter, Outgoing, ReplySlot, Switchboard, Workers};
use crate::model::command::Identity;
use crate::model::survey::{Answer, Given, Move, Survey};

/// Bytes of a connection that moves in one message.
const PART: usize = 256 << 10;

/// See the module.
pub struct Exchange {
    node: NodeId,
    switchboard: Arc<Switchboard>,
    durable: DurableHubs,
    /// Absent until the node is linked to the others.
    bus: OnceLock<Weak<dyn Bus>>,
    questions: Mutex<HashMap<QuestionId, mpsc::UnboundedSender<(NodeId, Reply)>>>,
    next_question: AtomicU64,
}

/// A question of this node that awaits replies; forgotten when it is dropped.
pub(super) struct Asked<'a> {
    exchange: &'a Exchange,
    pub(super) id: QuestionId,
    /// Each with the node that gives it.
    pub(super) replies: mpsc::UnboundedReceiver<(NodeId, Reply)>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.exchange.questions().remove(&self.id);
    }
}

impl Exchange {
    /// A node that is not linked to others yet.
    pub fn new(node: NodeId, switchboard: Arc<Switchboard>, durable: DurableHubs) -> Arc<Self> {
        Arc::new(Self {
            node,
            switchboard,
            durable,
            bus: OnceLock::new(),
            questions: Mutex::default(),
            next_question: AtomicU64::new(0),
        })
    }

    /// What takes in the arrivals of this node's bus.
    pub fn receiver(self: &Arc<Self>) -> Receiver {
        let exchange = Arc::clone(self);
        Box::new(move |arrival| exchange.receive(arrival))
    }

    /// Links the node to the others. Only the first bus counts.
    pub fn link(&self, bus: &Arc<dyn Bus>) {
        let _ = self.bus.set(Arc::downgrade(bus));
    }

    pub(super) fn node(&self) -> &NodeId {
        &self.node
    }

    pub(super) fn durable(&self) -> &DurableHubs {
        &self.durable
    }

    pub(super) fn switchboard(&self) -> &Switchboard {
        &self.switchboard
    }

    /// Own local-first commands are dropped, everything else goes to the workers that have members of its target.
    fn receive(self: &Arc<Self>, arrival: Arrival) {
        let (Envelope { origin, content, .. }, number) = match arrival {
            Arrival::Envelope(envelope, number) => (envelope, number),
            Arrival::Lost(topic) => return self.switchboard.lose(topic.as_ref()),
            Arrival::Deaf(_) if self.durable.is_empty() => return,
            Arrival::Deaf(partitions) => {
                let partitions = partitions.iter().map(|partition| partition.0).collect();
                return self.switchboard.fall_behind(&partitions);
            }
        };
        match content {
            Content::Command { applied: Applied::AtOrigin, .. } if origin == self.node => {}
            Content::Command { command, applied } => {
                let Number { epoch, sequence } = number;
                let outgoing = Outgoing::new(command, Instant::now());
                let outgoing = outgoing.known_as(Some(Identity { origin, epoch, sequence }));
                self.switchboard.deliver(&Arc::new(match applied {
                    // Either has come by the connection's own topic, if it is for a connection.
                    Applied::Forwarded | Applied::Noted => outgoing.forwarded(),
                    Applied::AtOrigin | Applied::OnReceipt => outgoing,
                }));
            }
            Content::Question { id, survey } => self.answer(origin, id, &survey),
            Content::Reply { to, reply } => {
                // Nobody may wait for it any more.
                if let Some(asker) = self.questions().get(&to) {
                    let _ = asker.send((origin, reply));
                }
            }
        }
    }

    /// Replies to a question when the last worker that may know has answered.
    fn answer(self: &Arc<Self>, asker: NodeId, id: QuestionId, survey: &Arc<Survey>) {
        let topic = topic_of(survey);
        let workers = self.switchboard.workers_of(&topic.hub, &topic.target);
        let gathering = Arc::new(Gathering {
            exchange: Arc::clone(self),
            asker,
            id,
            known: Mutex::new(Some(nothing_known(&survey.question))),
        });
        self.ask_workers(survey, workers, &gathering);
    }

    fn ask_workers(&self, survey: &Arc<Survey>, workers: Workers, gathering: &Arc<Gathering>) {
        for worker in workers {
            let gathering = Arc::clone(gathering);
            let slot = ReplySlot::new(move |answer| gathering.take(answer));
            self.switchboard.inbox(worker).offer(Letter::Ask(Arc::clone(survey), slot));
        }
    }

    /// Begins to collect replies.
    pub(super) fn ask(&self) -> Asked<'_> {
        let id = QuestionId(self.next_question.fetch_add(1, Ordering::Relaxed));
        let (sender, replies) = mpsc::unbounded_channel();
        self.questions().insert(id, sender);
        Asked { exchange: self, id, replies }
    }

    fn reply(&self, asker: NodeId, content: Content) {
        let envelope = Envelope { origin: self.node.clone(), content, publication: None };
        let bus = self.bus.get().and_then(Weak::upgrade);
        let sent = bus.map(|bus| bus.publish(&Channel::Node(asker), envelope, None));
        if !matches!(sent, Some(Ok(_))) {
            // The asker notices that a reply is missing.
            tracing::debug!("a reply to another node could not be sent");
        }
    }

    fn questions(&self) -> MutexGuard<'_, HashMap<QuestionId, mpsc::UnboundedSender<(NodeId, Reply)>>> {
        // Nothing that runs under the lock leaves the table half changed.
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers of this node's workers to one question. Replies when the last of them has been given, with what is known
/// then.
struct Gathering {
    exchange: Arc<Exchange>,
    asker: NodeId,
    id: QuestionId,
    /// Absent when a worker has not answered: what is known without it is not passed off as the whole.
    known: Mutex<Option<Answer>>,
}

impl Gathering {
    fn take(&self, answer: Option<Answer>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = known.take().zip(answer).map(|(known, answer)| merge(known, answer));
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let known = self.known.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let replies = known.map_or_else(|| vec![Reply::Unknown], parts);
        for reply in replies {
            self.exchange.reply(self.asker.clone(), Content::Reply { to: self.id, reply });
        }
    }
}

/// Divides what is too long for one message. A connection that moves is one part until then.
fn parts(answer: Answer) -> Vec<Reply> {
    let Answer::Move(Move::Given(Given { bytes, .. })) = answer else {
        return vec![Reply::Known(answer)];
    };
    let last = bytes.len().div_ceil(PART).saturating_sub(1);
    let part = |number: usize| {
        let bytes = bytes.slice(number * PART..bytes.len().min((number + 1) * PART));
        Reply::Known(Answer::Move(Move::Given(Given { part: number as u64, is_last: number == last, bytes })))
    };
    (0..=last).map(part).collect()
}
