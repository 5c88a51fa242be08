//! What the links bring, on its way to the node.

use bytes::Bytes;
use codec::ids::NodeId;
use tokio::time::Instant;

use super::checkpoints::FAREWELL;
use super::nodes::Met;
use super::{Ears, Inner, lock};
use crate::backplane::lanes::{Heard, Incoming, Mark, PART, Part, Question, SMALLEST_PART, Step, Why};
use crate::backplane::redis::{LinkEvent, ServerKey};
use crate::backplane::wire::{self, Body, LinkMessage, Stamp, WireError};
use crate::backplane::{Applied, Arrival, Channel, Content, Envelope, Number, Partition, PartitionSet};
use crate::telemetry::throttle::Pass;

/// What an envelope brings; nothing when it is only its number that counts.
pub(super) type Arrived = Option<(Envelope, Number)>;

/// An envelope that was asked for.
struct Repaired {
    stamp: Stamp,
    partition: Partition,
    channel: String,
    arrived: Arrived,
    len: usize,
}

impl Inner {
    /// Takes in what the links bring. Runs on their thread.
    pub(super) fn on_event(&self, event: LinkEvent) {
        let now = Instant::now();
        match event {
            LinkEvent::Message { channel, payload, from } => match std::str::from_utf8(&channel) {
                Ok(channel) => self.on_message((channel, from), payload, now),
                Err(_) => self.cannot_read("a channel's name is no text"),
            },
            LinkEvent::Deaf(partitions) => {
                lock(&self.nodes).look(false, now);
                self.step(|heard, steps| heard.on_deaf(&partitions, now, steps));
                (self.receive)(Arrival::Deaf(partitions));
            }
            LinkEvent::Hearing(partitions) => {
                self.step(|heard, steps| heard.on_hearing(&partitions, now, steps));
            }
            LinkEvent::Settled(settled) => self.on_settled(settled, now),
        }
    }

    fn on_message(&self, (channel, from): (&str, ServerKey), payload: Bytes, now: Instant) {
        // Something may still come of a channel that is not heard any more.
        let Some(partition) = lock(&self.wishes).partition(channel) else {
            return;
        };
        let len = payload.len();
        let Some((stamp, body)) = self.read(payload) else {
            return;
        };
        match body {
            Some(Body::Link(message)) => self.on_link_message(&stamp, (partition, from), message, now),
            body => {
                let item = self.arrived(&stamp, body);
                let incoming = Incoming { mark: mark(&stamp, (partition, channel)), item, len };
                self.step(|heard, steps| heard.on_envelope(incoming, now, steps));
            }
        }
    }

    /// What an envelope says, if this version can read that, and where it stands; nothing when not even that can be read.
    fn read(&self, bytes: Bytes) -> Option<(Stamp, Option<Body>)> {
        match wire::decode(bytes) {
            Ok((stamp, body)) => Some((stamp, Some(body))),
            Err(error) => self.unreadable(error).map(|stamp| (stamp, None)),
        }
    }

    /// What is left of an envelope for this node: what it has applied before it published is not needed again.
    fn arrived(&self, stamp: &Stamp, body: Option<Body>) -> Arrived {
        let Some(Body::Content(content)) = body else {
            return None;
        };
        let is_applied = matches!(content, Content::Command { applied: Applied::AtOrigin, .. });
        let Stamp { origin, epoch, sequence, .. } = stamp;
        let number = Number { epoch: *epoch, sequence: *sequence };
        let is_wanted = !is_applied || *origin != self.node;
        is_wanted.then(|| (Envelope { origin: origin.clone(), content, publication: None }, number))
    }

    fn on_link_message(
        &self,
        stamp: &Stamp,
        (partition, from): (Partition, ServerKey),
        message: LinkMessage,
        now: Instant,
    ) {
        match message {
            LinkMessage::Beat { sequence, age_ms } => {
                if stamp.origin == self.node {
                    lock(&self.namesakes).on_beat(stamp.epoch, age_ms, now);
                }
                let met = lock(&self.nodes).on_beat((&stamp.origin, stamp.epoch), now);
                if met == Met::New {
                    self.beat();
                }
                self.step(|heard, steps| heard.on_beat((&stamp.origin, stamp.epoch), sequence, now, steps));
            }
            LinkMessage::Farewell { is_complete } => self.on_farewell(stamp, is_complete, now),
            LinkMessage::Complete { epoch, checkpoint } if epoch == self.epoch => {
                lock(&self.checkpoints).on_complete(checkpoint, stamp.origin.clone());
            }
            LinkMessage::Complete { .. } => {}
            LinkMessage::Checkpoint { number } => self.on_checkpoint(stamp, number),
            LinkMessage::Probe { number } if stamp.origin == self.node && stamp.epoch == self.epoch => {
                if let Some(lag) = lock(&self.probes).heard(partition, number, now) {
                    self.metrics.lag(lag);
                    self.on_proof(from, now - lag);
                }
            }
            LinkMessage::Probe { .. } => {}
            LinkMessage::Repair { question, floors, within, part_bytes } => {
                let part = match usize::try_from(part_bytes).unwrap_or(PART) {
                    0 => PART,
                    bytes => bytes.clamp(SMALLEST_PART, PART),
                };
                self.on_repair(&stamp.origin, (question, part), (floors, within), now);
            }
            LinkMessage::Repaired { question, part, envelopes, is_last, lacking } => {
                let repaired: Vec<Repaired> = envelopes
                    .into_iter()
                    .filter_map(|(_, channel, bytes)| self.repaired(channel, bytes))
                    .collect();
                let envelopes = repaired.iter().map(|repaired| Incoming {
                    mark: mark(&repaired.stamp, (repaired.partition, &repaired.channel)),
                    item: repaired.arrived.clone(),
                    len: repaired.len,
                });
                let envelopes = envelopes.collect();
                let part = Part { question, number: part, is_last, lacking, envelopes };
                self.step(|heard, steps| heard.on_part((&stamp.origin, stamp.epoch), part, now, steps));
            }
        }
    }

    /// A run of a node ends. It stays until it knows that everybody has what it has published, if it knows that Redis does.
    fn on_farewell(&self, stamp: &Stamp, is_complete: bool, now: Instant) {
        let Stamp { origin, epoch, .. } = stamp;
        if *origin == self.node {
            lock(&self.namesakes).on_farewell(*epoch);
        }
        lock(&self.nodes).on_farewell((origin, *epoch), now);
        let mut has_all = false;
        if is_complete && *origin != self.node {
            self.step(|heard, steps| has_all = heard.on_farewell((origin, *epoch), now, steps));
        }
        if has_all {
            let complete = LinkMessage::Complete { epoch: *epoch, checkpoint: FAREWELL };
            self.tell_node(origin.clone(), complete);
        } else if is_complete && *origin != self.node {
            // It waits until that has come back.
            self.probe();
        }
    }

    /// A node wants to know whether nothing is missing here of what it has published.
    fn on_checkpoint(&self, stamp: &Stamp, number: u64) {
        let Stamp { origin, epoch, .. } = stamp;
        if *origin != self.node && lock(&self.ears).heard.has_all_of(origin) {
            let complete = LinkMessage::Complete { epoch: *epoch, checkpoint: number };
            self.tell_node(origin.clone(), complete);
        }
    }

    /// A probe that was sent at that time has come back.
    fn on_proof(&self, from: ServerKey, sent_at: Instant) {
        if let Some((links, _)) = self.links.get() {
            let partitions = links.heard_from(from);
            self.step(|heard, _| heard.on_proof(&partitions, sent_at));
        }
    }

    /// An envelope of an answer, unless it is of a channel that this node does not hear.
    fn repaired(&self, channel: String, bytes: Bytes) -> Option<Repaired> {
        let partition = lock(&self.wishes).partition(&channel)?;
        let len = bytes.len();
        let (stamp, body) = self.read(bytes)?;
        let arrived = self.arrived(&stamp, body);
        Some(Repaired { stamp, partition, channel, arrived, len })
    }

    /// Does what the numbers say is next. The lock is held meanwhile, so that nothing overtakes it.
    pub(super) fn step(&self, act: impl FnOnce(&mut Heard<Arrived>, &mut Vec<Step<Arrived>>)) {
        let mut ears = lock(&self.ears);
        let Ears { heard, steps } = &mut *ears;
        let forgotten = std::mem::take(&mut *lock(&self.forgotten));
        forgotten.iter().for_each(|name| heard.forget_channel(name));
        act(heard, steps);
        for step in steps.drain(..) {
            match step {
                Step::Deliver(None) => {}
                Step::Deliver(Some((envelope, number))) => {
                    (self.receive)(Arrival::Envelope(envelope, number));
                }
                Step::Ask(Question { origin, number, floors, within, part }) => {
                    self.metrics.asked();
                    let part_bytes = part as u64;
                    let message = LinkMessage::Repair { question: number, floors, within, part_bytes };
                    self.tell_node(origin, message);
                }
                Step::Behind(partitions) => (self.receive)(Arrival::Deaf(partitions)),
                Step::Lost { origin, partitions, why } => self.lost(&origin, partitions, why),
            }
        }
    }

    /// Tells the node whose messages are lost for good. What concerns single connections goes to the node's own channel:
    /// if that is among those affected, it may be anybody's.
    fn lost(&self, origin: &NodeId, partitions: PartitionSet, why: Why) {
        self.metrics.lost();
        if let Some(Pass { withheld }) = lock(&self.losses).pass() {
            let count = partitions.iter().count();
            tracing::warn!(%origin, partitions = count, %why, withheld, "messages of a node are lost for good");
        }
        let channels: Vec<Channel> = lock(&self.wishes).channels_in(partitions).cloned().collect();
        for channel in channels {
            match channel {
                Channel::Topic(topic) => (self.receive)(Arrival::Lost(Some(topic))),
                Channel::Node(_) => (self.receive)(Arrival::Lost(None)),
                Channel::AllNodes | Channel::Probe(..) => {}
            }
        }
    }

    fn unreadable(&self, error: WireError) -> Option<Stamp> {
        self.cannot_read(&error.to_string());
        match error {
            WireError::Unknown { stamp } => Some(stamp),
            WireError::Malformed { stamp, .. } => stamp,
        }
    }

    fn cannot_read(&self, why: &str) {
        self.metrics.unreadable();
        if let Some(Pass { withheld }) = lock(&self.unreadable).pass() {
            tracing::warn!(withheld, "cannot read what another node says: {why}");
        }
    }
}

fn mark<'a>(stamp: &'a Stamp, (partition, channel): (Partition, &'a str)) -> Mark<'a> {
    let Stamp { origin, epoch, sequence, previous } = stamp;
    Mark { origin, epoch: *epoch, sequence: *sequence, previous: *previous, partition, channel }
}
