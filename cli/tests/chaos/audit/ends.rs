//! Why a reliable session ended: a cause that a broker has counted or logged, or the end of the node that held it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::died;
use crate::record::{Record, Run, Stay, Told, Trouble};

/// How long before its client's last socket was lost a node may have died.
const EARLIER: Duration = Duration::from_secs(5);
/// How long after its client has been told of an end a broker may have said so in its log.
const LATE_LINE: Duration = Duration::from_millis(100);
/// Category of a connection that goes on at another node.
const MOVED: &str = "Moved";

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The node that held it was killed.
    Killed,
    /// The node that held it was told to stop.
    Stopped,
    /// A broker ended it because messages to it were lost, and counted the gap.
    Gap,
    /// A broker ended it because its window or its socket's queue was full.
    Slow,
    /// Its client asked another node than the one that held it, which was alive.
    Elsewhere,
    /// A broker ended it for this reason, which is none of the above.
    Category(String),
    /// No broker knows.
    Unexplained,
}

/// What is accepted as a reason not to get what was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    causes: Vec<Cause>,
    /// Whether acknowledged messages may die with the node that had not passed them on.
    pub(crate) unsent: bool,
    /// Whether plain clients may see messages in another order.
    pub(crate) late: bool,
}

impl Accepted {
    pub(super) fn accepts(&self, cause: &Cause) -> bool {
        self.causes.contains(cause)
    }
}

impl FromStr for Accepted {
    type Err = String;

    /// Reads a list of `killed`, `stopped`, `gap`, `slow`, `elsewhere`, `unsent` and `late`, parted by commas; `strict`
    /// stands for `killed,gap,unsent`, `none` for nothing.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut accepted = Self { causes: Vec::new(), unsent: false, late: false };
        for word in text.split(',').filter(|word| !word.is_empty()) {
            match word {
                "killed" => accepted.causes.push(Cause::Killed),
                "stopped" => accepted.causes.push(Cause::Stopped),
                "gap" => accepted.causes.push(Cause::Gap),
                "slow" => accepted.causes.push(Cause::Slow),
                "elsewhere" => accepted.causes.push(Cause::Elsewhere),
                "unsent" => accepted.unsent = true,
                "late" => accepted.late = true,
                "strict" => {
                    accepted.causes.extend([Cause::Killed, Cause::Gap]);
                    accepted.unsent = true;
                }
                "none" => {}
                _ => return Err(format!("there is no cause {word}")),
            }
        }
        Ok(accepted)
    }
}

/// Why the session of this stay ended.
pub(super) fn cause(record: &Record, stay: &Stay) -> Cause {
    // Afterwards, a session that is left behind ends as well, for other reasons.
    let is_before = |told: &&Told| told.at <= stay.ended + LATE_LINE && told.category != MOVED;
    let told = record.ends.get(&stay.connection).and_then(|ends| ends.iter().find(is_before));
    if let Some(Told { run, category, .. }) = told {
        return match category.as_str() {
            "ServiceTransientError" if record.gaps.get(run).is_some_and(|gaps| *gaps > 0.0) => Cause::Gap,
            "ServiceReload" => Cause::Stopped,
            "SlowClient" => Cause::Slow,
            other => Cause::Category(other.to_owned()),
        };
    }
    let Some(&(holder, since)) = stay.sockets.last() else {
        return Cause::Unexplained;
    };
    // It may have moved to any node that it has asked.
    for run in [holder].iter().chain(&stay.asked) {
        if let Some(cause) = ended_with(record, *run, since, stay.ended) {
            return cause;
        }
    }
    match stay.asked.last() {
        Some(asked) if asked.node != holder.node => Cause::Elsewhere,
        _ => Cause::Unexplained,
    }
}

fn ended_with(record: &Record, run: Run, since: Duration, until: Duration) -> Option<Cause> {
    record.incidents.iter().find_map(|incident| {
        let at = died(incident, run)?;
        let is_then = at + EARLIER >= since && incident.from <= until;
        is_then.then_some(match incident.trouble {
            Trouble::Killed(_) => Cause::Killed,
            _ => Cause::Stopped,
        })
    })
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed => f.write_str("node killed"),
            Self::Stopped => f.write_str("node stopped"),
            Self::Gap => f.write_str("counted gap"),
            Self::Slow => f.write_str("window or queue full"),
            Self::Elsewhere => f.write_str("asked another node"),
            Self::Category(category) => write!(f, "ended as {category}"),
            Self::Unexplained => f.write_str("unexplained"),
        }
    }
}
