//! Members of durable hubs: what they are sent is written elsewhere first, and what they are told of themselves leaves
//! only when that is written too. So whoever goes on with one, after its node was lost, knows all that its client knows.
//!
//! Messages wait in the window, which has a limit. What does not fit can be had from the log later: the member falls
//! behind, instead of having to end. Frames without a number, of which there are few, wait here. Pings and
//! pongs do not wait: they say nothing of the connection.

use std::collections::VecDeque;
use std::rc::Rc;

use codec::ids::SequenceId;
use tokio::time::Instant;

use super::fanout::Outgoing;
use super::member::{Member, MemberKey};
use super::parcel::{NONE, Parcel};
use super::shard::Shard;
use super::window::WindowLimits;
use crate::model::command::{Identity, Topic};
use crate::model::portable::KeptMessage;

/// How often a member has changed in anything but its messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u64);

/// What a durable member may not be told yet.
#[derive(Debug, Default)]
pub(super) struct Gate {
    changed: Version,
    written: Version,
    /// Nothing that others send reaches it any more: it is to go on from its record.
    is_behind: bool,
    /// Frames without a number, in their order.
    withheld: VecDeque<Withheld>,
    /// Bytes of them.
    bytes: usize,
}

/// A frame that is kept back.
#[derive(Debug)]
struct Withheld {
    /// What has to be written before.
    version: Version,
    /// The message behind which it goes.
    behind: SequenceId,
    parcel: Rc<Parcel>,
}

/// What is to be written of the durable members of a shard.
#[derive(Debug, Default)]
pub struct Unwritten {
    /// Messages, in the order in which they were numbered.
    pub messages: Vec<UnwrittenMessage>,
    /// Members that have changed otherwise.
    pub changed: Vec<MemberKey>,
}

/// A message that has been numbered for a durable member.
#[derive(Debug)]
pub struct UnwrittenMessage {
    /// For whom.
    pub key: MemberKey,
    /// The message.
    pub message: KeptMessage,
    /// Where it was sent, and by what name all nodes know it; absent when only this one does.
    pub source: Option<(Topic, Identity)>,
}

impl Unwritten {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.changed.is_empty()
    }

    /// Notes a message that a member has just been sent.
    #[cold]
    pub(super) fn sent(&mut self, key: MemberKey, member: &Member, source: Option<&Outgoing>) {
        let Some(message) = member.outbox.window().and_then(|window| window.export_last(Instant::now()))
        else {
            return;
        };
        let source = source.and_then(|outgoing| {
            let command = outgoing.command();
            let topic = Topic { hub: command.hub.clone(), target: command.target.clone() };
            Some((topic, outgoing.identity()?.clone()))
        });
        self.messages.push(UnwrittenMessage { key, message, source });
    }
}

impl Shard {
    /// Makes a member durable: nothing reaches its client any more until that is written. Of what it has been sent,
    /// messages up to this number are.
    pub fn make_durable(&mut self, key: MemberKey, written: SequenceId) {
        let Some(member) = self.members.get_mut(key) else { return };
        member.outbox.limit(written);
        member.gate = Some(Box::default());
        self.changed(key);
    }

    /// Notes that a member has changed in something else than its messages. Nothing if it is not durable.
    pub fn changed(&mut self, key: MemberKey) {
        let Some(gate) = self.members.get_mut(key).and_then(|member| member.gate.as_deref_mut()) else {
            return;
        };
        gate.changed.0 += 1;
        self.queue.unwritten.changed.push(key);
    }

    /// How often a member has changed until now.
    pub fn version(&self, key: MemberKey) -> Version {
        let gate = self.members.get(key).and_then(|member| member.gate.as_deref());
        gate.map_or(Version::default(), |gate| gate.changed)
    }

    /// Whether everything up to a version is written; nothing when the member is no more.
    pub fn is_written(&self, key: MemberKey, version: Version) -> Option<bool> {
        let member = self.members.get(key)?;
        Some(member.gate.as_deref().is_none_or(|gate| gate.written >= version))
    }

    /// Messages up to this number, and all changes up to this version, are written: they may leave.
    pub fn written(&mut self, key: MemberKey, up_to: SequenceId, version: Version) {
        let Some(member) = self.members.get_mut(key) else { return };
        let Some(gate) = member.gate.as_deref_mut() else { return };
        gate.written = gate.written.max(version);
        member.outbox.limit(up_to);
        while let Some(Withheld { behind, parcel, .. }) =
            gate.withheld.pop_front_if(|withheld| withheld.version <= gate.written)
        {
            gate.bytes -= parcel.len(NONE);
            member.outbox.push_behind(parcel, behind);
        }
        if !member.is_suspended && !member.outbox.is_empty() {
            self.queue.note(key, member);
        }
    }

    /// A member misses messages, or would get them in another order: from now on it gets none that others send, until
    /// somebody goes on with it from its record. Nothing if it is not durable. It happens by itself to one whose window has
    /// no room for a message.
    pub fn fall_behind(&mut self, key: MemberKey) {
        if let Some(member) = self.members.get_mut(key) {
            member.fall_behind();
        }
    }

    /// Whether a member has fallen behind.
    pub fn is_behind(&self, key: MemberKey) -> bool {
        self.members.get(key).and_then(|member| member.gate.as_deref()).is_some_and(|gate| gate.is_behind)
    }

    /// Whether half of what a member's window may hold is there.
    pub fn is_half_full(&self, key: MemberKey) -> bool {
        self.members.get(key).is_some_and(|member| self.queue.is_half_full(member))
    }

    /// What has come since the last call.
    pub fn take_unwritten(&mut self) -> Unwritten {
        std::mem::take(&mut self.queue.unwritten)
    }

    /// The numbers of what a durable member's client has not acknowledged.
    pub fn numbers(&self, key: MemberKey) -> Vec<u64> {
        let window = self.members.get(key).and_then(|member| member.outbox.window());
        window.map(|window| window.numbers().collect()).unwrap_or_default()
    }

    /// What a durable member's client has not acknowledged.
    pub fn unacknowledged(&self, key: MemberKey, now: Instant) -> Vec<KeptMessage> {
        let window = self.members.get(key).and_then(|member| member.outbox.window());
        window.map(|window| window.export(now)).unwrap_or_default()
    }
}

impl Member {
    /// Gets nothing from now on that others send. False if it is not durable, and has to get everything.
    #[cold]
    pub(super) fn fall_behind(&mut self) -> bool {
        let gate = self.gate.as_deref_mut();
        gate.map(|gate| gate.is_behind = true).is_some()
    }

    /// Whether nothing that others send may reach it.
    #[inline]
    pub(super) fn is_behind(&self) -> bool {
        self.gate.as_deref().is_some_and(|gate| gate.is_behind)
    }

    /// Keeps a frame back, if something has to be written before. Gives it back if it may go.
    pub(super) fn withhold(&mut self, parcel: Rc<Parcel>) -> Option<Rc<Parcel>> {
        match self.gate.as_deref_mut() {
            Some(gate) if gate.changed > gate.written => {
                let behind = self.outbox.window().map_or(SequenceId(0), |window| window.last());
                gate.bytes += parcel.len(NONE);
                gate.withheld.push_back(Withheld { version: gate.changed, behind, parcel });
                None
            }
            _ => Some(parcel),
        }
    }

    /// Whether more frames are kept back than a window may have messages.
    pub(super) fn withholds_too_much(&self, limits: WindowLimits) -> bool {
        let is_too_much = |gate: &Gate| gate.withheld.len() > limits.messages || gate.bytes > limits.bytes;
        self.gate.as_deref().is_some_and(is_too_much)
    }

    /// The socket for which frames were kept back is lost.
    pub(super) fn forget_withheld(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.withheld.clear();
            gate.bytes = 0;
        }
    }

    /// Nobody goes on with the member: what was kept back may leave, with all messages.
    pub(super) fn open_gate(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        self.outbox.lift_limit();
        for Withheld { behind, parcel, .. } in gate.withheld {
            self.outbox.push_behind(parcel, behind);
        }
    }
}

#[cfg(test)]
mod tests;
