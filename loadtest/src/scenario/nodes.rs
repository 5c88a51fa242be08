//! What it costs that members are on other nodes: how much later the same message reaches them, and what each message
//! takes of Redis and of the brokers.
//!
//! One publisher on the first node, one group with as many members on every node. So each message crosses Redis once
//! and is taken in by every other node, and what one more node costs is the difference between two columns. Each number
//! of nodes has brokers and a Redis of its own, started for a run and stopped after it.

use std::time::Duration;

use codec::subprotocol::Subprotocol;

use super::publish::{self, Outcome, Parties, Shape};
use super::{Fault, ScenarioError};
use crate::arguments::{GroupTraffic, NodesArguments, PhaseKind, PublishArguments, ReportArguments};
use crate::client::{Check, ClientError, Members, Plan, Tally};
use crate::report::{Figure, PhaseReport, Report, Run, Subject, SubjectReport};
use crate::server::{Cluster, Programs, Redis};

const HUB: &str = "loadtest";
/// Messages on their way at most, unless asked otherwise: the same for every number of nodes.
const WINDOW: u32 = 256;
/// Seconds of each phase before the first one that counts, so that no node is cold.
const WARM_UP: u32 = 1;

/// Measures each number of nodes as often as asked.
pub(super) fn run(arguments: &NodesArguments) -> Result<Report, ScenarioError> {
    let NodesArguments { members, traffic, .. } = arguments;
    let GroupTraffic { rate, ref publish, report: ReportArguments { runs: rounds, .. } } = *traffic;
    let window = Some(publish.window.unwrap_or(WINDOW));
    let publish = PublishArguments { window, ..publish.clone() };
    let programs = Programs { arguments: &arguments.cluster, hubs: None };
    let share = Shape { name: "nodes", groups: 1, members: *members, rate, publish: &publish };
    let workers = arguments.cluster.workers;
    let title = format!("{}; so many members on each node, of {workers} worker(s)", share.title());
    let mut runs = Vec::new();
    for run in 1..=rounds {
        let mut subjects = Vec::new();
        for &count in &arguments.nodes {
            let subject = Subject::Nodes(count).name();
            eprintln!("{title}: run {run} of {rounds}, {subject}");
            let cluster = Cluster::start(&programs, count, HUB)?;
            let shape = Shape { members: members * u32::from(count), ..share };
            let phases = measure(&cluster, &shape);
            let phases = phases.map_err(|fault| ScenarioError::Fault { subject, fault })?;
            subjects.push(SubjectReport { subject, phases });
        }
        runs.push(Run { subjects });
    }
    Ok(Report::new(title, runs))
}

/// Measures one cluster: all members join, then one phase follows the other. What went wrong in the short phases before
/// them is a fault of them too.
fn measure(cluster: &Cluster, shape: &Shape<'_>) -> Result<Vec<PhaseReport>, Fault> {
    let members = connect(cluster, shape, Subprotocol::Json)?;
    let short = PublishArguments { seconds: WARM_UP, ..shape.publish.clone() };
    let warm_ups = phases(cluster, &members, &Shape { publish: &short, ..*shape })?;
    let mut reports = phases(cluster, &members, shape)?;
    for (report, warm_up) in reports.iter_mut().zip(warm_ups) {
        report.add_faults(warm_up);
    }
    Ok(reports)
}

/// Connects each node's share of the members; the first node's come first.
pub(super) fn connect(
    cluster: &Cluster,
    shape: &Shape<'_>,
    subprotocol: Subprotocol,
) -> Result<Vec<Members>, ClientError> {
    let each = shape.connections() / cluster.brokers.len().max(1) as u32;
    let connect = |access| {
        let plan = shape.plan(access, subprotocol);
        Members::connect(&Plan { connections: each, ..plan })
    };
    cluster.brokers.iter().map(|broker| connect(broker.access.clone())).collect()
}

fn phases(cluster: &Cluster, members: &[Members], shape: &Shape<'_>) -> Result<Vec<PhaseReport>, Fault> {
    shape.publish.phases.iter().map(|&kind| phase(kind, cluster, members, shape)).collect()
}

/// Publishes on the first node, and measures all nodes and Redis meanwhile.
pub(super) fn phase(
    kind: PhaseKind,
    cluster: &Cluster,
    members: &[Members],
    shape: &Shape<'_>,
) -> Result<PhaseReport, Fault> {
    let prepared = shape.prepare(kind, &cluster.brokers[0].access, Check::Numbers)?;
    let name = prepared.name;
    let servers: Vec<_> = cluster.brokers.iter().map(|broker| broker.process).collect();
    let before = RedisUse::now(&cluster.redis)?;
    let mut outcome = publish::publish(&Parties { servers: &servers, members }, prepared, shape)?;
    let redis = RedisUse::now(&cluster.redis)?.since(&before);
    let mut elsewhere = take_latencies_elsewhere(&mut outcome.tallies);
    let costs = costs(&outcome, &redis);
    let mut report = publish::report(name, shape, outcome);
    report.add_latencies_elsewhere(&mut elsewhere);
    // A light load takes less time of a process than the clock can tell.
    if kind == PhaseKind::Saturation {
        costs.into_iter().for_each(|(figure, value)| report.add(figure, value));
    }
    Ok(report)
}

/// What Redis has done.
pub(super) struct RedisUse {
    /// Messages that it has taken. Those of a node that gets ahead of it may wait, or find no room and go nowhere.
    publishes: u64,
    pub(super) cpu: Duration,
}

impl RedisUse {
    pub(super) fn now(redis: &Redis) -> Result<Self, Fault> {
        Ok(Self { publishes: redis.publishes()?, cpu: redis.process.cpu_time()? })
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        let publishes = self.publishes.saturating_sub(before.publishes);
        Self { publishes, cpu: self.cpu.saturating_sub(before.cpu) }
    }
}

/// What messages cost, each counted once however many nodes it reached.
fn costs(outcome: &Outcome, redis: &RedisUse) -> [(Figure, f64); 5] {
    let (publishes, seconds) = (outcome.sent.publishes as f64, outcome.elapsed.as_secs_f64());
    let (redis_publishes, redis_cpu) = (redis.publishes as f64, redis.cpu.as_secs_f64());
    [
        (Figure::PublishesPerSecond, publishes / seconds),
        (Figure::PublishesPerCpuSecond, publishes / outcome.cpu.as_secs_f64()),
        (Figure::RedisPublishes, redis_publishes),
        (Figure::PublishesPerRedisCpuSecond, redis_publishes / redis_cpu),
        (Figure::RedisCores, redis_cpu / seconds),
    ]
}

/// Leaves only those of the first node, which is the publisher's.
fn take_latencies_elsewhere(tallies: &mut [Tally]) -> Vec<u32> {
    tallies.iter_mut().skip(1).flat_map(|tally| std::mem::take(&mut tally.latencies)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_nodes_latencies_stay_beside_those_of_the_others() {
        let mut tallies =
            [vec![100, 200], vec![400], vec![1_300]].map(|latencies| Tally { latencies, ..Tally::default() });
        let mut elsewhere = take_latencies_elsewhere(&mut tallies);
        assert_eq!(elsewhere, [400, 1_300]);
        let mut report = PhaseReport::new("paced");
        report.add_latencies(&mut tallies[0].latencies);
        report.add_latencies_elsewhere(&mut elsewhere);
        let figures = [Figure::LatencyP99, Figure::OtherLatencyP50, Figure::OtherLatencyP99];
        assert_eq!(figures.map(|figure| report.figure(figure)), [0.2, 0.4, 1.3].map(Some));
        assert_eq!(report.figure(Figure::OtherP99ToOwn), Some(6.5));
    }

    #[test]
    fn the_goal_is_three_times_the_own_nodes_p99_and_a_millisecond() {
        let check = |own: u32, other: u32, expected: f64| {
            let mut report = PhaseReport::new("paced");
            report.add_latencies(&mut [own]);
            report.add_latencies_elsewhere(&mut [other]);
            assert_eq!(report.figure(Figure::OtherWithinGoal), Some(expected), "{own} {other}");
        };
        check(500, 2_500, 1.0);
        check(500, 2_501, 0.0);
    }
}
