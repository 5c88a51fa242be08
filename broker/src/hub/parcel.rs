//! A frame on its way to members, who share it.
//!
//! Outboxes keep nothing of a message but a pointer to its parcel. The bytes that hold a member's own sequence id are
//! made when the socket takes them, and made again only for a member whose id is another.

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
    /// Bytes on the wire for the id that was asked for last: members who have been sent as many messages have the same.
    /// Apart from the bytes so that a fan-out, which asks for every member, need not mark anything as borrowed each time.
    len: Cell<(SequenceId, usize)>,
    frame: Frame,
    /// What a member with a number is sent, in the same way.
    numbered: RefCell<Numbered>,
    expires_at: Option<Instant>,
    encoding: Encoding,
    /// Where windows find it, if it has its place among other messages.
    spot: OnceCell<Spot>,
}

/// The bytes that depend on a sequence id. A short frame stands here whole, so that it is copied at once; of a long one
/// it is the head, and members share the rest.
#[derive(Debug)]
struct Numbered {
    id: SequenceId,
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
        let len = Cell::new((NONE, frame.bytes().len()));
        let numbered = RefCell::new(Numbered { id: NONE, start: 0, bytes: Vec::new(), replaced: 0 });
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
        let (last, len) = self.len.get();
        if last == id { len } else { self.find_len(id) }
    }

    fn find_len(&self, id: SequenceId) -> usize {
        if id == NONE {
            return self.frame.bytes().len();
        }
        let sequenced = codec::sequence(self.encoding, &self.frame, id);
        let len = sequenced.map_or(self.frame.bytes().len(), |sequenced| sequenced.wire_len());
        self.len.set((id, len));
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
        let numbered = self.numbered(id);
        let own = &numbered.bytes[numbered.start..];
        if skip < own.len() {
            gather.copy(&own[skip..])?;
        }
        let shared = &frame[numbered.replaced..];
        if shared.is_empty() { Ok(()) } else { gather.add(&shared[skip.saturating_sub(own.len())..]) }
    }

    #[inline]
    fn numbered(&self, id: SequenceId) -> Ref<'_, Numbered> {
        let numbered = self.numbered.borrow();
        if numbered.id == id {
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
