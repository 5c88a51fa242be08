//! The bounded queue of frames towards one socket.
//!
//! An empty outbox owns no memory: the worker lends it a buffer with the first frame and takes it back with the last.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use codec::websocket::Frame;
use tokio::time::Instant;

/// What an outbox may hold of frames that the socket does not take.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Most messages.
    pub messages: usize,
    /// Most bytes, frame headers included.
    pub bytes: usize,
}

/// A frame on its way to the members of one worker, which share it.
#[derive(Debug)]
pub struct Parcel {
    /// The bytes.
    pub frame: Frame,
    /// When it is of no use any more.
    pub expires_at: Option<Instant>,
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
        self.bytes += parcel.frame.bytes().len();
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
        let is_expired = |parcel: &Rc<Parcel>| parcel.expires_at.is_some_and(|at| at <= now);
        if !self.parcels.iter().skip(begun).any(is_expired) {
            return;
        }
        let mut position = 0;
        self.parcels.retain(|parcel| {
            position += 1;
            position <= begun || !is_expired(parcel)
        });
        self.bytes = self.parcels.iter().map(|parcel| parcel.frame.bytes().len()).sum();
    }

    /// Puts what comes next into `slices` and gives how many of them are in use.
    pub fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        let mut skip = self.taken;
        for (slice, parcel) in slices.iter_mut().zip(&self.parcels) {
            *slice = IoSlice::new(&parcel.frame.bytes()[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// Notes that the socket has taken `bytes` more.
    pub fn advance(&mut self, bytes: usize) {
        let mut taken = self.taken + bytes;
        while let Some(first) = self.parcels.front() {
            let len = first.frame.bytes().len();
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
    use std::time::Duration;

    use codec::websocket::Opcode;

    use super::*;

    fn parcel(content: &str, expires_at: Option<Instant>) -> Rc<Parcel> {
        Rc::new(Parcel { frame: Frame::new(Opcode::Text, content.as_bytes()), expires_at })
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
