//! The messages of a window in the order of their numbers, as stretches of the runs that it shares with other windows.
//!
//! Positions count from the first message that is kept. Numbers are the window's business; it gives them where bytes
//! depend on them.

use std::rc::Rc;

use codec::ids::SequenceId;

use crate::hub::parcel::Parcel;
use crate::hub::run::Stretch;

/// See the module. It owns no memory when it is empty.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The last stretch stands in the window itself, because every delivery touches it.
    last: Option<Stretch>,
    earlier: Option<Box<Earlier>>,
    len: u32,
}

/// The stretches before the last.
#[derive(Debug, Default)]
struct Earlier(Vec<Stretch>);

impl Kept {
    /// How many messages there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The last one.
    pub(super) fn back(&self) -> Option<&Rc<Parcel>> {
        self.last.as_ref().and_then(|last| last.parcels().next_back())
    }

    /// Adds a message that takes so many bytes.
    #[inline]
    pub(super) fn push(&mut self, parcel: &Rc<Parcel>, bytes: u32) {
        self.len += 1;
        if !self.last.as_mut().is_some_and(|last| last.extend(parcel, bytes)) {
            self.begin_stretch(parcel, bytes);
        }
    }

    #[inline(never)]
    fn begin_stretch(&mut self, parcel: &Rc<Parcel>, bytes: u32) {
        if let Some(before) = self.last.replace(Stretch::of(parcel, bytes)) {
            self.earlier.get_or_insert_default().0.push(before);
        }
    }

    /// The messages from this position on.
    #[inline]
    pub(super) fn from(&self, position: usize) -> impl Iterator<Item = &Rc<Parcel>> {
        let earlier = self.earlier.as_ref().map_or(&[][..], |earlier| &earlier.0);
        let (index, skip) = find(earlier.iter().chain(&self.last), self.len() - position);
        let stretches = earlier.get(index..).unwrap_or_default().iter().chain(&self.last);
        stretches.flat_map(Stretch::parcels).skip(skip)
    }

    /// Takes the first `count` messages away and gives their bytes. `number_at` tells the number at a position.
    pub(super) fn drop_front(&mut self, count: usize, number_at: impl Fn(usize) -> SequenceId) -> u32 {
        let mut stretches = self.take();
        let (mut bytes, mut whole, mut left) = (0, 0, count);
        while let Some(stretch) = stretches.get(whole).filter(|stretch| stretch.len() <= left) {
            bytes += stretch.bytes;
            left -= stretch.len();
            whole += 1;
        }
        if let Some(stretch) = stretches.get_mut(whole).filter(|_| left > 0) {
            bytes += split_front(stretch, left, |place| number_at(count - left + place)).bytes;
        }
        stretches.drain(..whole);
        self.give(stretches, self.len - count as u32);
        bytes
    }

    /// Takes one message away and gives its bytes.
    pub(super) fn remove(&mut self, position: usize, number_at: impl Fn(usize) -> SequenceId) -> u32 {
        let behind = self.len() - position;
        let mut stretches = self.take();
        let (mut index, place) = find(stretches.iter(), behind);
        if place > 0 {
            let front = split_front(&mut stretches[index], place, |at| number_at(position - place + at));
            stretches.insert(index, front);
            index += 1;
        }
        let gone = split_front(&mut stretches[index], 1, |_| number_at(position));
        if stretches[index].len() == 0 {
            stretches.remove(index);
        }
        self.give(stretches, self.len - 1);
        gone.bytes
    }

    /// A copy of what begins at this position and has so many bytes.
    pub(super) fn rest(&self, position: usize, bytes: u32) -> Self {
        let mut stretches = self.clone_stretches();
        let (index, place) = find(stretches.iter(), self.len() - position);
        stretches.drain(..index);
        let all: u32 = stretches.iter().map(|stretch| stretch.bytes).sum();
        if let Some(first) = stretches.first_mut() {
            first.split_front(place, all - bytes);
        }
        let mut rest = Self::default();
        rest.give(stretches, (self.len() - position) as u32);
        rest
    }

    fn clone_stretches(&self) -> Vec<Stretch> {
        let earlier = self.earlier.as_ref().map_or(&[][..], |earlier| &earlier.0);
        earlier.iter().chain(&self.last).cloned().collect()
    }

    /// All stretches, to be changed and given back.
    fn take(&mut self) -> Vec<Stretch> {
        let mut stretches = self.earlier.as_mut().map(|earlier| std::mem::take(&mut earlier.0));
        let all = stretches.get_or_insert_default();
        all.extend(self.last.take());
        stretches.unwrap_or_default()
    }

    fn give(&mut self, mut stretches: Vec<Stretch>, len: u32) {
        self.last = stretches.pop();
        self.earlier = (!stretches.is_empty()).then(|| Box::new(Earlier(stretches)));
        self.len = len;
    }

    #[cfg(test)]
    pub(super) fn owns_nothing(&self) -> bool {
        self.last.is_none() && self.earlier.is_none()
    }
}

/// In which stretch the first of the last `wanted` messages is, and at which place in it. It is mostly near the end.
fn find<'a>(
    stretches: impl DoubleEndedIterator<Item = &'a Stretch> + Clone,
    wanted: usize,
) -> (usize, usize) {
    let (mut found, mut behind) = (0, 0);
    for stretch in stretches.clone().rev() {
        found += stretch.len();
        behind += 1;
        if found >= wanted {
            return (stretches.count() - behind, found - wanted);
        }
    }
    (0, 0)
}

/// Takes the first `count` messages away, whose numbers are told by place, and gives them.
fn split_front(stretch: &mut Stretch, count: usize, number_at: impl Fn(usize) -> SequenceId) -> Stretch {
    let wire_len = |(place, parcel): (usize, &Rc<Parcel>)| parcel.len(number_at(place)) as u32;
    let bytes = stretch.parcels().take(count).enumerate().map(wire_len).sum();
    stretch.split_front(count, bytes)
}

#[cfg(test)]
mod tests;
