//! Goes on with a durable connection from its record.
//!
//! First the record is made this node's, so that whoever had it can neither write it nor, therefore, tell its client
//! anything any more. Then what is sent to the connection is held, and the logs are read: what was noted for it and is not
//! among what it had been served, it is served now.

use std::collections::HashSet;
use std::rc::Rc;

use codec::ids::{ConnectionId, SequenceId};
use tokio::time::Instant;

use super::{Keeper, Places, Records, Step, name_of, to_floors};
use crate::backplane::PartitionSet;
use crate::backplane::store::{Ledger, Logged, Owner, Record, StoreError, Take, owed};
use crate::client::connection::Connection;
use crate::client::connections::Connections;
use crate::client::recovery::Unreachable;
use crate::hub::{Held, HoldKey, MemberKey};
use crate::model::close::CloseReason;
use crate::model::command::Topic;
use crate::model::portable::{Portable, RecordState};
use crate::router::Router;

/// Why a connection cannot be taken up again from its record.
enum Missing {
    /// Not now.
    Now(&'static str),
    /// What it has missed is not there any more.
    ForEver(StoreError),
}

impl From<StoreError> for Missing {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreachable(_) | StoreError::Full(_) => Self::Now("redis does not answer"),
            StoreError::Odd | StoreError::Malformed(_) | StoreError::Lost | StoreError::TooMuch => {
                Self::ForEver(error)
            }
        }
    }
}

impl Connections {
    /// Who has the record of a connection. Nothing when there is none: then there is no such connection.
    ///
    /// # Errors
    /// When Redis does not say.
    pub(in crate::client) async fn owner_of_record(
        &self,
        records: &Records,
        topic: &Topic,
        id: &ConnectionId,
    ) -> Result<Option<Owner>, Unreachable> {
        records.store.owner(&topic.hub, id).await.map_err(|_| Unreachable)
    }

    /// Goes on with a connection from its record, which is `from`'s until now. Its client finds it here, or finds out that
    /// it is no more. Nothing happens if it is not awaited any more when its turn has come.
    ///
    /// # Errors
    /// When it cannot be done now; it may be tried again, by whoever its client comes to.
    pub(in crate::client) async fn recall(
        self: &Rc<Self>,
        records: &Records,
        (topic, id): (&Topic, &ConnectionId),
        from: Owner,
        is_awaited: impl Fn() -> bool,
    ) -> Result<(), Unreachable> {
        // When a node is lost many come at once, and each may need much.
        let Ok(_turn) = records.recalls.acquire().await else { return Err(Unreachable) };
        if !is_awaited() {
            return Err(Unreachable);
        }
        let name = (&topic.hub, id);
        let to = from.successor(self.router.node().clone(), records.epoch);
        let taken = records.store.take(name, (&from, &to), records.lifetime).await;
        let record = match taken.map_err(Missing::from) {
            Ok(Take::Taken(record)) => record,
            Ok(Take::Absent) => return Ok(()),
            Ok(Take::Missed) | Err(Missing::Now(_)) => return Err(Unreachable),
            Err(Missing::ForEver(error)) => return self.give_up(topic, id, &error),
        };
        let permit = self.capacity().take().ok_or(Unreachable)?;
        let hold = self.router.shard().begin_hold();
        let owed = match self.catch_up(records, topic, &record, hold).await {
            Ok(owed) => owed,
            Err(missing) => {
                self.router.end_hold(hold);
                let error = match missing {
                    Missing::ForEver(error) => error,
                    Missing::Now(why) => {
                        tracing::info!(hub = %topic.hub, connection = %id, why, "connection cannot go on yet");
                        return Err(Unreachable);
                    }
                };
                // If this goes nowhere, whoever comes next finds out as well.
                let _ = records.store.finish(name, &to, records.lifetime).await;
                return self.give_up(topic, id, &error);
            }
        };
        // Nobody may have needed them meanwhile, and nothing older than they be forgotten.
        records.begin_places(&record.places);
        // Nothing may come in between: from here until what was held is delivered nobody else has a turn.
        let seconds_left = u32::try_from(self.config.reconnect_window.as_secs()).unwrap_or(u32::MAX / 2);
        let portable = Portable { seconds_left, ..record.portable.clone() };
        let (connection, pending) = self.import(portable, permit);
        let known = self.topics_of(&connection).into_iter().collect();
        // If not all that it is owed has room, the rest has to be read from there again.
        let keeper = Keeper::new(Ledger::taken(to, &record), known, record.places.clone());
        self.keep_record(&connection, keeper, SequenceId(record.portable.membership.last));
        tracing::info!(hub = %topic.hub, connection = %id, missed = owed.len(), "connection goes on from its record");
        let identities = owed.iter().map(|logged| logged.identity.clone()).collect();
        self.deliver_owed(connection.key, owed);
        let floors: Vec<_> = record.floors.all().map(|(partition, up_to)| (partition.0, up_to)).collect();
        let topics = self.router.topics_of(connection.key, &topic.hub, id);
        let is_complete = self.router.release_hold((hold, connection.key), topics, identities, &floors);
        if !is_complete || !pending.is_settled() {
            self.lose_messages(connection.key);
            return Err(Unreachable);
        }
        self.flush_soon();
        Ok(())
    }

    fn give_up(&self, topic: &Topic, id: &ConnectionId, error: &StoreError) -> Result<(), Unreachable> {
        tracing::warn!(hub = %topic.hub, connection = %id, %error, "a connection cannot go on from its record");
        self.metrics
            .close(CloseReason::MessagesLost.category(), crate::telemetry::metrics::Initiator::Broker);
        Ok(())
    }

    /// Holds what is sent to a connection, and finds out what it has missed before.
    async fn catch_up(
        &self,
        records: &Records,
        topic: &Topic,
        record: &Record,
        hold: HoldKey,
    ) -> Result<Vec<Logged>, Missing> {
        let Portable { user_id, membership, .. } = &record.portable;
        let groups = membership.groups.iter().map(|membership| membership.group.clone());
        let held = self.hold_all(hold, topic, user_id.clone(), groups).await;
        let topics = held.map_err(|_| Missing::Now("what is sent to it cannot be heard"))?;
        let partitions: PartitionSet = topics.iter().map(Router::partition_of).collect();
        // What has been noted and has not come by now is held.
        let arrived = self.router.arrived_in(&partitions).await.ok();
        let position = arrived.and_then(|()| self.router.position(&partitions));
        position.ok_or(Missing::Now("what was sent to it has not arrived"))?;
        records.begin_places(&record.places);
        let mut logged = Vec::new();
        for partition in partitions.iter() {
            let place = record.places.get(&partition).ok_or(Missing::ForEver(StoreError::Lost))?;
            let there: Vec<Topic> =
                topics.iter().filter(|topic| Router::partition_of(topic) == partition).cloned().collect();
            logged.extend(records.store.read(partition, place, (&there, &record.floors)).await?);
        }
        if !self.router.shard().is_complete(hold) {
            return Err(Missing::Now("too much was sent to it meanwhile"));
        }
        let topics: HashSet<Topic> = topics.into_iter().collect();
        Ok(owed(logged, &topics, &record.floors))
    }

    fn deliver_owed(&self, key: MemberKey, owed: Vec<Logged>) {
        let now = Instant::now();
        let mut shard = self.router.shard();
        for Logged { command, identity, age, .. } in owed {
            // It has no room for more. The rest is still owed when it has.
            if shard.is_behind(key) {
                break;
            }
            let left = command.time_to_live.map(|time_to_live| time_to_live.checked_sub(age));
            if left != Some(None) {
                let expires_at = left.flatten().map(|left| now + left);
                shard.deliver_held(key, &Held { command, identity: Some(identity), expires_at });
            }
        }
    }

    /// A connection has missed messages. It ends, and its client begins anew and knows that it has to; a durable one goes
    /// on from its record.
    pub(in crate::client) fn lose_messages(&self, key: MemberKey) {
        if !self.let_lie(key) {
            self.end(key, CloseReason::MessagesLost);
        }
    }

    /// What another node needs to go on with the record of a connection that it is given.
    pub(in crate::client) fn record_state(&self, connection: &Connection) -> Option<RecordState> {
        let keeper = connection.keeper()?;
        let ledger = keeper.ledger.borrow();
        let predecessor = keeper.predecessor.borrow();
        let owner = predecessor.as_ref().unwrap_or_else(|| ledger.owner());
        let served = ledger.served().all().map(|(partition, up_to)| (partition.0, up_to)).collect();
        Some(RecordState { owner: (owner.node.clone(), owner.epoch, owner.term), served })
    }

    /// Begins to keep the record of a connection that another node has given up.
    pub(in crate::client) fn inherit_record(&self, connection: &Rc<Connection>, state: RecordState) {
        let Some(records) = &self.records else { return };
        let RecordState { owner: (node, epoch, term), served } = state;
        let from = Owner { node, epoch, term };
        let mut ledger = Ledger::new(from.successor(self.router.node().clone(), records.epoch));
        ledger.serve(to_floors(served));
        let known = self.topics_of(connection).into_iter().collect();
        let keeper = Keeper::new(ledger, known, Places::new());
        keeper.predecessor.replace(Some(from));
        self.keep_record(connection, keeper, SequenceId(0));
    }

    /// Takes over the record of a connection that another node has given up.
    pub(super) async fn succeed(
        &self,
        records: &Records,
        connection: &Rc<Connection>,
        keeper: &Keeper,
        from: Owner,
    ) -> Step {
        let (hub, id) = name_of(connection);
        let to = keeper.ledger.borrow().owner().clone();
        let taken = records.store.take((&hub, &id), (&from, &to), records.lifetime).await;
        // What has come meanwhile is in the window as well, and has to be said to be served.
        self.keep_records();
        let messages = self.router.shard().unacknowledged(connection.key, Instant::now());
        let mut ledger = keeper.ledger.borrow_mut();
        let served = ledger.served().clone();
        match taken {
            Ok(Take::Taken(record)) => {
                records.begin_places(&record.places);
                let last = record.portable.membership.last;
                *ledger = Ledger::taken(to, &record);
                keeper.places.replace(record.places);
                // What the record has and the window has not any more.
                ledger.acknowledge(messages.first().map_or(u64::MAX, |first| first.number - 1));
                messages
                    .iter()
                    .filter(|message| message.number > last)
                    .for_each(|message| ledger.keep(message, None));
            }
            // Redis has lost it.
            Ok(Take::Absent) => {
                *ledger = Ledger::new(to);
                messages.iter().for_each(|message| ledger.keep(message, None));
            }
            Ok(Take::Missed) => return Step::Lost,
            Err(_) => return Step::Failed,
        }
        ledger.serve(served);
        keeper.predecessor.replace(None);
        keeper.written_at.set(Instant::now());
        Step::On
    }
}
