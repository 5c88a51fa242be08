//! A frame on its way to members, who share it.
//!
//! Outboxes keep nothing of a message but a pointer to its parcel. The bytes that hold a member's own sequence id are
//! made when the socket takes them.

use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::time::Duration;

use codec::MAX_HEAD;
use codec::ids::SequenceId;
use codec::subprotocol::Encoding;
use codec::websocket::{Frame, Opcode};
use tokio::time::Instant;

use super::gather::{Full, Gather};
use super::run::Spot;

/// The sequence id of a frame that has none.
pub(super) const NONE: SequenceId = SequenceId(0);

/// A frame on its way to the members of one worker, which share it. What counting and measuring it touches lies together.
#[derive(Debug)]
#[repr(C)]
pub struct Parcel {
    /// Bytes on the wire for the id that was asked for last: members who have been sent as many messages have the same.
    /// Apart from the head so that a fan-out, which asks for every member, need not mark anything as borrowed each time.
    len: Cell<(SequenceId, usize)>,
    frame: Frame,
    /// What stands before the frame, in the same way.
    head: RefCell<Head>,
    expires_at: Option<Instant>,
    encoding: Encoding,
    /// Where windows find it, if it has its place among other messages.
    spot: OnceCell<Spot>,
}

/// What stands before the bytes that all members share, for one sequence id.
#[derive(Debug)]
#[repr(C)]
struct Head {
    id: SequenceId,
    /// How many of the bytes are in use.
    len: usize,
    /// How many bytes of the frame they replace.
    replaced: usize,
    bytes: [u8; MAX_HEAD],
}

impl Parcel {
    /// A frame that is never numbered, and is of no use any more when `expires_at` has come.
    pub fn new(frame: &Frame, expires_at: Option<Instant>) -> Self {
        Self::of(Encoding::Simple, frame, expires_at)
    }

    /// The frame of a message, which reliable members receive with a sequence id.
    pub(super) fn of(encoding: Encoding, frame: &Frame, expires_at: Option<Instant>) -> Self {
        let head = Head { id: NONE, bytes: [0; MAX_HEAD], len: 0, replaced: 0 };
        let len = (head.id, frame.bytes().len());
        let (head, len) = (RefCell::new(head), Cell::new(len));
        Self { frame: frame.clone(), encoding, expires_at, head, len, spot: OnceCell::new() }
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
        let head = self.head(id);
        if skip == 0 {
            gather.copy_start(&head.bytes, head.len)?;
        } else if skip < head.len {
            gather.copy(&head.bytes[skip..head.len])?;
        }
        gather.add(&frame[head.replaced + skip.saturating_sub(head.len)..])
    }

    #[inline]
    fn head(&self, id: SequenceId) -> Ref<'_, Head> {
        let head = self.head.borrow();
        if head.id == id {
            return head;
        }
        drop(head);
        self.make_head(id);
        self.head.borrow()
    }

    #[inline(never)]
    fn make_head(&self, id: SequenceId) {
        let mut head = self.head.borrow_mut();
        head.id = id;
        if let Some(sequenced) = codec::sequence(self.encoding, &self.frame, id) {
            head.len = sequenced.head_len();
            sequenced.write_head(&mut head.bytes[..sequenced.head_len()]);
            head.replaced = self.frame.bytes().len() - sequenced.tail().len();
        }
    }

    /// The frame as it is without a sequence id.
    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }
}
