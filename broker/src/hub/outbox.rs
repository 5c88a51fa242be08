//! The bounded queue of frames towards one socket.
//!
//! An empty outbox owns no memory: the worker lends it a buffer with the first frame and takes it back with the last.

use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use codec::ids::SequenceId;
use codec::subprotocol::Encoding;
use codec::websocket::Frame;
use tokio::time::Instant;

use super::gather::{Full, Gather};

/// The sequence id of a frame that has none.
const NONE: SequenceId = SequenceId(0);

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
    frame: Frame,
    encoding: Encoding,
    expires_at: Option<Instant>,
    /// For the id that was asked for last: members who have been sent as many messages have the same.
    head: RefCell<Head>,
    /// The same for the bytes on the wire, apart from it so that a fan-out, which asks for every member, need not mark
    /// anything as borrowed each time.
    len: Cell<(SequenceId, usize)>,
}

/// What stands before the bytes that all members share, for one sequence id.
#[derive(Debug)]
struct Head {
    id: SequenceId,
    bytes: Vec<u8>,
    /// How many bytes of the frame they replace.
    replaced: usize,
}

impl Parcel {
    /// A frame that is never numbered, and is of no use any more when `expires_at` has come.
    pub fn new(frame: &Frame, expires_at: Option<Instant>) -> Self {
        Self::of(Encoding::Simple, frame, expires_at)
    }

    /// The frame of a message, which reliable members receive with a sequence id.
    pub(super) fn of(encoding: Encoding, frame: &Frame, expires_at: Option<Instant>) -> Self {
        let head = Head { id: NONE, bytes: Vec::new(), replaced: 0 };
        let len = (head.id, frame.bytes().len());
        Self { frame: frame.clone(), encoding, expires_at, head: RefCell::new(head), len: Cell::new(len) }
    }

    /// Bytes on the wire with this id.
    #[inline]
    fn len(&self, id: SequenceId) -> usize {
        let (last, len) = self.len.get();
        if last == id { len } else { self.find_len(id) }
    }

    fn find_len(&self, id: SequenceId) -> usize {
        let sequenced = codec::sequence(self.encoding, &self.frame, id);
        let len = sequenced.map_or(self.frame.bytes().len(), |sequenced| sequenced.wire_len());
        self.len.set((id, len));
        len
    }

    #[inline]
    fn head(&self, id: SequenceId) -> Ref<'_, Head> {
        if self.head.borrow().id != id {
            self.make_head(id);
        }
        self.head.borrow()
    }

    fn make_head(&self, id: SequenceId) {
        let mut head = self.head.borrow_mut();
        head.id = id;
        if let Some(sequenced) = codec::sequence(self.encoding, &self.frame, id) {
            head.bytes.resize(sequenced.head_len(), 0);
            sequenced.write_head(&mut head.bytes);
            head.replaced = self.frame.bytes().len() - sequenced.tail().len();
        }
    }

    /// The frame as it is without a sequence id.
    #[cfg(test)]
    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// A parcel for one member, with the member's own sequence id if it has one. The bytes that hold the id are made when
/// the socket takes them, so that all that a member keeps of a message are a pointer and a number.
#[derive(Debug, Clone)]
pub struct Delivery {
    parcel: Rc<Parcel>,
    /// [`NONE`] without one.
    id: SequenceId,
}

impl Delivery {
    pub(super) fn plain(parcel: Rc<Parcel>) -> Self {
        Self { parcel, id: NONE }
    }

    /// With a sequence id, unless the frame has no place for one.
    pub(super) fn sequenced(parcel: &Rc<Parcel>, id: SequenceId) -> Self {
        Self { parcel: Rc::clone(parcel), id }
    }

    pub(super) fn id(&self) -> SequenceId {
        self.id
    }

    /// Bytes on the wire.
    #[inline]
    pub(super) fn len(&self) -> usize {
        if self.id == NONE { self.parcel.frame.bytes().len() } else { self.parcel.len(self.id) }
    }

    #[cfg(test)]
    pub(super) fn parcel(&self) -> &Parcel {
        &self.parcel
    }

    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.parcel.expires_at.is_some_and(|at| at <= now)
    }

    /// Adds all but the first `skip` bytes to what is to be written.
    fn gather<'a>(&'a self, skip: usize, gather: &mut Gather<'a, '_>) -> Result<(), Full> {
        let frame = self.parcel.frame.bytes();
        if self.id == NONE {
            return gather.add(&frame[skip..]);
        }
        let head = self.parcel.head(self.id);
        let head_len = head.bytes.len();
        if skip < head_len {
            gather.copy(&head.bytes[skip..])?;
        }
        gather.add(&frame[head.replaced + skip.saturating_sub(head_len)..])
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<Delivery>,
    bytes: usize,
    /// How many bytes of the first frame the socket has taken.
    taken: usize,
}

impl Outbox {
    /// Adds a frame at the end. `spare` gives an empty buffer when the outbox has none.
    pub fn push(&mut self, parcel: Rc<Parcel>, spare: impl FnOnce() -> VecDeque<Delivery>) {
        self.add(Delivery::plain(parcel), spare);
    }

    /// The same for a frame that may have a sequence id.
    pub(super) fn add(&mut self, delivery: Delivery, spare: impl FnOnce() -> VecDeque<Delivery>) {
        if self.waiting.capacity() == 0 {
            self.waiting = spare();
        }
        self.bytes += delivery.len();
        self.waiting.push_back(delivery);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many bytes wait, those of a frame that has begun included.
    pub fn len_bytes(&self) -> usize {
        self.bytes - self.taken
    }

    /// Whether it holds more than allowed.
    pub fn exceeds(&self, limits: OutboxLimits) -> bool {
        self.waiting.len() > limits.messages || self.bytes > limits.bytes
    }

    /// Drops frames that have expired, except one that the socket has begun to take.
    pub fn drop_expired(&mut self, now: Instant) {
        let begun = usize::from(self.taken > 0);
        if !self.waiting.iter().skip(begun).any(|delivery| delivery.has_expired(now)) {
            return;
        }
        let mut position = 0;
        self.waiting.retain(|delivery| {
            position += 1;
            position <= begun || !delivery.has_expired(now)
        });
        self.bytes = self.waiting.iter().map(Delivery::len).sum();
    }

    /// Gathers what comes next, as much of it as there is room for.
    pub fn gather<'a>(&'a self, gather: &mut Gather<'a, '_>) {
        let mut skip = self.taken;
        for delivery in &self.waiting {
            if delivery.gather(skip, gather).is_err() {
                break;
            }
            skip = 0;
        }
    }

    /// Notes that the socket has taken `bytes` more.
    pub fn advance(&mut self, bytes: usize) {
        if bytes == self.len_bytes() {
            self.waiting.clear();
            (self.bytes, self.taken) = (0, 0);
            return;
        }
        let mut taken = self.taken + bytes;
        while let Some(first) = self.waiting.front() {
            let len = first.len();
            if taken < len {
                break;
            }
            taken -= len;
            self.bytes -= len;
            self.waiting.pop_front();
        }
        self.taken = taken;
    }

    /// Gives the buffer back if it is empty.
    pub fn take_buffer(&mut self) -> Option<VecDeque<Delivery>> {
        let is_unused = self.waiting.is_empty() && self.waiting.capacity() > 0;
        is_unused.then(|| std::mem::take(&mut self.waiting))
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::time::Duration;

    use codec::websocket::Opcode;

    use super::*;

    fn parcel(content: &str, expires_at: Option<Instant>) -> Rc<Parcel> {
        Rc::new(Parcel::new(&Frame::new(Opcode::Text, content.as_bytes()), expires_at))
    }

    fn waiting(outbox: &Outbox) -> Vec<u8> {
        let mut room = [0; 64];
        let mut slices = [IoSlice::new(&[]); 8];
        let mut gather = Gather::new(&mut room, &mut slices);
        outbox.gather(&mut gather);
        gather.finish().iter().flat_map(|slice| slice.to_vec()).collect()
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
        let shared = Rc::new(Parcel::of(Encoding::Json, &Frame::new(Opcode::Text, b"{}"), None));
        let expected = b"\x81\x11{\"sequenceId\":9,}\x81\x12{\"sequenceId\":10,}";
        for step in 1..=expected.len() {
            let mut outbox = Outbox::default();
            for id in [9, 10] {
                outbox.add(Delivery::sequenced(&shared, SequenceId(id)), VecDeque::new);
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
    }

    #[test]
    fn what_there_is_no_room_for_leaves_the_next_time() {
        let mut outbox = Outbox::default();
        let contents = ["a".repeat(30), "b".repeat(2_000), "c".repeat(40)];
        for content in &contents {
            outbox.push(parcel(content, None), VecDeque::new);
        }
        let mut all = Vec::new();
        while !outbox.is_empty() {
            let next = waiting(&outbox);
            outbox.advance(next.len());
            all.push(next.len());
        }
        assert_eq!(all, [32 + 2_004, 42]);
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
