//! The messages of a reliable connection, from when they are numbered until its client has acknowledged them.
//!
//! Each is kept once: first come those that the socket has taken, then those that wait for it. The shard puts messages
//! in at the end, the client's acknowledgements take them out at the front, and a socket that takes the place of a lost
//! one is sent all that is left. Source: `client-protocols.md` 10.1.
//!
//! An empty window owns no memory but its counters.

use std::collections::VecDeque;
use std::rc::Rc;

use codec::ids::SequenceId;
use tokio::time::Instant;

use super::parcel::Parcel;
use super::run::Runs;
use crate::model::portable::KeptMessage;
use codec::subprotocol::Encoding;
use exceptions::Exceptions;
use kept::Kept;
pub(super) use states::StateSlot;

mod exceptions;
mod kept;
mod states;

/// What a window may hold.
#[derive(Debug, Clone, Copy)]
pub struct WindowLimits {
    /// Most messages.
    pub messages: usize,
    /// Most bytes, frame headers included.
    pub bytes: usize,
}

/// Steps into which a window is divided, to tell how full it is.
const STEPS: usize = 8;

/// A message would have exceeded the limits. The connection must end: it could not be told that one is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overrun;

/// See the module. Every delivery touches it, so it is no longer than a line of the cache: bytes are counted in 32 bits.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// In the order of their numbers, which follow each other unless the exceptions say otherwise.
    kept: Kept,
    /// Number of the last message that there was, 0 before the first.
    last: u64,
    /// Bytes of those that are kept.
    bytes: u32,
    /// What few windows need.
    exceptions: Option<Box<Exceptions>>,
    /// How many of the first the socket has taken.
    written: usize,
    /// Bytes of those.
    written_bytes: u32,
}

impl Window {
    /// Gives a message the next number and keeps it.
    ///
    /// # Errors
    /// When it does not fit; from then on the window takes nothing.
    #[inline]
    pub(super) fn push(&mut self, parcel: &Rc<Parcel>, limits: WindowLimits) -> Result<(), Overrun> {
        let len = parcel.len(SequenceId(self.last + 1));
        if self.is_overrun() || !self.fits(len, limits) {
            self.make_fit(len, limits)?;
        }
        self.last += 1;
        self.bytes += count(len);
        self.kept.push(parcel, count(len));
        if self.exceptions.is_some() || parcel.expires() {
            self.exceptions.get_or_insert_default().pushed(self.last, parcel);
        }
        Ok(())
    }

    /// Whether there is room for a message of `len` bytes.
    #[inline]
    fn fits(&self, len: usize, limits: WindowLimits) -> bool {
        let bytes = self.bytes as usize + len;
        self.kept.len() < limits.messages && bytes <= limits.bytes.min(u32::MAX as usize)
    }

    #[cold]
    fn make_fit(&mut self, len: usize, limits: WindowLimits) -> Result<(), Overrun> {
        if !self.is_overrun() {
            // Seldom enough to ask for the time only here.
            self.drop_expired(Instant::now());
            self.make_room(len, limits);
            if self.fits(len, limits) {
                return Ok(());
            }
            self.exceptions.get_or_insert_default().is_overrun = true;
        }
        Err(Overrun)
    }

    /// Whether the last message has filled another step of the upper half. Acknowledgements that have arrived should be
    /// read before more is put in.
    #[inline]
    pub(super) fn is_filling(&self, limits: WindowLimits) -> bool {
        self.is_half_full(limits) && self.has_entered_step(limits)
    }

    /// Whether half of what it may hold is there.
    #[inline]
    pub(super) fn is_half_full(&self, limits: WindowLimits) -> bool {
        self.kept.len() >= limits.messages / 2 || self.bytes as usize >= limits.bytes / 2
    }

    /// Whether three quarters of what it may hold are there.
    pub(super) fn is_nearly_full(&self, limits: WindowLimits) -> bool {
        let is_most = |held: usize, limit: usize| held >= limit - limit / 4;
        is_most(self.kept.len(), limits.messages) || is_most(self.bytes as usize, limits.bytes)
    }

    #[cold]
    fn has_entered_step(&self, limits: WindowLimits) -> bool {
        let last = self.kept.back().map_or(0, |parcel| parcel.len(SequenceId(self.last)));
        enters_step(self.kept.len(), 1, limits.messages)
            || enters_step(self.bytes as usize, last, limits.bytes)
    }

    /// Whether a message did not fit.
    #[inline]
    pub(super) fn is_overrun(&self) -> bool {
        self.exceptions.as_ref().is_some_and(|exceptions| exceptions.is_overrun)
    }

    /// The message that did not fit is kept elsewhere: others may be put in again.
    #[cold]
    pub(super) fn reopen(&mut self) {
        if let Some(exceptions) = &mut self.exceptions {
            exceptions.is_overrun = false;
            self.release_if_empty();
        }
    }

    /// The client has all messages up to this number. One that it has acknowledged before changes nothing, one beyond
    /// the last means all.
    pub(super) fn acknowledge(&mut self, up_to: SequenceId) {
        let gone = self.count_up_to(up_to);
        let bytes = if gone == self.kept.len() {
            self.kept = Kept::default();
            self.bytes
        } else {
            let number_at = numbering(self.exceptions.as_deref(), self.first());
            self.kept.drop_front(gone, number_at)
        };
        self.bytes -= bytes;
        // Whatever is acknowledged unwritten is never written.
        self.written_bytes = self.written_bytes.saturating_sub(bytes);
        self.written = self.written.saturating_sub(gone);
        if let Some(exceptions) = &mut self.exceptions {
            exceptions.acknowledged(up_to, gone, self.last);
        }
        self.release_if_empty();
    }

    /// Forgets messages that are of no use any more. The gap in the numbers does no harm: clients only look for the
    /// largest.
    pub(super) fn drop_expired(&mut self, now: Instant) {
        self.drop_expired_from(0, now);
    }

    /// The same for those that wait.
    pub(super) fn drop_expired_waiting(&mut self, now: Instant) {
        self.drop_expired_from(self.written, now);
    }

    fn drop_expired_from(&mut self, from: usize, now: Instant) {
        let some_expire = self.exceptions.as_ref().is_some_and(|exceptions| exceptions.some_expire);
        if some_expire && self.kept.from(from).any(|parcel| parcel.has_expired(now)) {
            self.retain(|position, parcel| position < from || !parcel.has_expired(now));
        }
    }

    /// Forgets all messages but those that are worth keeping.
    fn retain(&mut self, is_worth_keeping: impl Fn(usize, &Parcel) -> bool) {
        let all = std::mem::take(&mut self.kept);
        let mut numbers = self.take_numbers(all.len());
        let written = std::mem::take(&mut self.written);
        (self.bytes, self.written_bytes) = (0, 0);
        let mut left = Kept::default();
        let mut parcels = all.from(0).enumerate();
        numbers.retain(|&number| {
            let Some((position, parcel)) = parcels.next() else {
                return false;
            };
            let stays = is_worth_keeping(position, parcel);
            if stays {
                let len = count(parcel.len(SequenceId(number)));
                self.bytes += len;
                if position < written {
                    self.written += 1;
                    self.written_bytes += len;
                }
                left.push(parcel, len);
            }
            stays
        });
        self.kept = left;
        self.give_numbers(numbers);
        self.release_if_empty();
    }

    /// Forgets the message with this number, if it is kept.
    fn remove(&mut self, id: SequenceId) {
        let before = self.count_up_to(SequenceId(id.0.saturating_sub(1)));
        if before == self.count_up_to(id) {
            return;
        }
        let number_at = numbering(self.exceptions.as_deref(), self.first());
        let bytes = self.kept.remove(before, number_at);
        let mut numbers = self.take_numbers(self.kept.len() + 1);
        numbers.remove(before);
        self.give_numbers(numbers);
        self.bytes -= bytes;
        if before < self.written {
            self.written -= 1;
            self.written_bytes -= bytes;
        }
    }

    /// How many messages have this number or a smaller one.
    fn count_up_to(&self, id: SequenceId) -> usize {
        match self.exceptions.as_ref().and_then(|exceptions| exceptions.numbers.as_ref()) {
            Some(numbers) => numbers.partition_point(|&number| number <= id.0),
            None => {
                let beyond = self.last.saturating_sub(id.0);
                self.kept.len().saturating_sub(usize::try_from(beyond).unwrap_or(usize::MAX))
            }
        }
    }

    /// The numbers of all that is kept, to be changed and given back.
    fn take_numbers(&mut self, count: usize) -> VecDeque<u64> {
        let numbers = self.exceptions.as_mut().and_then(|exceptions| exceptions.numbers.take());
        numbers.unwrap_or_else(|| (self.last + 1 - count as u64..=self.last).collect())
    }

    fn give_numbers(&mut self, numbers: VecDeque<u64>) {
        let follow = numbers.front().is_none_or(|first| self.last + 1 - first == numbers.len() as u64);
        if !follow {
            self.exceptions.get_or_insert_default().numbers = Some(numbers);
        }
    }

    /// What has not been acknowledged, in the order of its numbers.
    #[cfg(test)]
    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = (&Rc<Parcel>, SequenceId)> {
        self.from(0)
    }

    /// What has not been acknowledged and is still of use, for another node.
    pub(super) fn export(&self, now: Instant) -> Vec<KeptMessage> {
        let messages = self.from(0).filter(|(parcel, _)| !parcel.has_expired(now));
        messages.map(|(parcel, id)| self.kept_message(parcel, id, now)).collect()
    }

    /// The numbers of what has not been acknowledged, rising.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.from(0).map(|(_, id)| id.0)
    }

    /// The last message that there was, if it is still kept.
    pub(super) fn export_last(&self, now: Instant) -> Option<KeptMessage> {
        let parcel = self.kept.back()?;
        Some(self.kept_message(parcel, self.last(), now))
    }

    fn kept_message(&self, parcel: &Parcel, id: SequenceId, now: Instant) -> KeptMessage {
        let states = self.exceptions.as_ref().and_then(|exceptions| exceptions.states.as_deref());
        let slot = states.and_then(|states| states.slot(id));
        KeptMessage {
            number: id.0,
            content: parcel.frame().content().to_vec().into(),
            time_left: parcel.time_left(now),
            state_of: slot.map(|slot| (slot.group.clone(), slot.owner.clone())),
        }
    }

    /// Goes on where the window of another node was. Limits do not count: what it held is held here.
    pub(super) fn import(last: u64, messages: Vec<KeptMessage>, encoding: Encoding, now: Instant) -> Self {
        let mut window = Self { last, ..Self::default() };
        let mut numbers = VecDeque::with_capacity(messages.len());
        let mut runs = Runs::default();
        for KeptMessage { number, content, time_left, state_of } in messages {
            let id = SequenceId(number);
            let parcel = Rc::new(Parcel::restored(encoding, &content, time_left.map(|time| now + time)));
            let len = count(parcel.len(id));
            numbers.push_back(number);
            window.bytes += len;
            if parcel.expires() {
                window.exceptions.get_or_insert_default().some_expire = true;
            }
            if let Some((group, owner)) = state_of {
                let states = &mut window.exceptions.get_or_insert_default().states;
                states.get_or_insert_default().insert(id, &StateSlot { group, owner });
            }
            let _run = runs.add(encoding, &parcel);
            window.kept.push(&parcel, len);
        }
        window.give_numbers(numbers);
        window
    }

    /// What of this waits for the socket, and may leave.
    #[inline]
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&Rc<Parcel>, SequenceId)> {
        self.between(self.written, self.may_leave())
    }

    #[inline]
    fn from(&self, position: usize) -> impl Iterator<Item = (&Rc<Parcel>, SequenceId)> {
        self.between(position, self.kept.len())
    }

    #[inline]
    fn between(&self, position: usize, end: usize) -> impl Iterator<Item = (&Rc<Parcel>, SequenceId)> {
        let number_at = numbering(self.exceptions.as_deref(), self.first());
        let mut at = position;
        self.kept.from(position).take(end - position).map(move |parcel| {
            at += 1;
            (parcel, number_at(at - 1))
        })
    }

    /// The number of the first message, if they follow each other.
    #[inline]
    fn first(&self) -> u64 {
        self.last + 1 - self.kept.len() as u64
    }

    /// How many messages wait and may leave.
    #[inline]
    pub(super) fn waiting_len(&self) -> usize {
        self.may_leave() - self.written
    }

    /// Bytes of the messages that wait, those included that may not leave yet.
    #[inline]
    pub(super) fn waiting_bytes(&self) -> usize {
        (self.bytes - self.written_bytes) as usize
    }

    /// The socket has taken the first of those that wait, which has `len` bytes.
    pub(super) fn wrote_one(&mut self, len: usize) {
        self.written += 1;
        self.written_bytes += count(len);
    }

    /// The socket has taken all that waited, messages and others.
    #[inline]
    pub(super) fn wrote_all(&mut self) {
        self.written = self.kept.len();
        self.written_bytes = self.bytes;
        if let Some(exceptions) = &mut self.exceptions {
            exceptions.marks.clear();
            self.release_if_empty();
        }
    }

    /// The socket is lost, and what it has taken may be as well: everything waits again.
    pub(super) fn rewind(&mut self) {
        (self.written, self.written_bytes) = (0, 0);
        if let Some(exceptions) = &mut self.exceptions {
            exceptions.marks.clear();
        }
    }

    /// From now on only messages up to this number may leave. There is no such limit before the first call.
    pub(super) fn limit(&mut self, up_to: SequenceId) {
        self.exceptions.get_or_insert_default().limit = Some(up_to);
    }

    /// Lets all messages leave.
    pub(super) fn lift_limit(&mut self) {
        if let Some(exceptions) = &mut self.exceptions {
            exceptions.limit = None;
            self.release_if_empty();
        }
    }

    /// How many of the first may leave, or have left.
    #[inline]
    fn may_leave(&self) -> usize {
        let limit = self.exceptions.as_ref().and_then(|exceptions| exceptions.limit);
        limit.map_or(self.kept.len(), |limit| self.count_up_to(limit).max(self.written))
    }

    /// Number of the last message that there was, 0 before the first.
    pub(super) fn last(&self) -> SequenceId {
        SequenceId(self.last)
    }

    /// What waits, for a socket that takes leave.
    pub(super) fn unwritten(&self) -> Self {
        let mut rest = Self {
            kept: self.kept.rest(self.written, self.bytes - self.written_bytes),
            last: self.last,
            bytes: self.bytes - self.written_bytes,
            ..Self::default()
        };
        if let Some(exceptions) = &self.exceptions {
            rest.exceptions = Some(Box::new(exceptions.after(self.written)));
        }
        rest
    }

    /// Notes for a frame without a number that is queued last that it goes behind all messages that there are.
    pub(super) fn mark_last(&mut self) {
        let last = self.last;
        self.exceptions.get_or_insert_default().marks.push_back(last);
    }

    /// The same for one that is queued at this place, and goes behind this message.
    pub(super) fn mark_at(&mut self, place: usize, message: SequenceId) {
        let marks = &mut self.exceptions.get_or_insert_default().marks;
        marks.insert(place.min(marks.len()), message.0);
    }

    /// The same for one that is queued first: it goes before them.
    pub(super) fn mark_first(&mut self) {
        self.exceptions.get_or_insert_default().marks.push_front(0);
    }

    /// The socket has taken the first of the frames without a number.
    pub(super) fn wrote_marked(&mut self) {
        if let Some(exceptions) = &mut self.exceptions {
            exceptions.marks.pop_front();
            self.release_if_empty();
        }
    }

    /// For each frame without a number the message behind which it goes.
    pub(super) fn marks(&self) -> impl Iterator<Item = SequenceId> {
        let marks = self.exceptions.iter().flat_map(|exceptions| &exceptions.marks);
        marks.map(|&number| SequenceId(number))
    }

    fn release_if_empty(&mut self) {
        if self.kept.is_empty() && self.exceptions.as_mut().is_some_and(|exceptions| exceptions.release()) {
            self.exceptions = None;
        }
    }
}

/// What tells the numbers of messages by their positions; `first` is that of the first one, if they follow each other.
#[inline]
fn numbering(exceptions: Option<&Exceptions>, first: u64) -> impl Fn(usize) -> SequenceId {
    let numbers = exceptions.and_then(|exceptions| exceptions.numbers.as_ref());
    move |at| SequenceId(numbers.map_or(first + at as u64, |numbers| numbers[at]))
}

/// Bytes of a message that has found room.
#[inline]
fn count(bytes: usize) -> u32 {
    bytes as u32
}

/// Whether the last `added` of `held` led from one step of the upper half into the next.
fn enters_step(held: usize, added: usize, limit: usize) -> bool {
    let step = (limit / STEPS).max(1);
    held / step >= STEPS / 2 && held / step > (held - added) / step
}

#[cfg(test)]
mod tests;
