//! Who goes on from the log of a lane whenever it has fallen behind, as members of durable hubs do.
//!
//! While it is not behind it must get what Redis has taken in the order in which Redis has taken it, whoever published it;
//! and in the end all of it, on the channels that were watched all the time.

use super::*;

pub(super) struct Reader {
    /// What Redis has taken, in its order.
    log: Vec<Letter>,
    is_behind: bool,
    /// What it has read, or need not: so many of the log.
    read: usize,
    /// What it has got since, by its place in the log.
    got: Vec<usize>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { log: Vec::new(), is_behind: true, read: 0, got: Vec::new() }
    }
}

impl Reader {
    /// Redis has taken a letter for the first time.
    pub(super) fn note(&mut self, letter: Letter) {
        self.log.push(letter);
    }

    /// It gets nothing more until it goes on from the log.
    pub(super) fn falls_behind(&mut self) {
        self.is_behind = true;
    }

    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// It has read the log.
    pub(super) fn goes_on(&mut self) {
        self.is_behind = false;
        self.read = self.log.len();
        self.got.clear();
    }

    /// A letter is brought. What it has read already is dropped.
    pub(super) fn deliver(&mut self, letter: &Letter) {
        // What an answer brings before Redis has it comes again and is dropped then.
        let place = self.log.iter().rposition(|logged| logged == letter);
        if let Some(place) = place.filter(|place| !self.is_behind && *place >= self.read) {
            let last = self.got.last().copied();
            assert!(last < Some(place), "{letter:?} after {:?}", last.map(|last| self.log[last]));
            self.got.push(place);
        }
    }

    /// Nothing is missing on these channels.
    pub(super) fn finish(&self, is_watched: impl Fn(usize) -> bool) {
        assert!(!self.is_behind, "it has not gone on");
        for (place, letter) in self.log.iter().enumerate().skip(self.read) {
            assert!(!is_watched(letter.channel) || self.got.contains(&place), "it never got {letter:?}");
        }
    }
}
