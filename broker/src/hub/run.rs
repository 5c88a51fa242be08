//! Messages that a roster was sent one after the other, in one place for all windows that keep them.
//!
//! The reliable members of a roster keep mostly the same messages. A window notes which part of a run it keeps, in a
//! few bytes, and not each message. Fan-outs make runs, windows hold them; a run lives as long as any window keeps
//! anything of it, so it is short: what one window keeps of it holds the rest as well.

use std::cell::{Cell, OnceCell};
use std::ptr;
use std::rc::{Rc, Weak};

use codec::subprotocol::Encoding;

use super::parcel::{NONE, Parcel};

/// Most messages of a run.
const MOST_MESSAGES: usize = 32;
/// Most bytes of a run that has more than one message. A window of as many parts of runs as it may have messages holds
/// no more than its limit of bytes beside what it keeps.
const MOST_BYTES: usize = 16 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Run {
    parcels: Box<[OnceCell<Rc<Parcel>>]>,
    len: Cell<usize>,
    bytes: Cell<usize>,
}

/// Where a message stands in a run that may have gone.
#[derive(Debug)]
pub(super) struct Spot {
    run: Weak<Run>,
    position: u16,
}

/// A part of a run, whose messages a window keeps one after the other.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    run: Rc<Run>,
    start: u16,
    end: u16,
    /// Bytes on the wire, with the window's numbers.
    pub(super) bytes: u32,
}

/// The runs that a roster's next messages go on with, one for each encoding.
#[derive(Debug, Default)]
pub(super) struct Runs([Weak<Run>; Encoding::COUNT]);

impl Runs {
    /// Adds a message that has no place yet. What is given must live until the windows have it.
    pub(super) fn add(&mut self, encoding: Encoding, parcel: &Rc<Parcel>) -> Rc<Run> {
        let current = &mut self.0[encoding.index()];
        let before = current.upgrade();
        if let Some(run) = before.as_ref().filter(|run| run.add(parcel)) {
            return Rc::clone(run);
        }
        // Most rosters have few messages in the time that it takes to acknowledge them.
        let room = before.map_or(1, |run| (2 * run.parcels.len()).min(MOST_MESSAGES));
        let run = Run::with_room(room);
        run.add(parcel);
        *current = Rc::downgrade(&run);
        run
    }
}

impl Run {
    fn with_room(messages: usize) -> Rc<Self> {
        let parcels = (0..messages).map(|_| OnceCell::new()).collect();
        Rc::new(Self { parcels, len: Cell::new(0), bytes: Cell::new(0) })
    }

    /// A message that shares its run with no other.
    pub(super) fn alone(parcel: &Rc<Parcel>) -> Rc<Self> {
        let run = Self::with_room(1);
        run.add(parcel);
        run
    }

    /// Adds a message, if there is room for it.
    fn add(self: &Rc<Self>, parcel: &Rc<Parcel>) -> bool {
        let position = self.len.get();
        let bytes = self.bytes.get() + parcel.len(NONE);
        let Some(free) = self.parcels.get(position).filter(|_| position == 0 || bytes <= MOST_BYTES) else {
            return false;
        };
        free.get_or_init(|| Rc::clone(parcel));
        self.len.set(position + 1);
        self.bytes.set(bytes);
        parcel.stands(Spot { run: Rc::downgrade(self), position: position as u16 });
        true
    }
}

impl Stretch {
    /// A message alone, which takes so many bytes.
    pub(super) fn of(parcel: &Rc<Parcel>, bytes: u32) -> Self {
        let spot = parcel.spot().and_then(|spot| Some((spot.run.upgrade()?, spot.position)));
        let (run, start) = spot.unwrap_or_else(|| (Run::alone(parcel), 0));
        Self { run, start, end: start + 1, bytes }
    }

    /// Adds a message that follows in the run.
    #[inline]
    pub(super) fn extend(&mut self, parcel: &Parcel, bytes: u32) -> bool {
        let follows = parcel.spot().is_some_and(|spot| {
            spot.position == self.end && ptr::eq(spot.run.as_ptr(), Rc::as_ptr(&self.run))
        });
        if follows {
            self.end += 1;
            self.bytes += bytes;
        }
        follows
    }

    /// How many messages it has.
    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.end - self.start)
    }

    /// The messages in their order.
    #[inline]
    pub(super) fn parcels(&self) -> impl DoubleEndedIterator<Item = &Rc<Parcel>> {
        let slots = &self.run.parcels[usize::from(self.start)..usize::from(self.end)];
        slots.iter().filter_map(OnceCell::get)
    }

    /// Takes the first `count` messages away, which have so many bytes, and gives them.
    pub(super) fn split_front(&mut self, count: usize, bytes: u32) -> Self {
        let start = self.start;
        self.start += count as u16;
        self.bytes -= bytes;
        Self { run: Rc::clone(&self.run), start, end: self.start, bytes }
    }
}

#[cfg(test)]
mod tests {
    use codec::websocket::{Frame, Opcode};

    use super::*;

    /// Sends messages of these lengths to a roster with one window, and tells how many messages each run has.
    fn lens(lens: &[usize]) -> Vec<usize> {
        let mut runs = Runs::default();
        let mut window: Vec<Stretch> = Vec::new();
        for &len in lens {
            let frame = Frame::new(Opcode::Binary, &vec![0; len]);
            let parcel = Rc::new(Parcel::of(Encoding::Json, &frame, None));
            let _run = runs.add(Encoding::Json, &parcel);
            if !window.last_mut().is_some_and(|last| last.extend(&parcel, 1)) {
                window.push(Stretch::of(&parcel, 1));
            }
        }
        window.iter().map(Stretch::len).collect()
    }

    #[test]
    fn runs_grow_as_long_as_they_are_kept_and_end_at_a_number_and_at_some_bytes() {
        assert_eq!(lens(&[1; 100]), [1, 2, 4, 8, 16, 32, 32, 5]);
        assert_eq!(lens(&[MOST_BYTES / 2; 5]), [1; 5], "with the headers two are too many");
        assert_eq!(lens(&[1, MOST_BYTES, 1, 1]), [1, 1, 2]);
    }

    #[test]
    fn a_run_lives_as_long_as_a_window_keeps_a_part_of_it() {
        let mut runs = Runs::default();
        let mut send = || {
            let frame = Frame::new(Opcode::Binary, b"x");
            let parcel = Rc::new(Parcel::of(Encoding::Json, &frame, None));
            (runs.add(Encoding::Json, &parcel), parcel)
        };
        let (run, parcel) = send();
        let (weak, kept) = (Rc::downgrade(&run), Stretch::of(&parcel, 1));
        drop((run, parcel));
        assert!(weak.upgrade().is_some(), "it is kept");
        drop(kept);
        assert!(weak.upgrade().is_none(), "nobody keeps it, the roster least of all");
        let (run, parcel) = send();
        drop(run);
        let alone = Stretch::of(&parcel, 1);
        assert_eq!(
            alone.parcels().map(Rc::as_ptr).collect::<Vec<_>>(),
            [Rc::as_ptr(&parcel)],
            "its run has gone"
        );
    }
}
