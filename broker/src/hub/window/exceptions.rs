//! What few windows need, so that the others are small: gaps in the numbers, states, and frames between the messages.

use std::collections::VecDeque;

use codec::ids::SequenceId;

use super::states::StateFrames;
use crate::hub::parcel::Parcel;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    /// A message did not fit.
    pub(super) is_overrun: bool,
    /// A message may be of no use one day.
    pub(super) some_expire: bool,
    /// The numbers of all messages, if some have gone from between them.
    pub(super) numbers: Option<VecDeque<u64>>,
    /// For each frame without a number that waits in the outbox, the last message that goes before it.
    pub(super) marks: VecDeque<u64>,
    /// Up to which number messages may leave, if not all may.
    pub(super) limit: Option<SequenceId>,
    /// Which messages may be replaced and give way; absent while there are none.
    pub(super) states: Option<Box<StateFrames>>,
}

impl Exceptions {
    /// There is a message with this number now.
    pub(super) fn pushed(&mut self, number: u64, parcel: &Parcel) {
        self.some_expire |= parcel.expires();
        if let Some(numbers) = &mut self.numbers {
            numbers.push_back(number);
        }
    }

    /// The first `count` messages have gone, those up to this number; `last` is that of the last that there was.
    pub(super) fn acknowledged(&mut self, up_to: SequenceId, count: usize, last: u64) {
        if let Some(numbers) = &mut self.numbers {
            numbers.drain(..count);
            let follow = |first: &u64| last + 1 - first == numbers.len() as u64;
            if numbers.front().is_none_or(follow) {
                self.numbers = None;
            }
        }
        if let Some(states) = &mut self.states {
            states.acknowledge(up_to);
        }
    }

    /// Those of the messages behind the first `count`, as far as they concern what is to be written.
    pub(super) fn after(&self, count: usize) -> Self {
        Self {
            numbers: self.numbers.as_ref().map(|numbers| numbers.range(count..).copied().collect()),
            marks: self.marks.clone(),
            limit: self.limit,
            some_expire: self.some_expire,
            ..Self::default()
        }
    }

    /// Forgets what concerns messages, now that there are none. Says whether nothing is left.
    pub(super) fn release(&mut self) -> bool {
        self.states = None;
        self.numbers = None;
        self.some_expire = false;
        !self.is_overrun && self.marks.is_empty() && self.limit.is_none()
    }
}
