//! Envelopes of one process that wait until what was published before them is there.

use std::collections::BTreeMap;

use super::{Incoming, Mark};
use crate::backplane::Partition;

/// See the module.
#[derive(Debug)]
pub(super) struct Held<T> {
    waiting: BTreeMap<u64, Waiting<T>>,
    bytes: usize,
}

/// One that waits.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    previous: u64,
    pub(super) partition: Partition,
    channel: Box<str>,
    item: T,
    len: usize,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), bytes: 0 }
    }
}

impl<T> Held<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What it takes to keep all of it.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps an envelope back, once.
    pub(super) fn insert(&mut self, incoming: Incoming<'_, T>) {
        let Incoming { mark: Mark { sequence, previous, partition, channel, .. }, item, len } = incoming;
        let waiting = Waiting { previous, partition, channel: channel.into(), item, len };
        self.put(sequence, waiting);
    }

    /// Puts one back.
    pub(super) fn put(&mut self, sequence: u64, waiting: Waiting<T>) {
        self.bytes += waiting.size();
        if let Some(same) = self.waiting.insert(sequence, waiting) {
            self.bytes -= same.size();
        }
    }

    /// Takes all of it, in the order of the numbers.
    pub(super) fn take(&mut self) -> BTreeMap<u64, Waiting<T>> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// The partitions whose channels they were published to.
    pub(super) fn partitions(&self) -> impl Iterator<Item = Partition> {
        self.waiting.values().map(|waiting| waiting.partition)
    }

    pub(super) fn forget_channel(&mut self, channel: &str) {
        let bytes = &mut self.bytes;
        self.waiting.retain(|_, waiting| {
            let is_other = *waiting.channel != *channel;
            if !is_other {
                *bytes -= waiting.size();
            }
            is_other
        });
    }
}

impl<T> Waiting<T> {
    /// The numbers that it came with, and what it brings.
    pub(super) fn open(&self, sequence: u64) -> Place<'_> {
        Place { sequence, previous: self.previous, partition: self.partition, channel: &self.channel }
    }

    pub(super) fn into_item(self) -> T {
        self.item
    }

    fn size(&self) -> usize {
        self.len + self.channel.len() + size_of::<(u64, Self)>()
    }
}

/// Where an envelope stands among those of its process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) sequence: u64,
    pub(super) previous: u64,
    pub(super) partition: Partition,
    pub(super) channel: &'a str,
}

impl<'a> From<Mark<'a>> for Place<'a> {
    fn from(mark: Mark<'a>) -> Self {
        let Mark { sequence, previous, partition, channel, .. } = mark;
        Self { sequence, previous, partition, channel }
    }
}
