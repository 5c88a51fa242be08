//! What the links count: plain numbers, for whoever shows metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::outbox::Load;
use crate::telemetry::metrics::LinkNumbers;

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
