//! What one call to the system is to write: pieces of many frames, small ones copied together, large ones where they are.
//!
//! The kernel takes a few long slices faster than many short ones, and copying a short frame costs less than its slice.
//! The outbox fills it, the client's socket lends the room and writes the slices.

use std::io::IoSlice;

/// Longest piece that is copied, in bytes.
pub(super) const LONGEST_COPY: usize = 1024;

/// See the module.
#[derive(Debug)]
pub struct Gather<'a, 's> {
    /// Room for copies that is not part of a slice yet.
    room: &'a mut [u8],
    /// How much of its beginning is in use.
    copied: usize,
    slices: &'s mut [IoSlice<'a>],
    count: usize,
}

/// No room for a piece, or not for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl<'a, 's> Gather<'a, 's> {
    /// Nothing so far, with `room` for copies.
    pub fn new(room: &'a mut [u8], slices: &'s mut [IoSlice<'a>]) -> Self {
        Self { room, copied: 0, slices, count: 0 }
    }

    /// Adds a piece that stays where it is for long enough.
    pub(super) fn add(&mut self, piece: &'a [u8]) -> Result<(), Full> {
        if piece.len() <= LONGEST_COPY {
            return self.copy(piece).map(drop);
        }
        self.seal();
        let slice = self.slices.get_mut(self.count).ok_or(Full)?;
        *slice = IoSlice::new(piece);
        self.count += 1;
        Ok(())
    }

    /// Adds a copy of a piece, and gives it to be changed.
    #[inline]
    pub(super) fn copy(&mut self, piece: &[u8]) -> Result<&mut [u8], Full> {
        if self.count == self.slices.len() {
            return Err(Full);
        }
        let end = self.copied + piece.len();
        let copy = self.room.get_mut(self.copied..end).ok_or(Full)?;
        copy.copy_from_slice(piece);
        self.copied = end;
        Ok(copy)
    }

    /// Makes a slice of what was copied. There is a free one, or nothing would have been copied.
    fn seal(&mut self) {
        if self.copied > 0 {
            let (copied, rest) = std::mem::take(&mut self.room).split_at_mut(self.copied);
            self.slices[self.count] = IoSlice::new(copied);
            self.count += 1;
            self.room = rest;
            self.copied = 0;
        }
    }

    /// The slices, in their order.
    pub fn finish(mut self) -> &'s [IoSlice<'a>] {
        self.seal();
        &self.slices[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_pieces_become_one_slice_and_long_ones_stay_where_they_are() {
        let long = vec![7; LONGEST_COPY + 1];
        let mut room = [0; 16];
        let mut slices = [IoSlice::new(&[]); 3];
        let mut gather = Gather::new(&mut room, &mut slices);
        for piece in [&b"ab"[..], b"c", &long, b"de"] {
            assert_eq!(gather.add(piece), Ok(()));
        }
        let slices = gather.finish();
        assert_eq!(slices.iter().map(|slice| slice.len()).collect::<Vec<_>>(), [3, long.len(), 2]);
        assert_eq!((&*slices[0], &*slices[2]), (&b"abc"[..], &b"de"[..]));
        assert_eq!(slices[1].as_ptr(), long.as_ptr(), "nothing is copied");
    }

    #[test]
    fn it_takes_no_more_than_it_has_room_and_slices_for() {
        let long = vec![7; LONGEST_COPY + 1];
        let mut room = [0; 4];
        let mut slices = [IoSlice::new(&[]); 2];
        let mut gather = Gather::new(&mut room, &mut slices);
        assert_eq!(gather.add(b"12345"), Err(Full));
        assert_eq!(gather.add(b"123"), Ok(()));
        assert_eq!(gather.add(b"45"), Err(Full));
        assert_eq!(gather.add(&long), Ok(()));
        assert_eq!(gather.add(b"4"), Err(Full), "no slice is left");
        assert_eq!(gather.add(&long), Err(Full));
        assert_eq!(gather.finish().len(), 2);
    }
}
