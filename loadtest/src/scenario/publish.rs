//! A publisher and the members of its groups: what each delivery costs the server, how late it is, whether all arrive.

use std::slice;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use codec::subprotocol::Subprotocol;

use super::{Fault, Target};
use crate::access::Access;
use crate::arguments::{MemberProtocol, PhaseKind, PublishArguments};
use crate::client::{
    Check, Members, Phase, Plan, Progress, PublishPlan, Publisher, Schedule, Sent, Tally, Window,
};
use crate::process::{Process, ProcessError};
use crate::report::{Figure, PhaseReport};
use crate::server::Server;

/// Between the moment when members know of a phase and the first message.
const LEAD: Duration = Duration::from_millis(20);
/// Deliveries to one group's members that are on their way at most: 51 messages to 10,000. It bounds what a server can
/// join into one send, and what fills the kernel's buffers.
const ONE_GROUP_ON_THE_WAY: u32 = 512_000;
/// Fewer with many groups, as a group that is one of many rarely has many messages at once: 12 in each of 1,000 groups
/// of 10.
const GROUPS_ON_THE_WAY: u32 = 128_000;
const SMALLEST_WINDOW: u32 = 4;
/// Well below the 1,000 messages at which a slow client is dropped.
const LARGEST_WINDOW: u32 = 256;

/// Who receives and how it is sent.
pub(super) struct Shape<'a> {
    pub(super) name: &'static str,
    pub(super) groups: u32,
    /// Members of each group.
    pub(super) members: u32,
    /// Messages per second over all groups.
    pub(super) rate: u32,
    pub(super) publish: &'a PublishArguments,
}

/// What a phase needs: what members must know, how to publish.
pub(super) struct Prepared {
    pub(super) name: &'static str,
    publisher: Publisher,
    phase: Phase,
    plan: PublishPlan,
}

/// Who takes part in a phase.
pub(super) struct Parties<'a> {
    /// What is measured; times are added up.
    pub(super) servers: &'a [Process],
    /// Sets that together are all members.
    pub(super) members: &'a [Members],
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) sent: Sent,
    /// What each set of members received.
    pub(super) tallies: Vec<Tally>,
    pub(super) elapsed: Duration,
    /// Processor time of all servers.
    pub(super) cpu: Duration,
    /// Processor time of this program.
    own_cpu: Duration,
}

impl Shape<'_> {
    /// All members.
    pub(super) fn connections(&self) -> u32 {
        self.groups.saturating_mul(self.members)
    }

    /// What the report is called.
    pub(super) fn title(&self) -> String {
        let (groups, members, payload) = (self.groups, self.members, self.publish.payload);
        let Window { batch, depth } = self.window();
        format!(
            "{}: {groups} group(s) of {members}, {payload} bytes; paced at {} messages/s, saturation with {depth} \
             batches of {batch} per group on their way",
            self.name, self.rate
        )
    }

    /// All members, read by one thread.
    pub(super) fn plan(&self, access: Access, subprotocol: Subprotocol) -> Plan {
        let (connections, groups) = (self.connections(), self.groups);
        Plan { access, connections, groups, subprotocol, threads: 1, users: false, numberings: 1 }
    }

    fn window(&self) -> Window {
        let on_the_way = if self.groups == 1 { ONE_GROUP_ON_THE_WAY } else { GROUPS_ON_THE_WAY };
        let default = (on_the_way / self.connections().max(1)).clamp(SMALLEST_WINDOW, LARGEST_WINDOW);
        Window::new(self.publish.window.unwrap_or(default))
    }

    /// Connects the publisher and plans the phase; a phase at a fixed rate starts within moments.
    pub(super) fn prepare(&self, kind: PhaseKind, access: &Access, check: Check) -> Result<Prepared, Fault> {
        let publisher = Publisher::connect(access, self.groups, self.publish.payload)?;
        let duration = Duration::from_secs(u64::from(self.publish.seconds));
        Ok(match kind {
            PhaseKind::Paced => {
                let interval = Duration::from_secs(1) / self.rate;
                let schedule = Schedule { start: Instant::now() + LEAD, interval, groups: self.groups };
                let count = u64::from(self.rate) * u64::from(self.publish.seconds);
                let phase = Phase { check, schedule: Some(schedule), progress: None };
                let plan = PublishPlan::Paced { schedule, count };
                Prepared { name: "paced", publisher, phase, plan }
            }
            PhaseKind::Saturation => {
                let (ready, heard) = mpsc::channel();
                let window = self.window();
                let progress = Progress::new(window, self.groups, self.members, ready);
                let phase = Phase { check, schedule: None, progress: Some(progress) };
                let plan = PublishPlan::Saturating { window, ready: heard, duration };
                Prepared { name: "saturation", publisher, phase, plan }
            }
        })
    }
}

/// Measures one subject: all members join, then one phase follows the other.
pub(super) fn run(target: &Target<'_>, shape: &Shape<'_>) -> Result<Vec<PhaseReport>, Fault> {
    let members = target.connect(shape.connections(), shape.groups, MemberProtocol::Json)?;
    let mut reports = Vec::new();
    for &kind in &shape.publish.phases {
        let prepared = shape.prepare(kind, &target.server.access, target.check())?;
        let name = prepared.name;
        let parties = Parties { servers: &[target.server.process], members: slice::from_ref(&members) };
        let outcome = publish(&parties, prepared, shape)?;
        reports.push(report(name, shape, outcome));
    }
    Ok(reports)
}

/// Publishes to members of a server, who check every number.
pub(super) fn measure(
    kind: PhaseKind,
    server: &Server,
    members: &Members,
    shape: &Shape<'_>,
) -> Result<Outcome, Fault> {
    let prepared = shape.prepare(kind, &server.access, Check::Numbers)?;
    publish(&Parties { servers: &[server.process], members: slice::from_ref(members) }, prepared, shape)
}

/// Publishes what was prepared for this shape, and waits until all of it has arrived or no more comes.
pub(super) fn publish(
    parties: &Parties<'_>,
    prepared: Prepared,
    shape: &Shape<'_>,
) -> Result<Outcome, Fault> {
    let (members, own) = (parties.members, Process::current());
    let phase = Arc::new(prepared.phase);
    members.iter().try_for_each(|set| set.begin(Arc::clone(&phase)))?;
    let (started, cpu_before, own_before) = (Instant::now(), total_cpu(parties.servers)?, own.cpu_time()?);
    let sent = prepared.publisher.publish(&prepared.plan)?;
    // The sets have equally many members of each group.
    let each = sent.publishes * u64::from(shape.members) / members.len().max(1) as u64;
    members.iter().for_each(|set| set.await_deliveries(each));
    let elapsed = started.elapsed();
    let cpu = total_cpu(parties.servers)?.saturating_sub(cpu_before);
    let own_cpu = own.cpu_time()?.saturating_sub(own_before);
    let tallies = members.iter().map(Members::tally).collect::<Result<_, _>>()?;
    Ok(Outcome { sent, tallies, elapsed, cpu, own_cpu })
}

fn total_cpu(processes: &[Process]) -> Result<Duration, ProcessError> {
    processes.iter().map(|process| process.cpu_time()).sum()
}

/// The figures of a phase, and whether all messages arrived.
pub(super) fn report(name: &'static str, shape: &Shape<'_>, outcome: Outcome) -> PhaseReport {
    let Outcome { sent, tallies, elapsed, cpu, own_cpu } = outcome;
    let mut tally = Tally::sum(tallies);
    let expected = sent.publishes * u64::from(shape.members);
    let deliveries = tally.deliveries as f64;
    let mut report = PhaseReport::new(name);
    report.add(Figure::DeliveriesPerCpuSecond, deliveries / cpu.as_secs_f64());
    if !tally.latencies.is_empty() {
        report.add_latencies(&mut tally.latencies);
        report.add(Figure::LatestSend, sent.latest.as_secs_f64() * 1e3);
    }
    report.add(Figure::DeliveriesPerSecond, deliveries / elapsed.as_secs_f64());
    report.add(Figure::ServerCores, cpu.as_secs_f64() / elapsed.as_secs_f64());
    report.add(Figure::GeneratorCores, own_cpu.as_secs_f64() / elapsed.as_secs_f64());
    report.add(Figure::Publishes, sent.publishes as f64);
    report.add(Figure::Deliveries, deliveries);
    report.add(Figure::DeliveryRatio, deliveries / expected as f64);
    if tally.acknowledgements > 0 {
        report.add(Figure::Acknowledgements, tally.acknowledgements as f64);
    }
    report.check_deliveries(expected, &tally);
    report.check_arrival(sent.latest);
    report
}
