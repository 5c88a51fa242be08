//! What the links count: plain numbers, for whoever shows metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::outbox::Load;

/// Running counts. The links' thread adds to most of them.
#[derive(Debug, Default)]
pub(super) struct LinkCounts {
    losses: AtomicU64,
    batches: AtomicU64,
    published: AtomicU64,
    failed: AtomicU64,
    expired: AtomicU64,
    refused: AtomicU64,
    crowded: AtomicU64,
    received: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkNumbers {
    /// Connections that were lost.
    pub losses: u64,
    /// Batches that were answered.
    pub batches: u64,
    /// Messages that Redis has confirmed.
    pub published: u64,
    /// Messages that Redis has refused for good.
    pub failed: u64,
    /// Messages that were dropped since they had waited too long.
    pub expired: u64,
    /// Messages that were not taken in since the queue was full.
    pub refused: u64,
    /// Times that so much waited that publishers had to wait.
    pub crowded: u64,
    /// Messages that arrived.
    pub received: u64,
    /// Messages that wait or are in flight now.
    pub queued_messages: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Channels that are wanted now.
    pub channels: usize,
}

impl LinkCounts {
    pub(super) fn lost(&self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn batch(&self, published: u64, failed: u64) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.published.fetch_add(published, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
    }

    pub(super) fn expired(&self, messages: usize) {
        self.expired.fetch_add(messages as u64, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn crowded(&self) {
        self.crowded.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn numbers(&self, load: Load, channels: usize) -> LinkNumbers {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LinkNumbers {
            losses: read(&self.losses),
            batches: read(&self.batches),
            published: read(&self.published),
            failed: read(&self.failed),
            expired: read(&self.expired),
            refused: read(&self.refused),
            crowded: read(&self.crowded),
            received: read(&self.received),
            queued_messages: load.messages,
            queued_bytes: load.bytes,
            channels,
        }
    }
}
