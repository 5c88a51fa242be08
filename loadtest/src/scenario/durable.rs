//! What it costs that a hub is durable: the same traffic to a hub that is not and to one that is, each over several nodes
//! and a Redis of its own.
//!
//! First reliable clients of the first node publish with acks, each when its last message has been acknowledged, to a
//! group that nobody is in. Then one client publishes without acks to a group with as many reliable members on every
//! node, at a fixed rate and as fast as a window allows.

use std::time::{Duration, Instant};

use codec::subprotocol::Subprotocol;

use super::publish::Shape;
use super::{Fault, ScenarioError, nodes};
use crate::arguments::{
    DurableArguments, GroupTraffic, PhaseKind, Protocol, PublishArguments, ReportArguments,
};
use crate::client::{CallPlan, Callers, Load, Members};
use crate::hubs::HubsFile;
use crate::process::{Process, ProcessError};
use crate::report::{Figure, PhaseReport, Report, Run, Subject, SubjectReport};
use crate::server::{Cluster, Programs};

use self::nodes::RedisUse;

const HUB: &str = "loadtest";
/// Messages on their way at most, unless asked otherwise: as for `reliable`.
const WINDOW: u32 = 128;
/// Time of each phase before the first one that counts, so that no node is cold.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures both hubs as often as asked, and in the other order each time.
pub(super) fn run(arguments: &DurableArguments) -> Result<Report, ScenarioError> {
    let DurableArguments { members, traffic, publishers, nodes: count, .. } = arguments;
    let GroupTraffic { rate, ref publish, report: ReportArguments { runs: rounds, .. } } = *traffic;
    let publish = PublishArguments { window: Some(publish.window.unwrap_or(WINDOW)), ..publish.clone() };
    let members = members * u32::from(*count);
    let shape = Shape { name: "durable", groups: 1, members, rate, publish: &publish };
    let title = format!("{}; {publishers} publishers with acks; {count} nodes", shape.title());
    let mut runs = Vec::new();
    for run in 1..=rounds {
        let mut order = [Subject::Ordinary, Subject::Durable];
        if run % 2 == 0 {
            order.reverse();
        }
        let mut subjects = Vec::new();
        for subject in order {
            eprintln!("{title}: run {run} of {rounds}, {}", subject.name());
            let file = (subject == Subject::Durable).then(|| HubsFile::durable(HUB)).transpose();
            let file = file.map_err(ScenarioError::Hubs)?;
            let hubs = file.as_ref().map(HubsFile::path);
            let programs = Programs { arguments: &arguments.cluster, hubs };
            let cluster = Cluster::start(&programs, *count, HUB)?;
            let phases = measure(&cluster, &shape, *publishers);
            let subject = subject.name();
            let phases = phases.map_err(|fault| ScenarioError::Fault { subject, fault })?;
            subjects.push(SubjectReport { subject, phases });
        }
        runs.push(Run { subjects });
    }
    Ok(Report::new(title, runs))
}

/// All phases of one cluster, after short ones whose faults count as well.
fn measure(cluster: &Cluster, shape: &Shape<'_>, publishers: u32) -> Result<Vec<PhaseReport>, Fault> {
    let mut reports = vec![acknowledged(cluster, shape, publishers)?];
    let members = nodes::connect(cluster, shape, Subprotocol::JsonReliable)?;
    let short = PublishArguments { seconds: WARM_UP.as_secs() as u32, ..shape.publish.clone() };
    for &kind in &shape.publish.phases {
        let warm_up = published(kind, cluster, (&members, &Shape { publish: &short, ..*shape }))?;
        let mut report = published(kind, cluster, (&members, shape))?;
        report.add_faults(warm_up);
        reports.push(report);
    }
    Ok(reports)
}

/// Each publisher has one message on its way.
fn acknowledged(cluster: &Cluster, shape: &Shape<'_>, publishers: u32) -> Result<PhaseReport, Fault> {
    let access = cluster.brokers[0].access.clone();
    let (clients, protocol, payload) = (publishers, Protocol::Publish, shape.publish.payload);
    let mut callers = Callers::connect(&CallPlan { access, clients, protocol, payload })?;
    let warm_up = callers.run(Load::Closed, WARM_UP)?;
    let own = Process::current();
    let (kept, redis) = (cluster.redis.bytes_kept()?, RedisUse::now(&cluster.redis)?);
    let (started, cpu, own_cpu) = (Instant::now(), cpu_time(cluster)?, own.cpu_time()?);
    let mut calls = callers.run(Load::Closed, Duration::from_secs(shape.publish.seconds.into()))?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = cpu_time(cluster)?.saturating_sub(cpu).as_secs_f64();
    let own_cpu = own.cpu_time()?.saturating_sub(own_cpu).as_secs_f64();
    let redis = RedisUse::now(&cluster.redis)?.since(&redis);
    let acknowledged = calls.done.saturating_sub(calls.refused) as f64;
    let mut report = PhaseReport::new("acked, closed loop");
    report.add(Figure::AcknowledgedPerSecond, acknowledged / seconds);
    report.add(Figure::AcknowledgedPerCpuSecond, acknowledged / cpu);
    report.add_latencies(&mut calls.latencies);
    report.add(Figure::ServerCores, cpu / seconds);
    report.add(Figure::RedisCores, redis.cpu.as_secs_f64() / seconds);
    report.add(Figure::GeneratorCores, own_cpu / seconds);
    report.add(Figure::Publishes, calls.sent as f64);
    report.add(Figure::RedisBytesPerMessage, growth(cluster, kept)? / calls.sent as f64);
    report.check_acknowledged(&warm_up);
    report.check_acknowledged(&calls);
    Ok(report)
}

/// One publisher without acks, and the members of its group.
fn published(
    kind: PhaseKind,
    cluster: &Cluster,
    (members, shape): (&[Members], &Shape<'_>),
) -> Result<PhaseReport, Fault> {
    let kept = cluster.redis.bytes_kept()?;
    let mut report = nodes::phase(kind, cluster, members, shape)?;
    if let Some(publishes) = report.figure(Figure::Publishes) {
        report.add(Figure::RedisBytesPerMessage, growth(cluster, kept)? / publishes);
    }
    Ok(report)
}

/// By how many bytes what Redis keeps has grown.
fn growth(cluster: &Cluster, before: u64) -> Result<f64, Fault> {
    Ok(cluster.redis.bytes_kept()? as f64 - before as f64)
}

fn cpu_time(cluster: &Cluster) -> Result<Duration, ProcessError> {
    cluster.brokers.iter().map(|broker| broker.process.cpu_time()).sum()
}
