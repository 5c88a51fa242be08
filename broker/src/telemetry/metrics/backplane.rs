//! The node's links to the others.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

pub(super) const LAG: &str = "hubbub_backplane_lag_seconds";
const STATE: &str = "hubbub_backplane_up";
const SUBSCRIPTIONS: &str = "hubbub_backplane_subscriptions";
const QUEUE: &str = "hubbub_backplane_queue_messages";
const QUEUE_BYTES: &str = "hubbub_backplane_queue_bytes";
const PUBLISHED: &str = "hubbub_backplane_published_total";
const RECEIVED: &str = "hubbub_backplane_received_total";
const DROPPED: &str = "hubbub_backplane_dropped_total";
const CROWDED: &str = "hubbub_backplane_crowded_total";
const LOSSES: &str = "hubbub_backplane_connection_losses_total";
const GAPS: &str = "hubbub_backplane_gap_total";
const REPAIRED: &str = "hubbub_backplane_repaired_total";
const NODES: &str = "hubbub_backplane_nodes";
const NAMESAKES: &str = "hubbub_backplane_namesakes";
const UNREADABLE: &str = "hubbub_backplane_unreadable_total";

/// Upper bounds of the histogram of the lag, in seconds.
pub(super) const BUCKETS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Handles for the links of a node. Absent from the page of a node that is alone.
#[derive(Clone)]
pub struct BackplaneMetrics {
    lag: Histogram,
    hearing: Gauge,
    publishing: Gauge,
    subscriptions: Gauge,
    queue: Gauge,
    queue_bytes: Gauge,
    published: Counter,
    received: Counter,
    refused: Counter,
    expired: Counter,
    failed: Counter,
    crowded: Counter,
    losses: Counter,
    asked: Counter,
    lost: Counter,
    repaired: Counter,
    unreadable: Counter,
    nodes: Gauge,
    namesakes: Gauge,
}

/// What the links have counted since they are up, and what waits now.
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

impl BackplaneMetrics {
    pub(super) fn new() -> Self {
        describe();
        let dropped = |reason: &'static str| counter!(DROPPED, "reason" => reason);
        Self {
            lag: histogram!(LAG),
            hearing: gauge!(STATE, "direction" => "hear"),
            publishing: gauge!(STATE, "direction" => "publish"),
            subscriptions: gauge!(SUBSCRIPTIONS),
            queue: gauge!(QUEUE),
            queue_bytes: gauge!(QUEUE_BYTES),
            published: counter!(PUBLISHED),
            received: counter!(RECEIVED),
            refused: dropped("queue-full"),
            expired: dropped("expired"),
            failed: dropped("refused"),
            crowded: counter!(CROWDED),
            losses: counter!(LOSSES),
            asked: counter!(GAPS, "outcome" => "asked"),
            lost: counter!(GAPS, "outcome" => "lost"),
            repaired: counter!(REPAIRED),
            unreadable: counter!(UNREADABLE),
            nodes: gauge!(NODES),
            namesakes: gauge!(NAMESAKES),
        }
    }

    /// A probe came back after this time.
    pub fn lag(&self, lag: Duration) {
        self.lag.record(lag.as_secs_f64());
    }

    /// Whether the node hears the others, and can publish to them.
    pub fn state(&self, is_hearing: bool, is_publishing: bool) {
        self.hearing.set(f64::from(u8::from(is_hearing)));
        self.publishing.set(f64::from(u8::from(is_publishing)));
    }

    /// What the links count.
    pub fn links(&self, numbers: &LinkNumbers) {
        self.published.absolute(numbers.published);
        self.received.absolute(numbers.received);
        self.refused.absolute(numbers.refused);
        self.expired.absolute(numbers.expired);
        self.failed.absolute(numbers.failed);
        self.crowded.absolute(numbers.crowded);
        self.losses.absolute(numbers.losses);
        self.subscriptions.set(numbers.channels as f64);
        self.queue.set(numbers.queued_messages as f64);
        self.queue_bytes.set(numbers.queued_bytes as f64);
    }

    /// Another node was asked for what may be missing.
    pub fn asked(&self) {
        self.asked.increment(1);
    }

    /// Something is lost for good.
    pub fn lost(&self) {
        self.lost.increment(1);
    }

    /// Another node was given so many envelopes that it missed.
    pub fn repaired(&self, count: usize) {
        self.repaired.increment(count as u64);
    }

    /// So many other nodes are there.
    pub fn nodes(&self, alive: usize) {
        self.nodes.set(alive as f64);
    }

    /// So many others run under this node's id.
    pub fn namesakes(&self, count: usize) {
        self.namesakes.set(count as f64);
    }

    /// An envelope could not be read.
    pub fn unreadable(&self) {
        self.unreadable.increment(1);
    }
}

fn describe() {
    describe_histogram!(LAG, "Time that a message of this node to itself takes through Redis, in seconds.");
    describe_gauge!(STATE, "1 while the node hears the others, or can publish to them, by direction.");
    describe_gauge!(SUBSCRIPTIONS, "Channels that the node hears.");
    describe_gauge!(QUEUE, "Messages that wait for Redis to take them.");
    describe_gauge!(QUEUE_BYTES, "Bytes of the messages that wait for Redis to take them.");
    describe_counter!(PUBLISHED, "Messages that Redis has taken.");
    describe_counter!(RECEIVED, "Messages that came from Redis.");
    describe_counter!(DROPPED, "Messages that Redis has not taken, by reason.");
    describe_counter!(CROWDED, "Times that so much waited for Redis that clients who publish had to wait.");
    describe_counter!(LOSSES, "Connections to Redis that were lost.");
    describe_counter!(
        GAPS,
        "Times that messages of another node were missing: asked for again, or lost for good, by outcome."
    );
    describe_counter!(REPAIRED, "Messages that this node has sent again to another one that missed them.");
    describe_gauge!(NODES, "Other nodes that have said of late that they are there.");
    describe_gauge!(NAMESAKES, "Other processes that run under this node's id, which must not be.");
    describe_counter!(UNREADABLE, "Messages of other nodes that this node cannot read.");
}
