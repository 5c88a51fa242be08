//! How the last streams of a session ended, for a client that has not heard of it: what a publisher is told is not
//! sent again on another socket. Source: `client-protocols.md` 9.3.

use std::collections::VecDeque;

use codec::ids::StreamId;
use codec::message::StreamClosedError;

/// Most streams that are remembered: more than can end while a client is away.
const MAX_STREAMS: usize = 256;
/// Most bytes of their ids.
const MAX_BYTES: usize = 64 * 1024;

/// The streams that have ended, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Memory {
    ended: VecDeque<(StreamId, Option<StreamClosedError>)>,
    bytes: usize,
}

impl Memory {
    /// Notes how a stream ended; the id must not be remembered yet. The oldest are forgotten for it.
    pub(super) fn remember(&mut self, id: StreamId, error: Option<StreamClosedError>) {
        self.bytes += id.as_str().len();
        self.ended.push_back((id, error));
        while self.ended.len() > MAX_STREAMS || self.bytes > MAX_BYTES {
            let Some((oldest, _)) = self.ended.pop_front() else {
                return;
            };
            self.bytes -= oldest.as_str().len();
        }
    }

    /// How a stream ended, if that is known: with an error or without.
    pub(super) fn recall(&self, id: &StreamId) -> Option<Option<StreamClosedError>> {
        self.ended.iter().find(|(ended, _)| ended == id).map(|(_, error)| *error)
    }

    /// All of them, the oldest first.
    pub(super) fn export(&self) -> Vec<(StreamId, Option<StreamClosedError>)> {
        self.ended.iter().cloned().collect()
    }

    /// The id means another stream from now on.
    pub(super) fn forget(&mut self, id: &StreamId) {
        if let Some(place) = self.ended.iter().position(|(ended, _)| ended == id) {
            self.ended.remove(place);
            self.bytes -= id.as_str().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Option<StreamClosedError> = Some(StreamClosedError::IdleTimeout);

    #[test]
    fn an_end_is_known_until_the_id_means_another_stream() {
        let mut memory = Memory::default();
        let (a, b) = (StreamId::new("a"), StreamId::new("b"));
        memory.remember(a.clone(), None);
        memory.remember(b.clone(), IDLE);
        assert_eq!((memory.recall(&a), memory.recall(&b)), (Some(None), Some(IDLE)));
        memory.forget(&a);
        assert_eq!((memory.recall(&a), memory.recall(&b)), (None, Some(IDLE)));
        memory.forget(&b);
        assert_eq!((memory.ended.len(), memory.bytes), (0, 0));
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_256_streams() {
        let mut memory = Memory::default();
        let id = |number: usize| StreamId::new(&number.to_string());
        (0..=256).for_each(|number| memory.remember(id(number), None));
        assert_eq!((memory.recall(&id(0)), memory.recall(&id(1))), (None, Some(None)));
        assert_eq!(memory.ended.len(), 256);
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_64_kibibytes() {
        let mut memory = Memory::default();
        let id = |number: usize| StreamId::new(&format!("{number:01024}"));
        (0..=64).for_each(|number| memory.remember(id(number), None));
        assert_eq!((memory.recall(&id(0)), memory.recall(&id(1))), (None, Some(None)));
        assert_eq!((memory.ended.len(), memory.bytes), (64, 64 * 1024));
    }
}
