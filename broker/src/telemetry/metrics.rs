//! Every metric of a node: its name, its help text and its labels, all from closed sets.
//!
//! Handles are resolved when their owner is made and kept by it, so that counting is an addition. A node has its own
//! registry, not the process's, so that two nodes in one process do not count for each other. Nothing is decided here;
//! `edge::operations` shows what was counted.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Label, counter, describe_counter, describe_gauge, describe_histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub use self::backplane::{BackplaneMetrics, LinkNumbers};
pub use self::handlers::{Counted, HandlerCalls, Held};
pub use self::labels::{
    AUTH_FAILURES, CALL_FAILURES, CLOSE_CATEGORIES, ConnectOutcome, Initiator, Protocol, Reload,
};

mod backplane;
mod handlers;
mod labels;

const CONNECTIONS: &str = "hubbub_connections";
const CONNECT: &str = "hubbub_connect_total";
const CLOSE: &str = "hubbub_close_total";
const MESSAGES_RECEIVED: &str = "hubbub_messages_received_total";
const DELIVERIES: &str = "hubbub_deliveries_total";
const MISSED: &str = "hubbub_missed_total";
const INBOUND_BYTES: &str = "hubbub_inbound_bytes_total";
const OUTBOUND_BYTES: &str = "hubbub_outbound_bytes_total";
const REST_REQUESTS: &str = "hubbub_rest_requests_total";
const REST_SECONDS: &str = "hubbub_rest_request_seconds";
const AUTH_FAILURE: &str = "hubbub_auth_failures_total";
const SETTINGS_RELOADS: &str = "hubbub_settings_reloads_total";
const SETTINGS_GOOD: &str = "hubbub_settings_last_reload_success";

/// Label value for whatever is not in a closed set, hubs without settings above all.
const OTHER: &str = "other";
/// Upper bounds of the histogram of REST calls, in seconds.
const REST_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The registry of one node. Shared by its rooms, each of which takes its handles from here once.
pub struct Metrics {
    recorder: PrometheusRecorder,
    exposition: PrometheusHandle,
    hubs: HashMap<String, HubMetrics>,
    other_hubs: HubMetrics,
    handler_calls: HashMap<String, HandlerCalls>,
    other_handler_calls: HandlerCalls,
    connects: Family<ConnectOutcome>,
    closes: Family<(&'static str, Initiator)>,
    auth_failures: Family<&'static str>,
    settings_reloads: Family<Reload>,
    settings_good: Gauge,
}

/// Connections of one hub, by protocol.
#[derive(Clone)]
pub struct HubMetrics {
    connections: [Gauge; Protocol::COUNT],
}

/// Hot counts of one worker. They are plain numbers until [`WorkerMetrics::flush`], so it stays on its thread.
pub struct WorkerMetrics {
    messages_received: [Tally; Protocol::COUNT],
    deliveries: [Tally; Protocol::COUNT],
    /// Messages that the worker was too far behind to take.
    pub missed: Tally,
    /// Bytes read from client sockets.
    pub inbound_bytes: Tally,
    /// Bytes written to client sockets.
    pub outbound_bytes: Tally,
}

/// Count that one thread adds to for nothing and hands over now and then.
pub struct Tally {
    pending: Cell<u64>,
    counter: Counter,
}

/// Calls of one REST operation.
#[derive(Clone)]
pub struct RestOperation {
    requests: [Counter; 5],
    seconds: Histogram,
}

impl Metrics {
    /// An empty registry. `hubs` are the hubs that get a label of their own, those that settings name at the start;
    /// all others share one. A hub that settings name later shares it too: a connection that was counted under one label
    /// must be taken off the same.
    pub fn new<'a>(hubs: impl IntoIterator<Item = &'a str>) -> Self {
        // Only an empty list of buckets is refused, and this one is not.
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(REST_SECONDS.to_owned()), &REST_BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = recorder
            .set_buckets_for_metric(Matcher::Full(handlers::SECONDS.to_owned()), &handlers::BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = recorder
            .set_buckets_for_metric(Matcher::Full(backplane::LAG.to_owned()), &backplane::BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new())
            .build_recorder();
        let families = metrics::with_local_recorder(&recorder, || {
            describe();
            (connect_family(), close_family(), auth_family(), reload_family())
        });
        let hub_metrics = |hub: &str| metrics::with_local_recorder(&recorder, || HubMetrics::labelled(hub));
        let calls = |hub: &str| metrics::with_local_recorder(&recorder, || HandlerCalls::labelled(hub));
        let hubs: Vec<&str> = hubs.into_iter().collect();
        let handler_calls = hubs.iter().map(|hub| ((*hub).to_owned(), calls(hub))).collect();
        let other_handler_calls = calls(OTHER);
        let hubs = hubs.into_iter().map(|hub| (hub.to_owned(), hub_metrics(hub))).collect();
        let other_hubs = hub_metrics(OTHER);
        // A node does not start with bad settings.
        let settings_good = metrics::with_local_recorder(&recorder, || metrics::gauge!(SETTINGS_GOOD));
        settings_good.set(1.0);
        Self {
            exposition: recorder.handle(),
            recorder,
            hubs,
            other_hubs,
            handler_calls,
            other_handler_calls,
            connects: families.0,
            closes: families.1,
            auth_failures: families.2,
            settings_reloads: families.3,
            settings_good,
        }
    }

    /// Handles for the links to other nodes, which a node has once.
    pub fn backplane(&self) -> BackplaneMetrics {
        metrics::with_local_recorder(&self.recorder, BackplaneMetrics::new)
    }

    /// Everything counted so far, in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.exposition.render()
    }

    /// Folds what histograms have gathered into their buckets. Called every few seconds, or they grow.
    pub fn upkeep(&self) {
        self.exposition.run_upkeep();
    }

    /// Handles for the connections of `hub`.
    pub fn hub(&self, hub: &str) -> &HubMetrics {
        self.hubs.get(hub).unwrap_or(&self.other_hubs)
    }

    /// Handles for the calls to event handlers of `hub`.
    pub fn handler_calls(&self, hub: &str) -> &HandlerCalls {
        self.handler_calls.get(hub).unwrap_or(&self.other_handler_calls)
    }

    /// Handles for the hot counts of one worker.
    pub fn worker(&self) -> WorkerMetrics {
        metrics::with_local_recorder(&self.recorder, || WorkerMetrics {
            messages_received: Protocol::ALL
                .map(|p| Tally::new(counter!(MESSAGES_RECEIVED, "protocol" => p.name()))),
            deliveries: Protocol::ALL.map(|p| Tally::new(counter!(DELIVERIES, "protocol" => p.name()))),
            missed: Tally::new(counter!(MISSED)),
            inbound_bytes: Tally::new(counter!(INBOUND_BYTES)),
            outbound_bytes: Tally::new(counter!(OUTBOUND_BYTES)),
        })
    }

    /// Handles for the REST operation that the service calls `operation`.
    pub fn rest_operation(&self, operation: &'static str) -> RestOperation {
        metrics::with_local_recorder(&self.recorder, || RestOperation {
            requests: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .map(|class| counter!(REST_REQUESTS, "operation" => operation, "status" => class)),
            seconds: metrics::histogram!(REST_SECONDS, "operation" => operation),
        })
    }

    /// A client asked to connect, and this came of it.
    pub fn connect(&self, outcome: ConnectOutcome) {
        self.connects.count(&outcome);
    }

    /// A connection ended. `category` is one of [`CLOSE_CATEGORIES`].
    pub fn close(&self, category: &'static str, initiator: Initiator) {
        if !self.closes.count(&(category, initiator)) {
            self.closes.count(&(OTHER, initiator));
        }
    }

    /// A token was refused. `reason` is one of [`AUTH_FAILURES`].
    pub fn auth_failure(&self, reason: &'static str) {
        if !self.auth_failures.count(&reason) {
            self.auth_failures.count(&OTHER);
        }
    }

    /// The settings were read again, and this came of it.
    pub fn settings_reload(&self, outcome: Reload) {
        self.settings_reloads.count(&outcome);
        self.settings_good.set(if outcome == Reload::Applied { 1.0 } else { 0.0 });
    }
}

impl HubMetrics {
    fn labelled(hub: &str) -> Self {
        let gauge = |protocol: Protocol| metrics::gauge!(CONNECTIONS, "hub" => hub.to_owned(), "protocol" => protocol.name());
        Self { connections: Protocol::ALL.map(gauge) }
    }

    /// A connection was opened.
    pub fn opened(&self, protocol: Protocol) {
        self.connections[protocol.index()].increment(1.0);
    }

    /// A connection has ended.
    pub fn closed(&self, protocol: Protocol) {
        self.connections[protocol.index()].decrement(1.0);
    }
}

impl WorkerMetrics {
    /// Messages that clients of this protocol sent.
    pub fn messages_received(&self, protocol: Protocol) -> &Tally {
        &self.messages_received[protocol.index()]
    }

    /// Messages queued for clients of this protocol, one for each receiver.
    pub fn deliveries(&self, protocol: Protocol) -> &Tally {
        &self.deliveries[protocol.index()]
    }

    /// Hands over what was counted since the last time. Called about once a second, and at the end.
    pub fn flush(&self) {
        let by_protocol = self.messages_received.iter().chain(&self.deliveries);
        by_protocol.chain([&self.missed, &self.inbound_bytes, &self.outbound_bytes]).for_each(Tally::flush);
    }
}

impl Tally {
    fn new(counter: Counter) -> Self {
        Self { pending: Cell::new(0), counter }
    }

    /// Counts `amount` more.
    pub fn add(&self, amount: u64) {
        self.pending.set(self.pending.get().wrapping_add(amount));
    }

    fn flush(&self) {
        match self.pending.take() {
            0 => {}
            amount => self.counter.increment(amount),
        }
    }
}

impl RestOperation {
    /// A call was answered with `status` after `took`.
    pub fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, self.requests.len()) - 1;
        self.requests[class].increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

/// Counters of one name, one for each member of a closed set.
struct Family<K>(Box<[(K, Counter)]>);

impl<K: PartialEq> Family<K> {
    fn new(name: &'static str, members: impl IntoIterator<Item = (K, Vec<Label>)>) -> Self {
        Self(members.into_iter().map(|(member, labels)| (member, counter!(name, labels))).collect())
    }

    /// Says whether `member` is in the set.
    fn count(&self, member: &K) -> bool {
        match self.0.iter().find(|(known, _)| known == member) {
            Some((_, counter)) => {
                counter.increment(1);
                true
            }
            None => false,
        }
    }
}

fn connect_family() -> Family<ConnectOutcome> {
    let label = |outcome: ConnectOutcome| {
        let labels = [("result", outcome.result()), ("reason", outcome.reason())];
        (outcome, labels.iter().map(Label::from).collect())
    };
    Family::new(CONNECT, ConnectOutcome::ALL.map(label))
}

fn close_family() -> Family<(&'static str, Initiator)> {
    let categories = CLOSE_CATEGORIES.into_iter().chain([OTHER]);
    let pairs = categories.flat_map(|category| Initiator::ALL.map(|initiator| (category, initiator)));
    let label = |(category, initiator): (&'static str, Initiator)| {
        let labels = [("category", category), ("initiator", initiator.name())];
        ((category, initiator), labels.iter().map(Label::from).collect())
    };
    Family::new(CLOSE, pairs.map(label))
}

fn auth_family() -> Family<&'static str> {
    let reasons = AUTH_FAILURES.into_iter().chain([OTHER]);
    Family::new(AUTH_FAILURE, reasons.map(|reason| (reason, vec![Label::from(&("reason", reason))])))
}

fn reload_family() -> Family<Reload> {
    let label = |outcome: Reload| (outcome, vec![Label::from(&("outcome", outcome.outcome()))]);
    Family::new(SETTINGS_RELOADS, Reload::ALL.map(label))
}

fn describe() {
    describe_gauge!(
        CONNECTIONS,
        "Open connections, by hub (those that settings named at start) and protocol."
    );
    describe_counter!(CONNECT, "Clients that asked to connect, by result and reason.");
    describe_counter!(CLOSE, "Connections that ended, by category of the service and by who ended them.");
    describe_counter!(MESSAGES_RECEIVED, "Messages that clients sent.");
    describe_counter!(DELIVERIES, "Messages queued for clients, one for each receiver.");
    describe_counter!(
        MISSED,
        "Messages that were lost because a worker was too far behind to take what others send."
    );
    describe_counter!(INBOUND_BYTES, "Bytes read from client sockets.");
    describe_counter!(OUTBOUND_BYTES, "Bytes written to client sockets.");
    describe_counter!(REST_REQUESTS, "REST calls answered, by operation and class of status.");
    describe_histogram!(REST_SECONDS, "Time from the head of a REST call to its answer, in seconds.");
    describe_counter!(AUTH_FAILURE, "Tokens refused, by reason.");
    describe_counter!(SETTINGS_RELOADS, "Times that changed settings were read, by outcome.");
    describe_gauge!(
        SETTINGS_GOOD,
        "1 if the settings that were read last are in force, 0 if they were refused."
    );
    handlers::describe();
}

#[cfg(test)]
mod tests;
