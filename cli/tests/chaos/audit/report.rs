//! The figures of a run, for people.

use std::collections::BTreeMap;
use std::fmt;

use super::Cause;
use crate::dialect::Dialect;
use crate::record::{Kind, PublisherKind, Record};

/// See the module. Some are counted by the audit.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Sent and acknowledged, by clients and by callers.
    published: [[usize; 2]; 2],
    /// Received by plain and by reliable clients.
    delivered: [usize; 2],
    stays: [usize; 2],
    /// Received by reliable clients in protobuf, and the sessions of these.
    in_protobuf: [usize; 2],
    /// To the same node, and to another one.
    recoveries: [u32; 2],
    repeats: u32,
    gaps: f64,
    incidents: usize,
    pub(super) ends: BTreeMap<Cause, usize>,
    pub(super) plain_losses: usize,
    /// Received by plain clients in another order.
    pub(super) late: usize,
    pub(super) unsent: usize,
    /// Received, and older by far than the membership.
    pub(super) older: usize,
}

impl Report {
    pub(super) fn of(record: &Record) -> Self {
        let mut report =
            Self { gaps: record.gaps.values().sum(), incidents: record.incidents.len(), ..Self::default() };
        for publisher in &record.publishers {
            let counts = &mut report.published[usize::from(publisher.kind == PublisherKind::Caller)];
            counts[0] += publisher.messages.len();
            counts[1] += publisher.messages.iter().filter(|message| message.acknowledged.is_some()).count();
        }
        for client in &record.clients {
            let index = usize::from(client.kind == Kind::Reliable);
            let delivered = client.stays.iter().map(|stay| stay.received.len()).sum::<usize>();
            report.stays[index] += client.stays.len();
            report.delivered[index] += delivered;
            if client.dialect == Dialect::Protobuf {
                report.in_protobuf[0] += delivered;
                report.in_protobuf[1] += client.stays.len();
            }
        }
        let publishers = record.publishers.iter().flat_map(|publisher| &publisher.stays);
        for stay in record.clients.iter().flat_map(|client| &client.stays).chain(publishers) {
            report.repeats += stay.repeats;
            for (sum, count) in report.recoveries.iter_mut().zip(stay.recoveries) {
                *sum += count;
            }
        }
        report
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [[sent, acknowledged], [called, accepted]] = self.published;
        let [plain, reliable] = self.delivered;
        let [plain_stays, reliable_stays] = self.stays;
        let [here, elsewhere] = self.recoveries;
        writeln!(f, "  published   {sent} by clients, {acknowledged} acknowledged")?;
        writeln!(f, "              {called} over REST, {accepted} answered 202")?;
        writeln!(f, "  delivered   {reliable} to reliable clients in {reliable_stays} sessions")?;
        let [delivered, stays] = self.in_protobuf;
        writeln!(f, "              {delivered} of these in protobuf, in {stays} sessions")?;
        writeln!(f, "              {plain} to plain clients in {plain_stays} connections")?;
        writeln!(
            f,
            "  recoveries  {here} at the same node, {elsewhere} at another, {} repeats",
            self.repeats
        )?;
        write!(f, "  ended       {} sessions", self.ends.values().sum::<usize>())?;
        for (cause, count) in &self.ends {
            write!(f, ", {cause} {count}")?;
        }
        writeln!(f)?;
        writeln!(f, "  missed      {} by plain clients during faults", self.plain_losses)?;
        if self.late > 0 {
            writeln!(f, "  late        {} to plain clients", self.late)?;
        }
        writeln!(f, "              {} by reliable clients, died with their node", self.unsent)?;
        write!(f, "  faults      {} of nodes and Redis; {} gaps counted as lost", self.incidents, self.gaps)
    }
}
