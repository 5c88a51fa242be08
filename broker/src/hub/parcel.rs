//! A frame on its way to members, who share it.
//!
//! Outboxes keep nothing of a message but a pointer to its parcel. The bytes that hold a member's own sequence id are
//! made when the socket takes them: those of another member with the member's own digits, if there are as many.

use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::time::Duration;

use codec::MAX_HEAD;
use codec::ids::SequenceId;
use codec::subprotocol::Encoding;
use codec::websocket::{Frame, Opcode};
use tokio::time::Instant;

use super::gather::{Full, Gather, LONGEST_COPY};
use super::run::Spot;

/// The sequence id of a frame that has none.
pub(super) const NONE: SequenceId = SequenceId(0);

/// A frame on its way to the members of one worker, which share it. What counting and measuring it touches lies together.
#[derive(Debug)]
#[repr(C)]
pub struct Parcel {
    /// Bytes on the wire for an id, and for all that are as long. Apart from the bytes so that a fan-out, which asks for
    /// every member, need not mark anything as borrowed each time.
    len: Cell<Len>,
    frame: Frame,
    /// What a member with a number is sent, in the same way.
    numbered: RefCell<Numbered>,
    expires_at: Option<Instant>,
    encoding: Encoding,
    /// Where windows find it, if it has its place among other messages.
    spot: OnceCell<Spot>,
}

/// Bytes on the wire for ids from a first to a last one.
#[derive(Debug, Clone, Copy)]
struct Len {
    first: u64,
    last: u64,
    len: usize,
}

/// The bytes that depend on a sequence id. A short frame stands here whole, so that it is copied at once; of a long one
/// it is the head, and members share the rest.
#[derive(Debug)]
struct Numbered {
    id: SequenceId,
    /// The first and the last id that are as long as this one.
    as_long: (u64, u64),
    /// Where they begin in the room that a head may need.
    start: usize,
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
        let len = Cell::new(Len { first: NONE.0, last: NONE.0, len: frame.bytes().len() });
        let as_long = (NONE.0, NONE.0);
        let numbered = RefCell::new(Numbered { id: NONE, as_long, start: 0, bytes: Vec::new(), replaced: 0 });
        let spot = OnceCell::new();
        Self { len, frame: frame.clone(), numbered, expires_at, encoding, spot }
    }

    /// The same of a message whose content another node has encoded.
    pub(super) fn restored(encoding: Encoding, content: &[u8], expires_at: Option<Instant>) -> Self {
        let opcode = match encoding {
            Encoding::Json => Opcode::Text,
            Encoding::Protobuf | Encoding::Simple => Opcode::Binary,
        };
        Self::of(encoding, &Frame::new(opcode, content), expires_at)
    }

    /// The frame with this id, for one member alone: it neither changes nor expires.
    pub(super) fn sequenced(&self, id: SequenceId) -> Self {
        let sequenced = codec::sequence(self.encoding, &self.frame, id);
        Self::new(&sequenced.map_or_else(|| self.frame.clone(), |sequenced| sequenced.to_frame()), None)
    }

    /// Bytes on the wire with this id, or without one.
    #[inline]
    pub(super) fn len(&self, id: SequenceId) -> usize {
        let Len { first, last, len } = self.len.get();
        if first <= id.0 && id.0 <= last { len } else { self.find_len(id) }
    }

    #[inline(never)]
    fn find_len(&self, id: SequenceId) -> usize {
        if id == NONE {
            return self.frame.bytes().len();
        }
        let Some(sequenced) = codec::sequence(self.encoding, &self.frame, id) else {
            return self.frame.bytes().len();
        };
        let (as_long, len) = (sequenced.as_long(), sequenced.wire_len());
        self.len.set(Len { first: *as_long.start(), last: *as_long.end(), len });
        len
    }

    /// Notes where it stands among others. The first place is the one that counts.
    pub(super) fn stands(&self, spot: Spot) {
        self.spot.get_or_init(|| spot);
    }

    /// Where it stands among others, if it does.
    #[inline]
    pub(super) fn spot(&self) -> Option<&Spot> {
        self.spot.get()
    }

    /// Whether it may be of no use one day.
    #[inline]
    pub(super) fn expires(&self) -> bool {
        self.expires_at.is_some()
    }

    /// For how long it is of use; nothing when that is for ever.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        self.expires_at.map(|at| at.saturating_duration_since(now))
    }

    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Adds all but the first `skip` bytes to what is to be written.
    #[inline]
    pub(super) fn gather<'a>(
        &'a self,
        id: SequenceId,
        skip: usize,
        gather: &mut Gather<'a, '_>,
    ) -> Result<(), Full> {
        let frame = self.frame.bytes();
        if id == NONE {
            return gather.add(&frame[skip..]);
        }
        let numbered = self.numbered(id, skip);
        let own = &numbered.bytes[numbered.start..];
        if skip < own.len() {
            let copy = gather.copy(&own[skip..])?;
            if numbered.id != id {
                codec::renumber(self.encoding, id, &mut copy[..MAX_HEAD - numbered.start]);
            }
        }
        let shared = &frame[numbered.replaced..];
        if shared.is_empty() { Ok(()) } else { gather.add(&shared[skip.saturating_sub(own.len())..]) }
    }

    /// What a member with this id is sent. It may have another id that is as long, unless a part is to be left out.
    #[inline]
    fn numbered(&self, id: SequenceId, skip: usize) -> Ref<'_, Numbered> {
        let numbered = self.numbered.borrow();
        let (first, last) = numbered.as_long;
        if numbered.id == id || (skip == 0 && first <= id.0 && id.0 <= last) {
            return numbered;
        }
        drop(numbered);
        self.number(id);
        self.numbered.borrow()
    }

    #[inline(never)]
    fn number(&self, id: SequenceId) {
        let mut numbered = self.numbered.borrow_mut();
        let numbered = &mut *numbered;
        numbered.id = id;
        let Some(sequenced) = codec::sequence(self.encoding, &self.frame, id) else {
            return;
        };
        let as_long = sequenced.as_long();
        numbered.as_long = (*as_long.start(), *as_long.end());
        let (frame, tail) = (self.frame.bytes(), sequenced.tail());
        if numbered.bytes.is_empty() {
            let is_short = tail.len() <= LONGEST_COPY;
            let copied = if is_short { tail } else { &[] };
            numbered.bytes = [&[0; MAX_HEAD], copied].concat();
            numbered.replaced = frame.len() - if is_short { 0 } else { tail.len() };
        }
        numbered.start = MAX_HEAD - sequenced.head_len();
        sequenced.write_head(&mut numbered.bytes[numbered.start..MAX_HEAD]);
    }

    /// The frame as it is without a sequence id.
    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use codec::message::{Content, Downstream, Origin, Payload};

    use super::*;

    fn gathered(parcel: &Parcel, id: SequenceId, skip: usize) -> Vec<u8> {
        let mut room = [0; 2 * LONGEST_COPY];
        let mut slices = [IoSlice::new(&[]); 4];
        let mut gather = Gather::new(&mut room, &mut slices);
        parcel.gather(id, skip, &mut gather).unwrap();
        gather.finish().iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn each_member_has_its_own_number_whoever_came_before() {
        for encoding in [Encoding::Json, Encoding::Protobuf] {
            for len in [10, 2 * LONGEST_COPY] {
                let content = Content { payload: Payload::text("x".repeat(len)), metadata: None };
                let message = Downstream::Message { origin: Origin::Server, content, stream: None };
                let frame = codec::encode(encoding, &message).unwrap();
                let parcel = Parcel::of(encoding, &frame, None);
                for id in [7, 8, 127, 99, 100, 3, 0, 12_345, 128, 54_321, 1].map(SequenceId) {
                    let expected = match id {
                        NONE => frame.bytes().to_vec(),
                        id => codec::sequence(encoding, &frame, id).unwrap().to_vec(),
                    };
                    assert_eq!(parcel.len(id), expected.len(), "{encoding:?}, {id:?}");
                    for skip in [0, 3, 20, 0] {
                        assert_eq!(
                            gathered(&parcel, id, skip),
                            expected[skip..],
                            "{encoding:?}, {id:?}, {skip}"
                        );
                    }
                }
            }
        }
    }
}
