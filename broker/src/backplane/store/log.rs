//! The log of a partition: every message of a durable hub is noted there at the moment at which it is published. Whoever
//! goes on with a connection of a lost node finds there what the connection has missed.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Floors;
use crate::backplane::wire::{self, Body, Stamp};
use crate::backplane::{Content, Partition};
use crate::model::command::{Command, Identity, Topic};

/// A log in which nothing has been noted for this long is forgotten. Much longer than messages are kept in one.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// Redis's name for a noted message. Later ones are larger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId {
    /// When it was noted, by the clock of the server.
    pub milliseconds: u64,
    /// Which of those of the same millisecond.
    pub number: u64,
}

/// A place in a log: behind a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The message.
    pub id: LogId,
    /// How many had been noted by then.
    pub added: u64,
}

/// What there is of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// How many messages have been noted since it began.
    pub(super) added: u64,
    /// How many of them are still there: the last ones.
    pub(super) length: u64,
    /// The time of the server, in milliseconds.
    pub(super) now: u64,
}

/// A message that is noted in a log.
#[derive(Debug, Clone)]
pub struct Logged {
    /// In which partition.
    pub partition: Partition,
    /// Where.
    pub id: LogId,
    /// By what name all nodes know it.
    pub identity: Identity,
    /// What was sent.
    pub command: Arc<Command>,
    /// How long ago, by the clock of the server.
    pub age: Duration,
}

impl LogId {
    /// Reads what `Display` writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (milliseconds, number) = text.split_once('-')?;
        Some(Self { milliseconds: milliseconds.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.number)
    }
}

impl Extent {
    /// Whether everything that was noted behind a place is still there.
    pub(super) fn is_whole_since(&self, place: &Place) -> bool {
        if self.added >= place.added {
            return self.added.saturating_sub(self.length) <= place.added;
        }
        // It has begun anew since: because nothing was noted for long, or because the server has lost it.
        let forgotten_after = u64::try_from(FORGOTTEN_AFTER.as_millis()).unwrap_or(u64::MAX);
        self.now >= place.id.milliseconds.saturating_add(forgotten_after) && self.added == self.length
    }
}

impl Logged {
    /// Reads what was noted; nothing if no member is to receive it, or this version does not know it.
    pub(super) fn read(partition: Partition, id: LogId, bytes: Bytes, now: u64) -> Option<Self> {
        let (Stamp { origin, epoch, sequence, .. }, body) = wire::decode(bytes).ok()?;
        let Body::Content(Content::Command { command, .. }) = body else { return None };
        let age = Duration::from_millis(now.saturating_sub(id.milliseconds));
        Some(Self { partition, id, identity: Identity { origin, epoch, sequence }, command, age })
    }
}

/// What a connection is still to be served of what was noted, in an order in which a node might have served it: that of
/// the logs, but what one node published in the order of its numbers. A node that has lost its connection to Redis repeats
/// itself, so that logs may hold something twice, or too late.
pub fn owed(mut logged: Vec<Logged>, topics: &HashSet<Topic>, floors: &Floors) -> Vec<Logged> {
    logged.sort_by_key(|logged| logged.id.milliseconds);
    let mut seen = HashSet::new();
    logged.retain(|logged| seen.insert(logged.identity.clone()));
    let mut places: BTreeMap<(String, u64), Vec<usize>> = BTreeMap::new();
    for (place, Logged { identity, .. }) in logged.iter().enumerate() {
        places.entry((identity.origin.as_str().to_owned(), identity.epoch)).or_default().push(place);
    }
    let mut order: Vec<usize> = (0..logged.len()).collect();
    for places in places.into_values() {
        let mut rising = places.clone();
        rising.sort_by_key(|&place| logged[place].identity.sequence);
        places.into_iter().zip(rising).for_each(|(place, from)| order[place] = from);
    }
    let mut logged: Vec<Option<Logged>> = logged.into_iter().map(Some).collect();
    let is_owed = |logged: &Logged| {
        let Command { hub, target, .. } = &*logged.command;
        topics.contains(&Topic { hub: hub.clone(), target: target.clone() })
            && !floors.covers(logged.partition, &logged.identity)
    };
    order.into_iter().filter_map(|place| logged[place].take()).filter(is_owed).collect()
}
