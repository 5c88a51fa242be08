//! The bounded queue of frames towards one socket.
//!
//! An empty outbox owns no memory: the worker lends it a buffer with the first frame and takes it back with the last.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use bytes::Bytes;
use codec::Sequenced;
use codec::websocket::{Frame, Head};
use tokio::time::Instant;

/// What an outbox may hold of frames that the socket does not take.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Most messages.
    pub messages: usize,
    /// Most bytes, frame headers included.
    pub bytes: usize,
}

/// A frame on its way to the members of one worker, which share it; or to one member, when it has a sequence id. Then
/// only its beginning is the member's own.
#[derive(Debug)]
pub struct Parcel {
    head: Head,
    tail: Bytes,
    expires_at: Option<Instant>,
}

impl Parcel {
    /// A frame that is of no use any more when `expires_at` has come.
    pub fn new(frame: &Frame, expires_at: Option<Instant>) -> Self {
        Self { head: Head::empty(), tail: frame.bytes().clone(), expires_at }
    }

    /// The same for a frame with a sequence id.
    pub(super) fn sequenced(sequenced: Sequenced, expires_at: Option<Instant>) -> Self {
        let Sequenced { head, tail } = sequenced;
        Self { head, tail, expires_at }
    }

    /// Bytes on the wire.
    pub(super) fn len(&self) -> usize {
        self.head.bytes().len() + self.tail.len()
    }

    /// What is shared of it.
    #[cfg(test)]
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Outbox {
    parcels: VecDeque<Rc<Parcel>>,
    bytes: usize,
    /// How many bytes of the first frame the socket has taken.
    taken: usize,
}

impl Outbox {
    /// Adds a frame at the end. `spare` gives an empty buffer when the outbox has none.
    pub fn push(&mut self, parcel: Rc<Parcel>, spare: impl FnOnce() -> VecDeque<Rc<Parcel>>) {
        if self.parcels.capacity() == 0 {
            self.parcels = spare();
        }
        self.bytes += parcel.len();
        self.parcels.push_back(parcel);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// How many bytes wait, those of a frame that has begun included.
    pub fn len_bytes(&self) -> usize {
        self.bytes - self.taken
    }

    /// Whether it holds more than allowed.
    pub fn exceeds(&self, limits: OutboxLimits) -> bool {
        self.parcels.len() > limits.messages || self.bytes > limits.bytes
    }

    /// Drops frames that have expired, except one that the socket has begun to take.
    pub fn drop_expired(&mut self, now: Instant) {
        let begun = usize::from(self.taken > 0);
        if !self.parcels.iter().skip(begun).any(|parcel| parcel.has_expired(now)) {
            return;
        }
        let mut position = 0;
        self.parcels.retain(|parcel| {
            position += 1;
            position <= begun || !parcel.has_expired(now)
        });
        self.bytes = self.parcels.iter().map(|parcel| parcel.len()).sum();
    }

    /// Puts what comes next into `slices` and gives how many of them are in use.
    pub fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        let mut skip = self.taken;
        for part in self.parcels.iter().flat_map(|parcel| [parcel.head.bytes(), &parcel.tail]) {
            if skip >= part.len() {
                // Taken already, or the head of a frame that is shared whole.
                skip -= part.len();
                continue;
            }
            let Some(slice) = slices.get_mut(count) else {
                break;
            };
            *slice = IoSlice::new(&part[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// Notes that the socket has taken `bytes` more.
    pub fn advance(&mut self, bytes: usize) {
        let mut taken = self.taken + bytes;
        while let Some(first) = self.parcels.front() {
            let len = first.len();
            if taken < len {
                break;
            }
            taken -= len;
            self.bytes -= len;
            self.parcels.pop_front();
        }
        self.taken = taken;
    }

    /// Gives the buffer back if it is empty.
    pub fn take_buffer(&mut self) -> Option<VecDeque<Rc<Parcel>>> {
        let is_unused = self.parcels.is_empty() && self.parcels.capacity() > 0;
        is_unused.then(|| std::mem::take(&mut self.parcels))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use codec::websocket::Opcode;

    use super::*;

    fn parcel(content: &str, expires_at: Option<Instant>) -> Rc<Parcel> {
        Rc::new(Parcel::new(&Frame::new(Opcode::Text, content.as_bytes()), expires_at))
    }

    fn waiting(outbox: &Outbox) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 8];
        let count = outbox.fill(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn frames_leave_in_order_wherever_the_socket_stops() {
        let mut outbox = Outbox::default();
        for content in ["ab", "c", "def"] {
            outbox.push(parcel(content, None), VecDeque::new);
        }
        let all = waiting(&outbox);
        assert_eq!(all, b"\x81\x02ab\x81\x01c\x81\x03def");
        for taken in 1..=all.len() {
            outbox.advance(1);
            assert_eq!(waiting(&outbox), all[taken..]);
        }
        assert!(outbox.is_empty() && outbox.take_buffer().is_some());
        assert!(outbox.take_buffer().is_none(), "an idle outbox owns no memory");
    }

    #[test]
    fn a_frame_with_a_beginning_of_its_own_leaves_whole_wherever_the_socket_stops() {
        let head = || Head::build(Opcode::Text, 2, |out| out.write_all(b"1:").unwrap());
        let tail = Bytes::from_static(b"ab");
        let expected = b"\x81\x041:ab\x81\x041:ab";
        for step in 1..=expected.len() {
            let mut outbox = Outbox::default();
            for _ in 0..2 {
                let sequenced = Sequenced { head: head(), tail: tail.clone() };
                outbox.push(Rc::new(Parcel::sequenced(sequenced, None)), VecDeque::new);
            }
            let mut taken = Vec::new();
            while !outbox.is_empty() {
                let next = waiting(&outbox);
                let len = next.len().min(step);
                taken.extend_from_slice(&next[..len]);
                outbox.advance(len);
            }
            assert_eq!((taken.as_slice(), outbox.bytes), (&expected[..], 0), "{step} bytes at a time");
        }
        let mut outbox = Outbox::default();
        outbox.push(Rc::new(Parcel::sequenced(Sequenced { head: head(), tail }, None)), VecDeque::new);
        let mut one = [IoSlice::new(&[]); 1];
        assert_eq!(outbox.fill(&mut one), 1, "no more slices than there is room for");
    }

    #[test]
    fn limits_count_messages_and_bytes() {
        let mut outbox = Outbox::default();
        outbox.push(parcel("12345678", None), VecDeque::new);
        outbox.push(parcel("12345678", None), VecDeque::new);
        let exceeds = |messages, bytes| outbox.exceeds(OutboxLimits { messages, bytes });
        assert!(!exceeds(2, 20));
        assert!(exceeds(1, 20));
        assert!(exceeds(2, 19));
    }

    #[test]
    fn expired_frames_are_dropped_unless_they_have_begun() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut outbox = Outbox::default();
        for (content, expires_at) in [("a", Some(now)), ("b", Some(now)), ("c", Some(later)), ("d", None)] {
            outbox.push(parcel(content, expires_at), VecDeque::new);
        }
        outbox.advance(1);
        outbox.drop_expired(now);
        assert_eq!(waiting(&outbox), b"\x01a\x81\x01c\x81\x01d");
        outbox.advance(8);
        assert!(outbox.is_empty() && outbox.bytes == 0);
    }
}
