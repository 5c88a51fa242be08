//! What is known of a run when it is over, as values: what was published, what each client saw, what went wrong, and
//! what the brokers said. Times are counted from the beginning of the run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::dialect::Dialect;

/// Everything that the audit looks at.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) clients: Vec<Transcript>,
    pub(crate) incidents: Vec<Incident>,
    /// What the brokers' logs say of connections that have ended, by their ids.
    pub(crate) ends: BTreeMap<String, Vec<Told>>,
    /// Gaps that could not be closed, as each broker counted them.
    pub(crate) gaps: BTreeMap<Run, f64>,
}

/// A life of a broker process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Run {
    /// Counted from 0.
    pub(crate) node: usize,
    /// How often the node had been started before.
    pub(crate) life: usize,
}

/// Somebody who publishes numbered messages to one group.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) group: usize,
    pub(crate) kind: PublisherKind,
    /// The message with the number n is at n - 1.
    pub(crate) messages: Vec<Publication>,
    /// Its sessions, if it is a client.
    pub(crate) stays: Vec<Stay>,
}

/// How somebody publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublisherKind {
    /// A reliable client, whose messages belong together as long as its session lasts.
    Client,
    /// REST calls, one after the other, whichever node takes them; those that one node has taken belong together.
    Caller,
}

/// A message that was published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Publication {
    /// What it belongs together with: order holds among messages of one scope.
    pub(crate) scope: u32,
    /// When it was sent for the first time.
    pub(crate) begun: Duration,
    /// Where it was sent last.
    pub(crate) node: Run,
    /// When it was acknowledged, if it was.
    pub(crate) acknowledged: Option<Duration>,
}

/// What one client saw.
#[derive(Debug)]
pub(crate) struct Transcript {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) dialect: Dialect,
    pub(crate) stays: Vec<Stay>,
}

/// What a client is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Reliable,
}

/// A connection from its first message to its end, over all its sockets.
#[derive(Debug)]
pub(crate) struct Stay {
    pub(crate) connection: String,
    /// Each group and when the client knew that it was in.
    pub(crate) joined: Vec<(usize, Duration)>,
    pub(crate) received: Vec<Receipt>,
    /// Where it had a socket.
    pub(crate) sockets: Vec<(Run, Duration)>,
    /// Where it has asked to come back since it had its last socket.
    pub(crate) asked: Vec<Run>,
    /// How often it came back to the node where it had been, and to another one.
    pub(crate) recoveries: [u32; 2],
    /// How often it was sent what it had seen already, with the same number.
    pub(crate) repeats: u32,
    pub(crate) end: End,
    pub(crate) ended: Duration,
}

/// A message that arrived, in the order of arrival.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receipt {
    pub(crate) publisher: u32,
    pub(crate) scope: u32,
    /// From 1.
    pub(crate) number: u32,
    /// From 1; nothing if the client is plain.
    pub(crate) sequence: Option<u64>,
}

/// How a stay ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The run was over, and the client was there.
    Finished,
    /// The run was over, and the client was not back, or not in all of its groups.
    Missing,
    /// A plain client lost its socket, by the schedule or by a broker.
    Lost,
    /// A reliable client was told that it cannot come back.
    Refused,
    /// A reliable client gave up after it had tried for as long as a session is kept.
    GaveUp,
}

/// What a broker says of a connection that it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) run: Run,
    pub(crate) at: Duration,
    pub(crate) category: String,
}

/// A fault as it happened.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    pub(crate) from: Duration,
    /// When all was well again as far as this is concerned.
    pub(crate) until: Duration,
    pub(crate) trouble: Trouble,
}

/// What a fault was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A process was killed.
    Killed(Run),
    /// A process was told to stop, and ended at the time.
    Stopped(Run, Duration),
    /// A process stood still.
    Paused(Run),
    /// A process was cut off from Redis.
    Cut(Run),
    /// Redis was away, or stood still.
    Redis,
}

impl Trouble {
    /// The node concerned; nothing if all are.
    pub(crate) fn run(self) -> Option<Run> {
        match self {
            Self::Killed(run) | Self::Stopped(run, _) | Self::Paused(run) | Self::Cut(run) => Some(run),
            Self::Redis => None,
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}.{}", self.node + 1, self.life)
    }
}
