//! What is queued for the sockets of a shard, and which of them are to be written to.
//!
//! It stands apart from the members, so that both can be borrowed at once. The shard and its fan-outs are the callers.

use std::rc::Rc;
use std::time::Duration;

use codec::subprotocol::Subprotocol;
use slotmap::{SlotMap, SparseSecondaryMap};
use tokio::time::Instant;

use super::fanout::Outgoing;
use super::gate::Unwritten;
use super::member::{Member, MemberKey};
use super::outbox::{Buffer, OutboxLimits};
use super::parcel::Parcel;
use super::window::{Overrun, StateSlot, WindowLimits};

/// Frames that the empty buffers kept for the next flush have room for, all together; more are freed.
const MAX_SPARE: usize = 4096 * 64;
/// Largest buffer kept, in frames. What a burst made larger is freed.
const MAX_SPARE_LEN: usize = 512;
/// Frames queued since the last flush after which the worker should flush in the middle of a turn.
const MANY_FRAMES: usize = 65_536;
/// A part of a window, one of so many, may be filled before a window that fills has others have their turn.
const PARTS: usize = 16;

/// A reliable client that says nothing for so long while its window is half full is not waited for. Clients acknowledge
/// once a second at least (`client-protocols.md` 10.1).
const ANSWER_TIME: Duration = Duration::from_millis(1500);

/// Kinds of members that deliveries are counted for: those without a subprotocol, then each subprotocol.
pub const DELIVERY_KINDS: usize = Subprotocol::ALL.len() + 1;

/// Control frames, and their bytes, that may wait for a reliable connection beside what its window holds
/// (`limits.md` 3).
const CONTROL_FRAMES: OutboxLimits = OutboxLimits { messages: 32, bytes: 64 << 10 };

/// The place of a kind of members in a table with one for each.
#[inline]
pub(super) fn kind_of(subprotocol: Option<Subprotocol>) -> usize {
    subprotocol.map_or(0, |subprotocol| subprotocol.index() + 1)
}

/// What may wait for one connection.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// In its outbox.
    pub outbox: OutboxLimits,
    /// In its window, if it is reliable. Its outbox can then take all that the window holds.
    pub window: WindowLimits,
}

impl QueueLimits {
    #[inline]
    fn outbox_of(&self, member: &Member) -> OutboxLimits {
        if member.outbox.window().is_none() {
            return self.outbox;
        }
        OutboxLimits {
            messages: self.outbox.messages.max(self.window.messages) + CONTROL_FRAMES.messages,
            bytes: self.outbox.bytes.max(self.window.bytes) + CONTROL_FRAMES.bytes,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    limits: QueueLimits,
    dirty: Vec<MemberKey>,
    /// Members whose window had no room for a message. They must end.
    overrun: Vec<MemberKey>,
    spare: Spare,
    /// Frames queued since the last flush.
    fresh: usize,
    /// An outbox has reached its limit; whether its socket is slow, a flush will tell.
    has_full: bool,
    /// A window is filling; whether its client is slow, its acknowledgements will tell.
    is_pressing: bool,
    /// Messages that were sent since acknowledgements were last read, each counted once however many receive it, and
    /// their bytes.
    unheard: WindowLimits,
    /// When the window of each reliable member of which it is half full became so, or when its client has acknowledged
    /// something since.
    filling: SparseSecondaryMap<MemberKey, Instant>,
    /// What is to be written of durable members before it leaves.
    pub(super) unwritten: Unwritten,
    /// Messages queued by fan-outs since they were last counted.
    deliveries: [u64; DELIVERY_KINDS],
}

impl Queue {
    /// For members with these limits.
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            dirty: Vec::new(),
            overrun: Vec::new(),
            spare: Spare::default(),
            fresh: 0,
            has_full: false,
            is_pressing: false,
            unheard: WindowLimits { messages: 0, bytes: 0 },
            filling: SparseSecondaryMap::new(),
            unwritten: Unwritten::default(),
            deliveries: [0; DELIVERY_KINDS],
        }
    }

    /// Queues a frame without a number for a member that has a socket.
    #[inline]
    pub(super) fn push(&mut self, key: MemberKey, member: &mut Member, parcel: Rc<Parcel>) {
        member.outbox.push(parcel, || self.spare.take());
        self.note(key, member);
    }

    /// Keeps a frame without a number back until what is told in it of a durable member is written, or queues it at once.
    pub(super) fn push_when_written(&mut self, key: MemberKey, member: &mut Member, parcel: Rc<Parcel>) {
        if let Some(parcel) = member.withhold(parcel) {
            self.push(key, member, parcel);
        } else if member.withholds_too_much(self.limits.window) {
            self.overrun.push(key);
        }
    }

    /// Queues a message for a member, with a number if it is reliable. If its window has no room the member must end, or
    /// falls behind if it is durable and the message can be had from the log. A message that tells the state of a `slot`
    /// takes the place of those that it replaces. What comes while a reliable member has no socket waits for the next one.
    #[inline]
    pub(super) fn send(
        &mut self,
        (key, member): (MemberKey, &mut Member),
        parcel: &Rc<Parcel>,
        slot: Option<&StateSlot>,
        source: Option<&Outgoing>,
    ) {
        let is_overrun = member.outbox.window().is_some_and(|window| window.is_overrun());
        if is_overrun || (source.is_some() && member.is_behind()) {
            return;
        }
        let spare = || self.spare.take();
        let sent = member.outbox.send(parcel, slot, self.limits.window, spare);
        if member.gate.is_some() && sent.is_ok() {
            self.unwritten.sent(key, member, source);
        }
        match sent {
            Ok(()) if !member.is_suspended => {
                let limits = self.limits.window;
                if member.outbox.window().is_some_and(|window| window.is_filling(limits)) {
                    self.fills(key);
                }
                self.note(key, member);
            }
            Ok(()) => {}
            Err(Overrun) if source.is_some() && member.fall_behind() => member.outbox.reopen(),
            Err(Overrun) => {
                self.overrun.push(key);
                self.has_full = true;
            }
        }
    }

    #[cold]
    fn fills(&mut self, key: MemberKey) {
        self.is_pressing = true;
        if !self.filling.contains_key(key) {
            self.filling.insert(key, Instant::now());
        }
    }

    /// Notes that a member's client has acknowledged something.
    pub(super) fn acknowledged(&mut self, key: MemberKey, member: &Member) {
        if self.filling.is_empty() {
            return;
        }
        if !self.is_half_full(member) {
            self.filling.remove(key);
        } else if let Some(since) = self.filling.get_mut(key) {
            *since = Instant::now();
        }
    }

    /// Whether half of what a member's window may hold is there.
    pub(super) fn is_half_full(&self, member: &Member) -> bool {
        member.outbox.window().is_some_and(|window| window.is_half_full(self.limits.window))
    }

    /// Notes that there is no such member any more.
    pub(super) fn forget(&mut self, key: MemberKey) {
        self.filling.remove(key);
    }

    /// Until when it makes sense to wait for an acknowledgement: a member's window is nearly full, and its client has
    /// answered lately.
    pub(super) fn acknowledgement_due(
        &self,
        members: &SlotMap<MemberKey, Member>,
        now: Instant,
    ) -> Option<Instant> {
        let limits = self.limits.window;
        let is_pressed = |key: MemberKey| {
            let member = members.get(key).filter(|member| !member.is_suspended && !member.is_behind());
            let window = member.and_then(|member| member.outbox.window());
            window.is_some_and(|window| window.is_nearly_full(limits) && !window.is_overrun())
        };
        let due = self.filling.iter().map(|(key, &since)| (key, since + ANSWER_TIME));
        due.filter(|&(_, due)| due > now).find(|&(key, _)| is_pressed(key)).map(|(_, due)| due)
    }

    /// Notes that something was queued for a member that has a socket.
    #[inline]
    pub(super) fn note(&mut self, key: MemberKey, member: &mut Member) {
        self.fresh += 1;
        let is_full = self.is_full(member);
        self.has_full |= is_full;
        // A blocked member is written to by the task that waits for its socket, unless it has to be told apart.
        if !member.is_dirty && (!member.is_blocked || is_full) {
            member.is_dirty = true;
            self.dirty.push(key);
        }
    }

    /// Whether more waits for a member than is allowed.
    #[inline]
    pub(super) fn is_full(&self, member: &Member) -> bool {
        !member.outbox.is_bounded_by_window() && member.outbox.exceeds(self.limits.outbox_of(member))
    }

    pub(super) fn count_delivery(&mut self, member: &Member) {
        self.deliveries[kind_of(member.subprotocol)] += 1;
    }

    /// Takes empty buffers back.
    #[inline]
    pub(super) fn reclaim(&mut self, member: &mut Member) {
        if let Some(buffer) = member.outbox.take_buffer() {
            self.spare.put(buffer);
        }
    }

    /// Whether so much is queued that it should be written, and sockets be read, before more is.
    pub(super) fn needs_flush(&self) -> bool {
        self.has_full || self.fresh >= MANY_FRAMES || (self.is_pressing && self.has_sent_enough())
    }

    /// Whether so much was sent since acknowledgements were read that it is time to read them. Many windows fill at
    /// many different times; if each had its turn at once, few messages would share a flush.
    fn has_sent_enough(&self) -> bool {
        let WindowLimits { messages, bytes } = self.limits.window;
        self.unheard.messages >= messages / PARTS || self.unheard.bytes >= bytes / PARTS
    }

    /// Counts a message of `bytes` that was sent, to however many members.
    #[inline]
    pub(super) fn count_message(&mut self, bytes: usize) {
        self.unheard.messages += 1;
        self.unheard.bytes = self.unheard.bytes.saturating_add(bytes);
    }

    /// The others have their turn now, and with them who reads acknowledgements.
    pub(super) fn others_have_their_turn(&mut self) {
        self.is_pressing = false;
        self.unheard = WindowLimits { messages: 0, bytes: 0 };
    }

    /// Whether nothing waits to be flushed.
    pub(super) fn is_clean(&self) -> bool {
        self.dirty.is_empty() && self.overrun.is_empty() && self.unwritten.is_empty()
    }

    /// How many members are to be flushed.
    pub(super) fn dirty_len(&self) -> usize {
        self.dirty.len()
    }

    /// Frames queued since the last flush.
    pub(super) fn fresh_len(&self) -> usize {
        self.fresh
    }

    /// Hands out the members to be flushed, in exchange for `empty`.
    pub(super) fn take_dirty(&mut self, empty: Vec<MemberKey>) -> Vec<MemberKey> {
        self.fresh = 0;
        self.has_full = false;
        std::mem::replace(&mut self.dirty, empty)
    }

    /// Hands out the members that must end because their window had no room for a message.
    pub(super) fn take_overrun(&mut self) -> Vec<MemberKey> {
        std::mem::take(&mut self.overrun)
    }

    /// Messages queued by fan-outs since the last call, by kind of member.
    pub(super) fn take_deliveries(&mut self) -> [u64; DELIVERY_KINDS] {
        std::mem::take(&mut self.deliveries)
    }
}

/// Empty buffers for what is queued next.
#[derive(Debug, Default)]
struct Spare {
    buffers: Vec<Buffer>,
    /// Frames that they have room for.
    room: usize,
}

impl Spare {
    /// A buffer, which may have no room yet.
    fn take(&mut self) -> Buffer {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.room -= buffer.capacity();
        buffer
    }

    /// Keeps a buffer, or frees it.
    fn put(&mut self, buffer: Buffer) {
        let room = self.room + buffer.capacity();
        if room <= MAX_SPARE && buffer.capacity() <= MAX_SPARE_LEN {
            self.room = room;
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_kept_unless_they_are_too_large_or_too_many() {
        let mut spare = Spare::default();
        let count = MAX_SPARE / MAX_SPARE_LEN;
        (0..=count).for_each(|_| spare.put(Buffer::with_capacity(MAX_SPARE_LEN)));
        assert_eq!((spare.buffers.len(), spare.room), (count, MAX_SPARE), "one was too many");
        assert_eq!(spare.take().capacity(), MAX_SPARE_LEN);
        spare.put(Buffer::with_capacity(MAX_SPARE_LEN + 1));
        assert_eq!(spare.buffers.len(), count - 1, "one was too large");
        (0..count).for_each(|_| drop(spare.take()));
        assert_eq!((spare.take().capacity(), spare.room), (0, 0), "none is left");
    }
}
