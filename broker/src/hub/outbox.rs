//! The bounded queue of frames towards one socket.
//!
//! Plain connections have one list. Reliable ones have their messages in the window, where each stays until it is
//! acknowledged, and beside it the frames without a number, with a mark for the place of each between the messages.
//!
//! An empty outbox owns no memory: the worker lends it a buffer with the first frame and takes it back with the last.

use std::collections::VecDeque;
use std::rc::Rc;

use codec::ids::SequenceId;
use tokio::time::Instant;

use super::gather::Gather;
use super::parcel::{NONE, Parcel};
use super::window::{Overrun, StateSlot, Window, WindowLimits};

/// What holds parcels in the order in which they leave.
pub(super) type Buffer = VecDeque<Rc<Parcel>>;

/// What an outbox may hold of frames that the socket does not take.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Most messages.
    pub messages: usize,
    /// Most bytes, frame headers included.
    pub bytes: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Frames without a number.
    frames: Buffer,
    /// Bytes of them.
    bytes: usize,
    /// How many bytes of what comes next the socket has taken.
    taken: usize,
    /// The messages of a reliable connection.
    window: Option<Box<Window>>,
}

impl Outbox {
    /// That of a reliable connection.
    pub(super) fn reliable() -> Self {
        Self { window: Some(Box::default()), ..Self::default() }
    }

    /// That of a connection that comes from another node.
    pub(super) fn restored(window: Window) -> Self {
        Self { window: Some(Box::new(window)), ..Self::default() }
    }

    /// The messages of a reliable connection, which none other has.
    #[inline]
    pub(super) fn window(&self) -> Option<&Window> {
        self.window.as_deref()
    }

    /// Adds a frame without a number at the end. `spare` gives an empty buffer when the outbox has none.
    #[inline]
    pub fn push(&mut self, parcel: Rc<Parcel>, spare: impl FnOnce() -> Buffer) {
        if self.frames.capacity() == 0 {
            self.frames = spare();
        }
        self.bytes += parcel.len(NONE);
        self.frames.push_back(parcel);
        if let Some(window) = &mut self.window {
            window.mark_last();
        }
    }

    /// Adds a frame without a number behind a message, and behind the frames that go there already.
    pub(super) fn push_behind(&mut self, parcel: Rc<Parcel>, message: SequenceId) {
        let Some(window) = &mut self.window else { return };
        // What the socket has begun to take stays first.
        let first = usize::from(self.taken > 0).min(self.frames.len());
        let place = window.marks().position(|mark| mark > message).unwrap_or(self.frames.len()).max(first);
        window.mark_at(place, message);
        self.bytes += parcel.len(NONE);
        self.frames.insert(place, parcel);
    }

    /// Adds a frame without a number before all others.
    pub(super) fn push_first(&mut self, parcel: Rc<Parcel>) {
        self.bytes += parcel.len(NONE);
        self.frames.push_front(parcel);
        if let Some(window) = &mut self.window {
            window.mark_first();
        }
    }

    /// Adds a message, numbered if the connection is reliable; in the place of what it replaces if it tells the state
    /// of a `slot`.
    ///
    /// # Errors
    /// When the window has no room for it.
    #[inline]
    pub(super) fn send(
        &mut self,
        parcel: &Rc<Parcel>,
        slot: Option<&StateSlot>,
        limits: WindowLimits,
        spare: impl FnOnce() -> Buffer,
    ) -> Result<(), Overrun> {
        let Some(window) = &mut self.window else {
            self.push(Rc::clone(parcel), spare);
            return Ok(());
        };
        if self.taken == 0 && slot.is_none() {
            return window.push(parcel, limits);
        }
        let pushed = self.change(|window| match slot {
            None => window.push(parcel, limits),
            Some(slot) => window.push_state(parcel, slot, limits),
        });
        pushed.unwrap_or(Ok(()))
    }

    /// The message that the window had no room for is kept elsewhere.
    pub(super) fn reopen(&mut self) {
        if let Some(window) = &mut self.window {
            window.reopen();
        }
    }

    /// From now on only messages up to this number may leave.
    pub(super) fn limit(&mut self, up_to: SequenceId) {
        if let Some(window) = &mut self.window {
            window.limit(up_to);
        }
    }

    /// Lets all messages leave.
    pub(super) fn lift_limit(&mut self) {
        if let Some(window) = &mut self.window {
            window.lift_limit();
        }
    }

    /// The client has all messages up to this number.
    pub(super) fn acknowledge(&mut self, up_to: SequenceId) {
        self.change(|window| window.acknowledge(up_to));
    }

    /// Changes what the window keeps. A message that the socket has begun to take is written to its end in any case,
    /// even if nobody needs it again.
    fn change<T>(&mut self, change: impl FnOnce(&mut Window) -> T) -> Option<T> {
        let next = if self.taken > 0 { self.next() } else { None };
        let begun = next.filter(|&(_, id)| id != NONE).map(|(parcel, id)| (Rc::clone(parcel), id));
        let window = self.window.as_deref_mut()?;
        let changed = change(window);
        if let Some((parcel, begun)) = begun
            && window.waiting().next().is_none_or(|(_, id)| id != begun)
        {
            self.push_first(Rc::new(parcel.sequenced(begun)));
        }
        Some(changed)
    }

    /// What comes next, with its number if it has one.
    fn next(&self) -> Option<(&Rc<Parcel>, SequenceId)> {
        match &self.window {
            None => self.frames.front().map(|parcel| (parcel, NONE)),
            Some(window) => merged(&self.frames, window).next(),
        }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.window().is_none_or(|window| window.waiting_len() == 0)
    }

    /// How many bytes wait, those of a frame that has begun included.
    pub fn len_bytes(&self) -> usize {
        self.bytes + self.window().map_or(0, Window::waiting_bytes) - self.taken
    }

    /// Whether nothing waits but messages that the window has room for.
    #[inline]
    pub(super) fn is_bounded_by_window(&self) -> bool {
        self.window.is_some() && self.frames.is_empty()
    }

    /// Whether more waits than allowed.
    #[inline]
    pub fn exceeds(&self, limits: OutboxLimits) -> bool {
        let window = self.window.as_deref();
        let (messages, bytes) =
            window.map_or((0, 0), |window| (window.waiting_len(), window.waiting_bytes()));
        self.frames.len() + messages > limits.messages || self.bytes + bytes > limits.bytes
    }

    /// Drops what has expired, except a frame that the socket has begun to take.
    pub fn drop_expired(&mut self, now: Instant) {
        if self.window.is_some() {
            // Only messages expire.
            self.change(|window| window.drop_expired_waiting(now));
            return;
        }
        let begun = usize::from(self.taken > 0);
        if !self.frames.iter().skip(begun).any(|parcel| parcel.has_expired(now)) {
            return;
        }
        let mut position = 0;
        self.frames.retain(|parcel| {
            position += 1;
            position <= begun || !parcel.has_expired(now)
        });
        self.bytes = self.frames.iter().map(|parcel| parcel.len(NONE)).sum();
    }

    /// Gathers what comes next, as much of it as there is room for.
    pub fn gather<'a>(&'a self, gather: &mut Gather<'a, '_>) {
        let mut skip = self.taken;
        let add = |(parcel, id): (&'a Rc<Parcel>, SequenceId)| {
            let full = parcel.gather(id, skip, gather);
            skip = 0;
            full
        };
        // What there is no room for is gathered the next time.
        let _ = match &self.window {
            None => self.frames.iter().map(|parcel| (parcel, NONE)).try_for_each(add),
            Some(window) if self.frames.is_empty() => window.waiting().try_for_each(add),
            Some(window) => merged(&self.frames, window).try_for_each(add),
        };
    }

    /// Notes that the socket has taken `bytes` more.
    pub fn advance(&mut self, bytes: usize) {
        if bytes == self.len_bytes() {
            self.frames.clear();
            (self.bytes, self.taken) = (0, 0);
            if let Some(window) = &mut self.window {
                window.wrote_all();
            }
            return;
        }
        let mut taken = self.taken + bytes;
        while let Some((parcel, id)) = self.next() {
            let len = parcel.len(id);
            if taken < len {
                break;
            }
            taken -= len;
            self.wrote_one(id, len);
        }
        self.taken = taken;
    }

    /// The socket has taken what came next.
    fn wrote_one(&mut self, id: SequenceId, len: usize) {
        if id == NONE {
            self.frames.pop_front();
            self.bytes -= len;
        }
        match &mut self.window {
            Some(window) if id == NONE => window.wrote_marked(),
            Some(window) => window.wrote_one(len),
            None => {}
        }
    }

    /// The socket is lost. Gives what waits for it; here everything that is not acknowledged waits for the next one.
    pub(super) fn lose_socket(&mut self) -> Self {
        let lost = Self {
            window: self.window.as_ref().map(|window| Box::new(window.unwritten())),
            frames: std::mem::take(&mut self.frames),
            bytes: std::mem::take(&mut self.bytes),
            taken: std::mem::take(&mut self.taken),
        };
        if let Some(window) = &mut self.window {
            window.rewind();
        }
        lost
    }

    /// Forgets messages that are of no use any more, whether or not they wait.
    pub(super) fn forget_expired(&mut self, now: Instant) {
        self.change(|window| window.drop_expired(now));
    }

    /// Gives the buffer back if it is empty.
    #[inline]
    pub fn take_buffer(&mut self) -> Option<Buffer> {
        let is_unused = self.frames.is_empty() && self.frames.capacity() > 0;
        is_unused.then(|| std::mem::take(&mut self.frames))
    }
}

/// What waits for a reliable connection's socket, in its order: messages with their numbers and frames without.
fn merged<'a>(
    frames: &'a Buffer,
    window: &'a Window,
) -> impl Iterator<Item = (&'a Rc<Parcel>, SequenceId)> + use<'a> {
    let mut frames = frames.iter().zip(window.marks()).peekable();
    let mut messages = window.waiting().peekable();
    std::iter::from_fn(move || {
        let frame_is_next = match (frames.peek(), messages.peek()) {
            (Some((_, mark)), Some((_, id))) => mark < id,
            (frame, _) => frame.is_some(),
        };
        if frame_is_next { frames.next().map(|(frame, _)| (frame, NONE)) } else { messages.next() }
    })
}

#[cfg(test)]
mod tests;
