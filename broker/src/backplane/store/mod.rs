//! What durable hubs keep in Redis, so that a node that is killed takes nothing with it: a log for each partition, in which
//! every message is noted at the moment at which it is published, and a record for each reliable connection.
//!
//! `ledger`, `floors`, `log`, `owner` and `record` are values: what is to be written, what a connection is still to be
//! served, and who may write. [`Store`] does it, with the scripts of `scripts/`: each changes keys of one slot, and may run twice
//! without harm. It stands in the backplane because it is made of channels, envelopes and links; what a session is, it
//! does not know.

mod floors;
mod key;
mod ledger;
mod log;
mod owner;
mod record;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codec::ids::{ConnectionId, HubName};
use redis::Value;
use tokio::sync::{Semaphore, oneshot};

use super::redis::{Call, Links, Once, Through};
use super::wire::Malformed;
use super::{BusError, BusFull, Channel, Partition};
use crate::model::command::{Publication, Topic};
use log::Extent;

pub use floors::Floors;
pub use ledger::Ledger;
pub use log::{LogId, Logged, Place, owed};
pub use owner::{Fate, Owner, Verdict};
pub use record::{Record, Write};

/// What has taken the place of an owner when a record has ended.
const NOBODY: &str = "-";
/// Messages of a log that a script looks at in one go.
const LOOK: u64 = 1024;
/// Bytes that it returns, unless a single message is larger.
const PART: usize = 256 << 10;
/// Most bytes that a connection is to be served from one log.
const MOST: usize = 32 << 20;
/// Answers of any size that are under way at the same time.
const READS: usize = 8;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    links: Links,
    prefix: Arc<str>,
    reads: Arc<Semaphore>,
}

/// Why something is not done. Unless it says otherwise it may be done all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Redis cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] BusError),
    /// Nothing more can be queued; it is not done.
    #[error(transparent)]
    Full(#[from] BusFull),
    /// Redis answers in a way that is not known here.
    #[error("redis answers in a way that is not known here")]
    Odd,
    /// What was read is not what any version writes.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// A part of a log is not there any more.
    #[error("messages that are still needed are lost")]
    Lost,
    /// More has been missed than can be brought.
    #[error("too much has been missed")]
    TooMuch,
}

/// What becomes of an attempt to take a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// It is the new owner's.
    Taken(Box<Record>),
    /// It belongs to somebody else than was thought, or has ended.
    Missed,
    /// There is none.
    Absent,
}

impl Store {
    /// Keeps things beside the channels that begin with `prefix`.
    pub fn new(links: Links, prefix: &str) -> Self {
        Self { links, prefix: prefix.into(), reads: Arc::new(Semaphore::new(READS)) }
    }

    /// Notes what is published in the log of its partition.
    pub fn through(&self, partition: Partition) -> Through {
        let key = key::log(&self.prefix, partition).into();
        Through { script: include_str!("scripts/append.lua"), key, once: None }
    }

    /// As [`Store::through`], for what a client of this hub may repeat, or may have asked another node for. If it has been
    /// noted in this partition in the last 150 seconds, nothing is, and `void` is published; and so it is if the client
    /// has published something there in a later term, but then it is not taken. `number` is its name for
    /// [`LinkEvent::Settled`](super::redis::LinkEvent::Settled).
    pub fn through_once(
        &self,
        (partition, hub): (Partition, &HubName),
        Publication { connection, ack_id, term }: &Publication,
        (number, void): (u64, Bytes),
    ) -> Through {
        let key = key::said(&self.prefix, partition, (hub, connection)).into();
        let name = ack_id.0.to_string().into();
        let once = Once { key, name, void, term: *term, number, is_tried: false };
        Through { once: Some(once), ..self.through(partition) }
    }

    /// Changes the record of a connection, which lives on for `lifetime` then.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be known whether it is done.
    pub async fn write(
        &self,
        (hub, id): (&HubName, &ConnectionId),
        write: Write,
        lifetime: Duration,
    ) -> Result<Verdict, StoreError> {
        let Write { owner, is_whole, removed, fields } = write;
        let mut arguments = vec![
            Bytes::from(owner.to_string()),
            Bytes::from_static(if is_whole { b"1" } else { b"0" }),
            lifetime.as_millis().to_string().into(),
            removed.len().to_string().into(),
        ];
        arguments.extend(removed.into_iter().map(Bytes::from));
        arguments.extend(fields.into_iter().flat_map(|(name, value)| [name.into(), value]));
        let key = key::record(&self.prefix, hub, id);
        verdict(&self.call(include_str!("scripts/write.lua"), key, arguments).await?)
    }

    /// Ends the record of a connection. For `lifetime` nobody makes it anew.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn finish(
        &self,
        (hub, id): (&HubName, &ConnectionId),
        owner: &Owner,
        lifetime: Duration,
    ) -> Result<Verdict, StoreError> {
        let key = key::record(&self.prefix, hub, id);
        let arguments =
            vec![owner.to_string().into(), NOBODY.into(), lifetime.as_millis().to_string().into()];
        verdict(&self.call(include_str!("scripts/finish.lua"), key, arguments).await?)
    }

    /// Who has the record of a connection; nothing if there is none.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be said.
    pub async fn owner(&self, hub: &HubName, id: &ConnectionId) -> Result<Option<Owner>, StoreError> {
        let key = key::record(&self.prefix, hub, id);
        match self.call(include_str!("scripts/owner.lua"), key, Vec::new()).await? {
            Value::Nil => Ok(None),
            name => match text(&name)? {
                NOBODY => Ok(None),
                name => Owner::parse(name).map(Some).ok_or(StoreError::Odd),
            },
        }
    }

    /// Makes the record of a connection somebody else's, if it is still that of `from`, and reads it. Whatever `from`
    /// writes after that goes nowhere.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be known whether the record has been taken; the same attempt may be made again.
    pub async fn take(
        &self,
        (hub, id): (&HubName, &ConnectionId),
        (from, to): (&Owner, &Owner),
        lifetime: Duration,
    ) -> Result<Take, StoreError> {
        let key = key::record(&self.prefix, hub, id);
        let arguments =
            vec![from.to_string().into(), to.to_string().into(), lifetime.as_millis().to_string().into()];
        let Ok(_place) = self.reads.acquire().await else { return Err(StoreError::Odd) };
        match self.call(include_str!("scripts/take.lua"), key, arguments).await? {
            Value::Int(0) => Ok(Take::Absent),
            Value::Int(-1) => Ok(Take::Missed),
            Value::Array(parts) => {
                let [now, fields] = <[Value; 2]>::try_from(parts).map_err(|_| StoreError::Odd)?;
                let record = Record::read(pairs(fields)?, number(&now)?)?;
                Ok(Take::Taken(Box::new(record)))
            }
            _ => Err(StoreError::Odd),
        }
    }

    /// The end of the log of a partition.
    ///
    /// # Errors
    /// [`StoreError`] when Redis does not say.
    pub async fn end(&self, partition: Partition) -> Result<Place, StoreError> {
        let key = (partition, key::log(&self.prefix, partition));
        let Value::Array(parts) = self.call(include_str!("scripts/end.lua"), key, Vec::new()).await? else {
            return Err(StoreError::Odd);
        };
        let [id, added] = parts.as_slice() else { return Err(StoreError::Odd) };
        Ok(Place { id: log_id(id)?, added: number(added)? })
    }

    /// What has been noted for these topics in the log of a partition behind a place, except what floors cover.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when a part of that is not there any more, [`StoreError::TooMuch`] when it is too large.
    pub async fn read(
        &self,
        partition: Partition,
        place: &Place,
        (topics, floors): (&[Topic], &Floors),
    ) -> Result<Vec<Logged>, StoreError> {
        let channels = topics.iter().map(|topic| Channel::Topic(topic.clone()));
        let channels: Vec<Bytes> = channels.map(|channel| channel.name(&self.prefix).into()).collect();
        let (mut logged, mut bytes) = (Vec::new(), 0);
        let mut from = place.id;
        loop {
            let mut arguments: Vec<Bytes> =
                vec![from.to_string().into(), LOOK.to_string().into(), PART.to_string().into()];
            arguments.extend(channels.iter().cloned());
            let key = (partition, key::log(&self.prefix, partition));
            let Ok(_place) = self.reads.acquire().await else { return Err(StoreError::Odd) };
            let answer = self.call(include_str!("scripts/read.lua"), key, arguments).await?;
            let Value::Array(parts) = answer else { return Err(StoreError::Odd) };
            let [now, added, length, next, found] =
                <[Value; 5]>::try_from(parts).map_err(|_| StoreError::Odd)?;
            let extent = Extent { added: number(&added)?, length: number(&length)?, now: number(&now)? };
            if !extent.is_whole_since(place) {
                return Err(StoreError::Lost);
            }
            for (id, message) in pairs(found)? {
                let len = message.len();
                let id = std::str::from_utf8(&id).ok().and_then(LogId::parse).ok_or(StoreError::Odd)?;
                let message = Logged::read(partition, id, message, extent.now);
                if let Some(message) = message.filter(|message| !floors.covers(partition, &message.identity))
                {
                    bytes += len;
                    logged.push(message);
                }
            }
            if bytes > MOST {
                return Err(StoreError::TooMuch);
            }
            match text(&next)? {
                "" => return Ok(logged),
                next => from = LogId::parse(next).ok_or(StoreError::Odd)?,
            }
        }
    }

    async fn call(
        &self,
        script: &'static str,
        (partition, key): (Partition, String),
        arguments: Vec<Bytes>,
    ) -> Result<Value, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.links.call(Call { partition, script, key: key.into(), arguments, answer })?;
        Ok(answered.await.map_err(|_| BusError)??)
    }
}

fn verdict(answer: &Value) -> Result<Verdict, StoreError> {
    match answer {
        Value::Int(1) => Ok(Verdict::Done),
        Value::Int(0) => Ok(Verdict::Absent),
        Value::Int(-1) => Ok(Verdict::Fenced),
        _ => Err(StoreError::Odd),
    }
}

fn text(value: &Value) -> Result<&str, StoreError> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).map_err(|_| StoreError::Odd),
        Value::SimpleString(text) => Ok(text),
        _ => Err(StoreError::Odd),
    }
}

fn number(value: &Value) -> Result<u64, StoreError> {
    match value {
        Value::Int(number) => u64::try_from(*number).map_err(|_| StoreError::Odd),
        value => text(value)?.parse().map_err(|_| StoreError::Odd),
    }
}

fn log_id(value: &Value) -> Result<LogId, StoreError> {
    LogId::parse(text(value)?).ok_or(StoreError::Odd)
}

/// Values that come two by two.
fn pairs(value: Value) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
    let Value::Array(values) = value else { return Err(StoreError::Odd) };
    let mut bytes = values.into_iter().map(|value| match value {
        Value::BulkString(bytes) => Ok(Bytes::from(bytes)),
        _ => Err(StoreError::Odd),
    });
    let mut pairs = Vec::new();
    while let Some(first) = bytes.next() {
        pairs.push((first?, bytes.next().ok_or(StoreError::Odd)??));
    }
    Ok(pairs)
}
