//! What was measured: figures of every run, their medians beside the limits', and what was wrong.
//!
//! Only `scenario` fills it. A figure is never shown without what it was measured beside in the same run.

mod latency;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::arguments::LimitKind;
use crate::client::{Calls, Tally};

use self::latency::Percentiles;

/// A publish that leaves later than this after it was due makes the fixed rate untrue.
const LATEST_SEND: Duration = Duration::from_secs(1);

/// The goal for members on other nodes: this many times the 99th percentile of members on the publisher's own node ...
const ELSEWHERE_TIMES: f64 = 3.0;
/// ... and so many milliseconds more.
const ELSEWHERE_MILLIS: f64 = 1.0;

/// Who was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The broker.
    Server,
    /// The machine's limit.
    Limit(LimitKind),
    /// The limit of echoes.
    Proxy,
    /// An installation of so many brokers, 1 to 8.
    Nodes(u8),
    /// A hub of several brokers that is not durable.
    Ordinary,
    /// One that is.
    Durable,
}

/// Names of installations in tables and files, by their number of brokers.
const NODES: [&str; 8] =
    ["1 node", "2 nodes", "3 nodes", "4 nodes", "5 nodes", "6 nodes", "7 nodes", "8 nodes"];

impl Subject {
    /// All, in the order of the table's columns.
    fn all() -> impl Iterator<Item = Self> {
        let alone =
            [Self::Server, Self::Limit(LimitKind::Single), Self::Limit(LimitKind::Coalescing), Self::Proxy];
        let nodes = (1..=NODES.len() as u8).map(Self::Nodes);
        alone.into_iter().chain(nodes).chain([Self::Ordinary, Self::Durable])
    }

    /// Name in tables and files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Limit(LimitKind::Single) => "limit-single",
            Self::Limit(LimitKind::Coalescing) => "limit-coalescing",
            Self::Proxy => "limit-proxy",
            Self::Ordinary => "not durable",
            Self::Durable => "durable",
            Self::Nodes(count) => NODES[count.saturating_sub(1) as usize % NODES.len()],
        }
    }
}

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// Resident bytes for each idle connection.
    BytesPerConnection,
    /// Server's microseconds of processor time for each connect.
    MicrosPerConnect,
    ConnectsPerSecond,
    /// Resident bytes of the server as it started.
    MemoryCold,
    /// Resident bytes after the first few connections came and left.
    MemoryBefore,
    /// Resident bytes with all connections.
    MemoryWith,
    /// Resident bytes after all have left.
    MemoryAfter,
    /// After in relation to before.
    MemoryKept,
    /// Cores that 100,000 idle connections would use.
    IdleCoresPer100k,
    DeliveriesPerCpuSecond,
    EchoesPerCpuSecond,
    /// Milliseconds from when a message was due, or in a closed loop from when it left.
    LatencyP50,
    LatencyP90,
    LatencyP99,
    LatencyMax,
    /// Milliseconds until the same messages reached members on nodes other than their publisher's; the figures above
    /// are those of members on its own node then.
    OtherLatencyP50,
    OtherLatencyP99,
    OtherLatencyMax,
    /// The 99th percentile on other nodes in relation to that on the publisher's own.
    OtherP99ToOwn,
    /// 1 when the 99th percentile on other nodes is within the goal, 0 when it is not.
    OtherWithinGoal,
    /// The 99th percentile in relation to that of the round's first phase.
    LatencyP99ToFirst,
    /// The median in relation to that of the round's first phase.
    LatencyP50ToFirst,
    /// Milliseconds by which the latest publish left late.
    LatestSend,
    DeliveriesPerSecond,
    EchoesPerSecond,
    /// Seconds of processor time that the server used.
    ServerCpuSeconds,
    /// Cores that the server used.
    ServerCores,
    /// Cores that the event handler used.
    HandlerCores,
    /// Cores that this program used.
    GeneratorCores,
    /// Cores that Redis used.
    RedisCores,
    Publishes,
    PublishesPerSecond,
    /// Messages for each second of processor time of all brokers together.
    PublishesPerCpuSecond,
    /// Messages of clients that were acknowledged.
    AcknowledgedPerSecond,
    /// Such messages for each second of processor time of all brokers together.
    AcknowledgedPerCpuSecond,
    /// Bytes by which what Redis keeps has grown, for each message.
    RedisBytesPerMessage,
    /// Messages that Redis has taken from all brokers; what brokers tell each other of themselves is among them.
    RedisPublishes,
    /// Such messages for each second of its processor time.
    PublishesPerRedisCpuSecond,
    Deliveries,
    DeliveryRatio,
    /// Acknowledgements that reliable members sent.
    Acknowledgements,
    /// The server's processor time for a reliable delivery in relation to that for a plain one of the same round.
    CostToPlain,
    /// User events that clients raised.
    Events,
    Echoes,
    /// User events that the server said have failed.
    FailedEvents,
    /// Resident bytes of the server at the end of the phase, under its load still.
    Memory,
    /// The same in relation to the end of the round's first phase.
    MemoryToFirst,
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    title: String,
    machine: Machine,
    /// Median over the runs: by phase, figure and subject.
    medians: Vec<PhaseMedians>,
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Machine {
    cores: usize,
    kernel: String,
}

/// Medians of one phase.
#[derive(Debug, Serialize)]
struct PhaseMedians {
    phase: &'static str,
    figures: Vec<FigureMedians>,
}

/// Medians of one figure.
#[derive(Debug, Serialize)]
struct FigureMedians {
    figure: Figure,
    by_subject: BTreeMap<&'static str, f64>,
    /// Of the server's figure to each limit's, each taken within one run.
    ratio_to: BTreeMap<&'static str, f64>,
}

/// One run: every subject once.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) subjects: Vec<SubjectReport>,
}

/// What one subject did in one run.
#[derive(Debug, Serialize)]
pub(crate) struct SubjectReport {
    pub(crate) subject: &'static str,
    pub(crate) phases: Vec<PhaseReport>,
}

/// What one subject did in one phase.
#[derive(Debug, Serialize)]
pub(crate) struct PhaseReport {
    phase: &'static str,
    figures: BTreeMap<Figure, f64>,
    faults: Vec<String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("cannot write {file}: {error}")]
    Write { file: PathBuf, error: std::io::Error },
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl PhaseReport {
    pub(crate) fn new(phase: &'static str) -> Self {
        Self { phase, figures: BTreeMap::new(), faults: Vec::new() }
    }

    /// Adds a figure. One that is no number, for want of processor time to divide by, is left out.
    pub(crate) fn add(&mut self, figure: Figure, value: f64) {
        if value.is_finite() {
            self.figures.insert(figure, value);
        }
    }

    /// A figure that was added before.
    pub(crate) fn figure(&self, figure: Figure) -> Option<f64> {
        self.figures.get(&figure).copied()
    }

    /// Adds percentiles of latencies in microseconds, which are reordered; nothing of none.
    pub(crate) fn add_latencies(&mut self, latencies: &mut [u32]) {
        if let Some(latency) = Percentiles::of(latencies) {
            self.add(Figure::LatencyP50, latency.p50);
            self.add(Figure::LatencyP90, latency.p90);
            self.add(Figure::LatencyP99, latency.p99);
            self.add(Figure::LatencyMax, latency.max);
        }
    }

    /// Adds percentiles of the same messages' latencies on nodes other than their publisher's, beside those of its own
    /// node, which were added before. Nothing of none.
    pub(crate) fn add_latencies_elsewhere(&mut self, latencies: &mut [u32]) {
        let (Some(other), Some(own_p99)) = (Percentiles::of(latencies), self.figure(Figure::LatencyP99))
        else {
            return;
        };
        self.add(Figure::OtherLatencyP50, other.p50);
        self.add(Figure::OtherLatencyP99, other.p99);
        self.add(Figure::OtherLatencyMax, other.max);
        self.add(Figure::OtherP99ToOwn, other.p99 / own_p99);
        let is_within = other.p99 <= ELSEWHERE_TIMES * own_p99 + ELSEWHERE_MILLIS;
        self.add(Figure::OtherWithinGoal, f64::from(u8::from(is_within)));
    }

    /// What was wrong with another phase is wrong with this one too.
    pub(crate) fn add_faults(&mut self, other: Self) {
        self.faults.extend(other.faults);
    }

    /// Every member must have received every message, in order, and be there still.
    pub(crate) fn check_deliveries(&mut self, expected: u64, tally: &Tally) {
        if tally.deliveries != expected {
            self.faults.push(format!("{} deliveries instead of {expected}", tally.deliveries));
        }
        if tally.disordered > 0 {
            self.faults.push(format!("{} deliveries did not follow the one before", tally.disordered));
        }
        if tally.out_of_sequence > 0 {
            let count = tally.out_of_sequence;
            self.faults.push(format!("{count} sequence ids did not follow the one before"));
        }
        self.check_connections(tally);
    }

    /// Nobody must have received anything, and all must be there still.
    pub(crate) fn check_silence(&mut self, tally: &Tally) {
        if tally.deliveries > 0 {
            self.faults.push(format!("{} messages that nobody published", tally.deliveries));
        }
        self.check_connections(tally);
    }

    /// Every event must have come back, in order, before its ack, and all callers must be there still.
    pub(crate) fn check_echoes(&mut self, calls: &Calls) {
        if calls.sent == 0 {
            self.faults.push("no event was raised".to_owned());
        }
        if calls.replies != calls.sent {
            self.faults.push(format!("{} echoes of {} events", calls.replies, calls.sent));
        }
        if calls.done != calls.sent {
            self.faults.push(format!("{} of {} events came to their end", calls.done, calls.sent));
        }
        if calls.refused > 0 {
            self.faults.push(format!("{} events failed", calls.refused));
        }
        self.check_callers(calls);
    }

    /// Everything must have been acknowledged, in order, and all callers must be there still.
    pub(crate) fn check_acknowledged(&mut self, calls: &Calls) {
        if calls.sent == 0 {
            self.faults.push("nothing was published".to_owned());
        }
        let acknowledged = calls.done.saturating_sub(calls.refused);
        if acknowledged != calls.sent {
            self.faults.push(format!("{acknowledged} of {} messages were acknowledged", calls.sent));
        }
        self.check_callers(calls);
    }

    /// No event may have succeeded, since no handler answered, and all callers must be there still.
    pub(crate) fn check_unanswered(&mut self, calls: &Calls) {
        let succeeded = calls.done.saturating_sub(calls.refused);
        if succeeded > 0 || calls.replies > 0 {
            let replies = calls.replies;
            self.faults.push(format!("{succeeded} acks and {replies} replies that no handler gave"));
        }
        self.check_callers(calls);
    }

    fn check_callers(&mut self, calls: &Calls) {
        if calls.disordered > 0 {
            self.faults.push(format!("{} replies or acks out of order", calls.disordered));
        }
        if calls.foreign > 0 {
            self.faults.push(format!("{} frames to callers that are none of ours", calls.foreign));
        }
        if calls.lost > 0 {
            let reason = calls.first_loss.as_deref().unwrap_or("for an unknown reason");
            self.faults.push(format!("{} callers' connections ended, the first: {reason}", calls.lost));
        }
    }

    fn check_connections(&mut self, tally: &Tally) {
        if tally.foreign > 0 {
            self.faults.push(format!("{} frames that are none of ours", tally.foreign));
        }
        if tally.lost > 0 {
            let reason = tally.first_loss.as_deref().unwrap_or("for an unknown reason");
            self.faults.push(format!("{} connections ended, the first: {reason}", tally.lost));
        }
    }

    /// The generator must have kept its own rate.
    pub(crate) fn check_arrival(&mut self, latest: Duration) {
        if latest > LATEST_SEND {
            let late = latest.as_secs_f64();
            self.faults.push(format!("a message left {late:.1} s late: the generator did not keep the rate"));
        }
    }
}

impl Report {
    pub(crate) fn new(title: String, runs: Vec<Run>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let machine = Machine { cores, kernel: kernel.trim().to_owned() };
        Self { title, machine, medians: medians(&runs), runs }
    }

    /// Who took part, in the order of the table's columns.
    fn subjects(&self) -> Vec<Subject> {
        let took_part = |subject: &Subject| {
            let mut reports = self.runs.iter().flat_map(|run| &run.subjects);
            reports.any(|report| report.subject == subject.name())
        };
        Subject::all().filter(took_part).collect()
    }

    /// Whether no subject had a fault in any run.
    pub(crate) fn is_good(&self) -> bool {
        self.faults().next().is_none()
    }

    /// All that was wrong.
    fn faults(&self) -> impl Iterator<Item = String> {
        let subjects = self.runs.iter().flat_map(|run| &run.subjects);
        subjects.flat_map(|SubjectReport { subject, phases }| {
            let faults =
                phases.iter().flat_map(|phase| phase.faults.iter().map(|fault| (phase.phase, fault)));
            faults.map(move |(phase, fault)| format!("{subject}, {phase}: {fault}"))
        })
    }

    /// Writes all of it, every run included.
    ///
    /// # Errors
    /// [`ReportError::Write`] when the file cannot be written.
    pub(crate) fn write_json(&self, file: &Path) -> Result<(), ReportError> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(file, text).map_err(|error| ReportError::Write { file: file.to_owned(), error })
    }
}

/// Medians in the order of the first run's phases.
fn medians(runs: &[Run]) -> Vec<PhaseMedians> {
    let Some(first) = runs.first().and_then(|run| run.subjects.first()) else {
        return Vec::new();
    };
    let phases = first.phases.iter().map(|phase| phase.phase);
    phases.map(|phase| PhaseMedians { phase, figures: figure_medians(runs, phase) }).collect()
}

fn figure_medians(runs: &[Run], phase: &str) -> Vec<FigureMedians> {
    let mut values: BTreeMap<Figure, BTreeMap<&'static str, Vec<f64>>> = BTreeMap::new();
    let mut ratios: BTreeMap<Figure, BTreeMap<&'static str, Vec<f64>>> = BTreeMap::new();
    for run in runs {
        let of_phase = |subject: &SubjectReport| {
            let found = subject.phases.iter().find(|candidate| candidate.phase == phase);
            (subject.subject, found.map(|found| found.figures.clone()).unwrap_or_default())
        };
        let subjects: BTreeMap<_, _> = run.subjects.iter().map(of_phase).collect();
        let server = subjects.get(Subject::Server.name());
        for (subject, figures) in &subjects {
            for (figure, value) in figures {
                values.entry(*figure).or_default().entry(subject).or_default().push(*value);
                let ours = server.and_then(|figures| figures.get(figure));
                if let Some(ours) = ours.filter(|_| *subject != Subject::Server.name() && *value > 0.0) {
                    ratios.entry(*figure).or_default().entry(subject).or_default().push(ours / value);
                }
            }
        }
    }
    let of_all = |map: BTreeMap<&'static str, Vec<f64>>| {
        map.into_iter().map(|(subject, mut values)| (subject, median(&mut values))).collect()
    };
    let medians = values.into_iter().map(|(figure, by_subject)| FigureMedians {
        figure,
        by_subject: of_all(by_subject),
        ratio_to: of_all(ratios.remove(&figure).unwrap_or_default()),
    });
    medians.collect()
}

/// The middle one, or the mean of the two in the middle. `values` must not be empty.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests;
