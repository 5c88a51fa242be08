//! The audit of a run: whether each client saw what it was promised. A pure function of the record.
//!
//! What is promised: a message that was acknowledged to its publisher reaches every reliable member that had joined before
//! it was sent, once, and in order with the others of its scope, unless the member's session ended. An end must have a
//! cause that is known and accepted. One that was not acknowledged may arrive, once and in order. Plain members may miss
//! messages while a fault lasts that concerns their node or the publisher's.

mod ends;
mod report;
#[cfg(test)]
mod tests;
mod unsent;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

pub(crate) use ends::{Accepted, Cause};
pub(crate) use report::Report;

use crate::record::{
    End, Incident, Kind, Publication, Publisher, PublisherKind, Receipt, Record, Run, Stay, Transcript,
};

/// How long before and after a fault plain clients may still miss messages because of it: what was under way, and what
/// the nodes take to notice it.
const BEFORE: Duration = Duration::from_millis(1000);
const AFTER: Duration = Duration::from_millis(3000);
/// How long before a join it is worth a word that a message was acknowledged which the member gets.
const LONG: Duration = Duration::from_secs(10);

/// What a promise was broken by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) client: String,
    pub(crate) connection: String,
    pub(crate) what: Broken,
    /// Of a message: where it was sent, and where the client was then.
    pub(crate) way: Option<String>,
}

/// How a promise was broken. Messages are named by publisher and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A reliable client did not get it.
    Lost {
        publisher: u32,
        number: u32,
    },
    /// A plain client did not get it, and there was no fault that explains that.
    LostForNoReason {
        publisher: u32,
        number: u32,
    },
    Doubled {
        publisher: u32,
        number: u32,
    },
    /// It came after this later one.
    Reordered {
        publisher: u32,
        number: u32,
        after: u32,
    },
    /// Nobody sent it, or it is of a group that the client had not joined.
    Strange {
        publisher: u32,
        number: u32,
    },
    /// The number in the connection does not follow the one before.
    Sequence {
        after: u64,
        came: u64,
    },
    /// The session ended for this reason, which is not accepted.
    Ended(Cause),
    /// The client was not back when the run was over.
    Missing,
}

/// The result of an audit.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) findings: Vec<Finding>,
    pub(crate) report: Report,
}

/// Looks at everything.
pub(crate) fn audit(record: &Record, accepted: &Accepted) -> Verdict {
    let mut audit = Audit { record, accepted, findings: Vec::new(), report: Report::of(record) };
    for client in &record.clients {
        for stay in &client.stays {
            audit.stay(client, stay);
        }
    }
    for (number, publisher) in record.publishers.iter().enumerate() {
        for stay in &publisher.stays {
            audit.end(&format!("publisher {number}"), stay);
        }
    }
    Verdict { findings: audit.findings, report: audit.report }
}

struct Audit<'a> {
    record: &'a Record,
    accepted: &'a Accepted,
    findings: Vec<Finding>,
    report: Report,
}

impl Audit<'_> {
    fn stay(&mut self, client: &Transcript, stay: &Stay) {
        let mut broken = Vec::new();
        if client.kind == Kind::Reliable {
            broken.extend(sequence(&stay.received));
        }
        let mut received: BTreeMap<u32, Vec<Receipt>> = BTreeMap::new();
        for receipt in &stay.received {
            received.entry(receipt.publisher).or_default().push(*receipt);
        }
        for (&number, receipts) in &received {
            let publisher = self.record.publishers.get(number as usize);
            let since = |publisher: &Publisher| {
                stay.joined.iter().find(|(group, _)| *group == publisher.group).map(|(_, since)| *since)
            };
            match publisher.and_then(|publisher| Some((publisher, since(publisher)?))) {
                Some((publisher, since)) => {
                    broken.extend(once_and_in_order(publisher, receipts, since));
                    self.report.older += older(publisher, receipts, since);
                }
                None => broken.extend(receipts.iter().map(strange)),
            }
        }
        for &(group, since) in &stay.joined {
            for (number, publisher) in (0..).zip(&self.record.publishers) {
                if publisher.group == group {
                    let receipts = received.get(&number).map_or(&[][..], Vec::as_slice);
                    for missing in missing(publisher, receipts, since, &stay.end) {
                        broken.extend(self.judge_missing(client.kind, stay, number, missing));
                    }
                }
            }
        }
        if client.kind == Kind::Plain && self.accepted.late {
            let all = broken.len();
            broken.retain(|broken| !matches!(broken, Broken::Reordered { .. }));
            self.report.late += all - broken.len();
        }
        self.report(&client.name, stay, broken);
        self.end(&client.name, stay);
    }

    fn report(&mut self, client: &str, stay: &Stay, broken: impl IntoIterator<Item = Broken>) {
        let finding = |what: Broken| Finding {
            client: client.to_owned(),
            connection: stay.connection.clone(),
            way: what.message().and_then(|(publisher, number)| way(self.record, stay, publisher, number)),
            what,
        };
        self.findings.extend(broken.into_iter().map(finding));
    }

    /// Whether it is wrong that this message has not arrived.
    fn judge_missing(&mut self, kind: Kind, stay: &Stay, publisher: u32, number: u32) -> Option<Broken> {
        let publication = self.record.publishers[publisher as usize].messages[number as usize - 1];
        match kind {
            Kind::Plain if concerns(&self.record.incidents, &publication, stay) => {
                self.report.plain_losses += 1;
                None
            }
            Kind::Plain => Some(Broken::LostForNoReason { publisher, number }),
            Kind::Reliable => {
                if unsent::died_with_its_node(&self.record.incidents, &publication) {
                    self.report.unsent += 1;
                    if self.accepted.unsent {
                        return None;
                    }
                }
                Some(Broken::Lost { publisher, number })
            }
        }
    }

    fn end(&mut self, client: &str, stay: &Stay) {
        match stay.end {
            End::Finished | End::Lost => {}
            End::Missing => self.report(client, stay, [Broken::Missing]),
            End::Refused | End::GaveUp => {
                let cause = ends::cause(self.record, stay);
                *self.report.ends.entry(cause.clone()).or_default() += 1;
                if !self.accepted.accepts(&cause) {
                    self.report(client, stay, [Broken::Ended(cause)]);
                }
            }
        }
    }
}

/// The numbers in the connection rise by one, from 1.
fn sequence(received: &[Receipt]) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut last = 0;
    for receipt in received {
        let came = receipt.sequence.unwrap_or_default();
        if came != last + 1 {
            broken.push(Broken::Sequence { after: last, came });
        }
        last = came;
    }
    broken
}

fn strange(receipt: &Receipt) -> Broken {
    Broken::Strange { publisher: receipt.publisher, number: receipt.number }
}

fn once_and_in_order(publisher: &Publisher, receipts: &[Receipt], since: Duration) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut seen = HashSet::new();
    let mut last: BTreeMap<u32, u32> = BTreeMap::new();
    for receipt in receipts {
        let Receipt { publisher: from, number, scope, .. } = *receipt;
        let sent = (number as usize).checked_sub(1).and_then(|index| publisher.messages.get(index));
        let Some(publication) = sent.filter(|publication| is_in_scope(publisher, publication, scope)) else {
            broken.push(strange(receipt));
            continue;
        };
        if !seen.insert(number) {
            broken.push(Broken::Doubled { publisher: from, number });
            continue;
        }
        // Nobody has waited for the answer to a call that was not answered, so it is in no order with later ones.
        let is_in_no_order = publisher.kind == PublisherKind::Caller && publication.acknowledged.is_none();
        // What was sent before the join was not promised.
        if is_in_no_order || publication.begun <= since {
            continue;
        }
        let last = last.entry(scope).or_default();
        if number < *last {
            broken.push(Broken::Reordered { publisher: from, number, after: *last });
        }
        *last = number.max(*last);
    }
    broken
}

/// How many of these were acknowledged long before the join. Members get what is repaired for others who joined earlier.
fn older(publisher: &Publisher, receipts: &[Receipt], since: Duration) -> usize {
    let is_old = |receipt: &&Receipt| {
        let publication = publisher.messages.get((receipt.number as usize).wrapping_sub(1));
        let acknowledged = publication.and_then(|publication| publication.acknowledged);
        acknowledged.is_some_and(|acknowledged| acknowledged + LONG < since)
    };
    receipts.iter().filter(is_old).count()
}

fn is_in_scope(publisher: &Publisher, publication: &Publication, scope: u32) -> bool {
    publisher.kind == PublisherKind::Caller || publication.scope == scope
}

/// The numbers of the acknowledged messages that should be among `receipts` and are not. If the stay lasted to the end of
/// the run, that is every one that was sent after the join. Otherwise those of each scope after the last one that arrived
/// may have been under way.
fn missing(publisher: &Publisher, receipts: &[Receipt], since: Duration, end: &End) -> Vec<u32> {
    let seen: HashSet<u32> = receipts.iter().map(|receipt| receipt.number).collect();
    let mut last: BTreeMap<u32, u32> = BTreeMap::new();
    for receipt in receipts {
        let last = last.entry(receipt.scope).or_default();
        *last = receipt.number.max(*last);
    }
    let is_due = |number: u32, publication: &Publication| {
        *end == End::Finished || last.get(&publication.scope).is_some_and(|last| number < *last)
    };
    (1..)
        .zip(&publisher.messages)
        .filter(|(_, publication)| publication.begun > since && publication.acknowledged.is_some())
        .filter(|(number, publication)| is_due(*number, publication) && !seen.contains(number))
        .map(|(number, _)| number)
        .collect()
}

/// Whether a fault concerned the way of this message to the stay's node while it was under way.
fn concerns(incidents: &[Incident], publication: &Publication, stay: &Stay) -> bool {
    let nodes: Vec<usize> =
        stay.sockets.iter().map(|(run, _)| run.node).chain([publication.node.node]).collect();
    let end = publication.acknowledged.unwrap_or(publication.begun);
    incidents.iter().any(|incident| {
        let is_here = incident.trouble.run().is_none_or(|run| nodes.contains(&run.node));
        is_here && publication.begun <= incident.until.saturating_add(AFTER) && end + BEFORE >= incident.from
    })
}

/// Where and when a message was published, and where the client had sockets before and after: what the logs should be
/// searched for. Times are those of the run, which begins before its schedule.
fn way(record: &Record, stay: &Stay, publisher: u32, number: u32) -> Option<String> {
    let from = record.publishers.get(publisher as usize)?;
    let Publication { begun, node, acknowledged, .. } =
        from.messages.get((number as usize).checked_sub(1)?)?;
    let (before, after): (Vec<_>, Vec<_>) = stay.sockets.iter().partition(|(_, since)| since <= begun);
    let sockets: Vec<String> = before
        .iter()
        .rev()
        .take(2)
        .rev()
        .chain(after.iter().take(3))
        .map(|(run, since)| format!("{run} at {since:.1?}"))
        .collect();
    let (group, sockets) = (from.group, sockets.join(", "));
    Some(format!(
        "sent to group {group} over {node} at {begun:.3?}, acknowledged {acknowledged:.3?}; sockets: {sockets}"
    ))
}

impl Broken {
    /// The publisher and the number of the message, if it is about one.
    fn message(&self) -> Option<(u32, u32)> {
        match *self {
            Self::Lost { publisher, number }
            | Self::LostForNoReason { publisher, number }
            | Self::Doubled { publisher, number }
            | Self::Reordered { publisher, number, .. }
            | Self::Strange { publisher, number } => Some((publisher, number)),
            Self::Sequence { .. } | Self::Ended(_) | Self::Missing => None,
        }
    }

    /// What kind of finding it is.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Lost { .. } => "lost".to_owned(),
            Self::LostForNoReason { .. } => "lost by plain clients for no reason".to_owned(),
            Self::Doubled { .. } => "doubled".to_owned(),
            Self::Reordered { .. } => "reordered".to_owned(),
            Self::Strange { .. } => "strange".to_owned(),
            Self::Sequence { .. } => "a hole in the numbers of a connection".to_owned(),
            Self::Ended(cause) => format!("ended, {cause}"),
            Self::Missing => "not back".to_owned(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {:?}", self.client, self.connection, self.what)?;
        self.way.iter().try_for_each(|way| write!(f, ", {way}"))
    }
}

/// Whether a run was over at the time: the process had been killed, or had stopped.
fn died(incident: &Incident, run: Run) -> Option<Duration> {
    use crate::record::Trouble;
    match incident.trouble {
        Trouble::Killed(killed) if killed == run => Some(incident.from),
        Trouble::Stopped(stopped, at) if stopped == run => Some(at),
        _ => None,
    }
}
