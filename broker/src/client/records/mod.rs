//! The records of durable connections: what another node needs to go on with one when this node is lost.
//!
//! A connection's record is written by one task at a time, which writes whatever has come since its last write. The hub
//! lets nothing leave before that is told to be written (`hub::gate`). Every few seconds records are renewed: they live on,
//! and say up to where the logs need not be read any more.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use codec::ids::{ConnectionId, HubName, SequenceId};
use futures_util::future::join_all;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::connection::Connection;
use super::connections::Connections;
use crate::backplane::store::{Fate, Floors, Ledger, Owner, Store, Write};
use crate::backplane::wire::session;
use crate::backplane::{Partition, PartitionSet};
use crate::hub::{MemberKey, Unwritten, UnwrittenMessage, Version};
use crate::model::command::{Identity, Topic};
use crate::router::Router;
use places::Places;

mod behind;
mod places;
mod recalling;

/// How often records are renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// How often those who have fallen behind are looked after.
const LOOK: Duration = Duration::from_millis(500);
/// How much longer than a client may stay away its record lives: Redis may be away, and nothing be renewed meanwhile.
const MARGIN: Duration = Duration::from_secs(600);
/// Longest wait for the end of a log. A server that is away must not keep the others' records from being renewed.
const END: Duration = Duration::from_secs(2);
/// How many connections of a worker go on from their records at the same time.
const RECALLS: usize = 16;
/// Pause after a write of which nobody knows whether it was done.
const PAUSE: Duration = Duration::from_millis(200);

/// What a worker needs for the records of its connections.
pub(super) struct Records {
    store: Store,
    epoch: u64,
    lifetime: Duration,
    recalls: Semaphore,
    /// Up to where everything that was noted in a partition has reached this worker's members.
    places: RefCell<Places>,
}

/// What is written of one connection.
pub(super) struct Keeper {
    ledger: RefCell<Ledger>,
    /// Its task is at work.
    is_at_work: Cell<bool>,
    /// Its record is to be renewed.
    is_due: Cell<bool>,
    /// What of it the ledger has last been given.
    described: Cell<Option<Version>>,
    /// When the last write began that was confirmed.
    written_at: Cell<Instant>,
    /// Topics of which the ledger knows what came before the connection was there.
    known: RefCell<HashSet<Topic>>,
    /// Since when it has been behind, if it is.
    behind_since: Cell<Option<Instant>>,
    /// Since when its client has had a socket, left its window full, and acknowledged nothing, if it has fallen behind; and
    /// the number of the first message in the window.
    full_since: Cell<Option<(Instant, Option<u64>)>>,
    /// Places that its record names.
    places: RefCell<Places>,
    /// The connection is not here any more.
    gone: Notify,
    /// The record is that of a node which has given the connection up, and is to be taken over.
    predecessor: RefCell<Option<Owner>>,
}

/// What became of one step of a keeper.
enum Step {
    /// Something is written, or more has come.
    On,
    /// All is written.
    Idle,
    /// Nobody knows whether it is.
    Failed,
    /// The connection is somebody else's.
    Lost,
}

impl Keeper {
    /// How many owners the record has had before whoever has it: this node, or the one that has given the connection up
    /// to it, until this node has taken the record. Another may take it first.
    pub(super) fn term(&self) -> u64 {
        let predecessor = self.predecessor.borrow();
        predecessor.as_ref().map_or_else(|| self.ledger.borrow().owner().term, |from| from.term)
    }

    fn new(ledger: Ledger, known: HashSet<Topic>, places: Places) -> Self {
        Self {
            ledger: RefCell::new(ledger),
            is_at_work: Cell::new(false),
            is_due: Cell::new(false),
            described: Cell::new(None),
            written_at: Cell::new(Instant::now()),
            known: RefCell::new(known),
            behind_since: Cell::new(None),
            full_since: Cell::new(None),
            gone: Notify::new(),
            places: RefCell::new(places),
            predecessor: RefCell::default(),
        }
    }
}

impl Records {
    /// Those of a worker whose clients may stay away for so long; nothing if nothing can be kept.
    pub(super) fn new(router: &Router, reconnect_window: Duration) -> Option<Self> {
        let (store, epoch) = router.store()?;
        Some(Self {
            store,
            epoch,
            lifetime: reconnect_window + MARGIN,
            recalls: Semaphore::new(RECALLS),
            places: RefCell::default(),
        })
    }

    fn first_owner(&self, router: &Router) -> Owner {
        Owner { node: router.node().clone(), epoch: self.epoch, term: 0 }
    }
}

impl Connections {
    /// Begins to keep the record of a connection, if it is a reliable one of a durable hub.
    pub(super) fn begin_keeping(&self, connection: &Rc<Connection>) {
        if let Some(records) = self.records_for(connection) {
            let ledger = Ledger::new(records.first_owner(&self.router));
            self.keep_record(connection, Keeper::new(ledger, HashSet::new(), Places::new()), SequenceId(0));
        }
    }

    fn records_for(&self, connection: &Connection) -> Option<&Records> {
        let is_durable = self.router.is_durable(connection.session().hub());
        self.records.as_ref().filter(|_| is_durable && connection.recovery.is_some())
    }

    fn keep_record(&self, connection: &Rc<Connection>, keeper: Keeper, written: SequenceId) {
        connection.set_keeper(keeper);
        self.router.shard().make_durable(connection.key, written);
    }

    /// Sees to it that what has come for durable connections is written.
    pub(super) fn keep_records(&self) {
        if self.records.is_none() {
            return;
        }
        for connection in self.take_unwritten() {
            self.keep(&connection);
        }
    }

    /// Gives what has come to the ledgers, and gives the connections of which there is something new.
    fn take_unwritten(&self) -> Vec<Rc<Connection>> {
        let Unwritten { messages, mut changed } = self.router.shard().take_unwritten();
        let table = self.table.borrow();
        for UnwrittenMessage { key, message, source } in messages {
            let Some(keeper) = table.get(key).and_then(|connection| connection.keeper()) else { continue };
            let source = source.as_ref().map(|(topic, identity)| (Router::partition_of(topic), identity));
            keeper.ledger.borrow_mut().keep(&message, source);
            changed.push(key);
        }
        changed.sort_unstable();
        changed.dedup();
        changed.iter().filter_map(|&key| table.get(key).cloned()).collect()
    }

    /// Begins to write what is to be written of a connection, unless that is under way.
    fn keep(&self, connection: &Rc<Connection>) {
        let is_needed = connection.keeper().is_some_and(|keeper| !keeper.is_at_work.replace(true));
        if is_needed {
            tokio::task::spawn_local(Self::keep_on(Rc::clone(connection)));
        }
    }

    async fn keep_on(connection: Rc<Connection>) {
        let connections = &connection.connections;
        let (Some(records), Some(keeper)) = (&connections.records, connection.keeper()) else { return };
        while connections.has(&connection) {
            match connections.keep_step(records, &connection, keeper).await {
                Step::On => {}
                Step::Idle => break,
                Step::Failed => tokio::time::sleep(PAUSE).await,
                Step::Lost => {
                    let (hub, id) = name_of(&connection);
                    tracing::warn!(%hub, connection = %id, "another node goes on with the connection");
                    connections.let_lie(connection.key);
                }
            }
        }
        keeper.is_at_work.set(false);
        connections.router.written_no_more();
    }

    async fn keep_step(&self, records: &Records, connection: &Rc<Connection>, keeper: &Keeper) -> Step {
        let predecessor = keeper.predecessor.borrow().clone();
        if let Some(from) = predecessor {
            return self.succeed(records, connection, keeper, from).await;
        }
        // Before the connection is described, so that what it has been sent is in the same write.
        self.keep_records();
        let key = connection.key;
        let version = self.router.shard().version(key);
        if keeper.is_due.get() || keeper.described.get() != Some(version) {
            let mut topics: HashSet<Topic> = self.topics_of(connection).into_iter().collect();
            keeper.known.borrow_mut().retain(|topic| topics.contains(topic));
            let partitions: PartitionSet = topics.iter().map(Router::partition_of).collect();
            let missing = partitions.without(&records.placed());
            if !missing.is_empty() {
                return self.find_places(records, &missing).await;
            }
            topics.retain(|topic| !keeper.known.borrow().contains(topic));
            if !topics.is_empty() {
                return self.begin_topics(connection, keeper, topics).await;
            }
            if keeper.is_due.get() {
                let numbers = self.router.shard().numbers(key);
                keeper.ledger.borrow_mut().retain(&numbers);
            }
            self.describe_in(records, connection, keeper);
            keeper.described.set(Some(version));
        }
        let is_due = keeper.is_due.replace(false);
        let write = keeper.ledger.borrow_mut().next(is_due);
        let Some(write) = write else { return Step::Idle };
        self.write_record(records, connection, keeper, (write, version)).await
    }

    async fn write_record(
        &self,
        records: &Records,
        connection: &Rc<Connection>,
        keeper: &Keeper,
        (write, version): (Write, Version),
    ) -> Step {
        let (hub, id) = name_of(connection);
        let began = Instant::now();
        let writing = records.store.write((&hub, &id), write, records.lifetime);
        let written = tokio::select! {
            written = writing => written,
            () = keeper.gone.notified() => return Step::Idle,
        };
        let Ok(verdict) = written else {
            keeper.ledger.borrow_mut().undecided();
            return Step::Failed;
        };
        let fate = verdict.fate(keeper.written_at.get().elapsed(), records.lifetime);
        match fate {
            Fate::Stays => {
                keeper.ledger.borrow_mut().decided(fate);
                keeper.written_at.set(began);
                let confirmed = keeper.ledger.borrow().confirmed();
                self.router.written(connection.key, SequenceId(confirmed), version);
                self.flush_soon();
            }
            Fate::Anew => {
                // What has come meanwhile is in the window as well.
                self.keep_records();
                let messages = self.router.shard().unacknowledged(connection.key, Instant::now());
                let mut ledger = keeper.ledger.borrow_mut();
                ledger.decided(fate);
                messages.iter().for_each(|message| ledger.keep(message, None));
                keeper.described.set(None);
            }
            Fate::Ends => return Step::Lost,
        }
        Step::On
    }

    fn topics_of(&self, connection: &Connection) -> Vec<Topic> {
        let (hub, id) = name_of(connection);
        self.router.topics_of(connection.key, &hub, &id)
    }

    fn partitions_of(&self, connection: &Connection) -> PartitionSet {
        self.topics_of(connection).iter().map(Router::partition_of).collect()
    }

    /// Tells the ledger what had come before the connection was sent what goes to these topics: it is owed nothing of that.
    /// One that is behind may get some of it all the same, when it goes on from its record.
    async fn begin_topics(&self, connection: &Rc<Connection>, keeper: &Keeper, new: HashSet<Topic>) -> Step {
        let is_behind = || self.router.shard().is_behind(connection.key);
        if !is_behind() {
            let partitions = new.iter().map(Router::partition_of).collect();
            let Some(floors) = self.router.position(&partitions) else { return Step::Failed };
            // What has come for it by then is in the ledger before it is said to have been served.
            self.router.caught_up().await;
            self.keep_records();
            // Otherwise some of it may not have reached it.
            if !is_behind() {
                keeper.ledger.borrow_mut().serve(to_floors(floors));
            }
        }
        keeper.known.borrow_mut().extend(new);
        Step::On
    }

    /// Asks where the logs of partitions end, which this worker has had nothing to do with until now.
    async fn find_places(&self, records: &Records, partitions: &PartitionSet) -> Step {
        let found = records.ends(partitions).await;
        let all = found.len() == partitions.len();
        records.begin_places(&found);
        if all { Step::On } else { Step::Failed }
    }

    /// Gives the ledger everything of a connection but its messages.
    fn describe_in(&self, records: &Records, connection: &Connection, keeper: &Keeper) {
        let Some(portable) = self.describe(connection) else { return };
        let partitions = self.partitions_of(connection);
        let is_behind = self.router.shard().is_behind(connection.key);
        let mut places = keeper.places.borrow_mut();
        places::move_on(&mut places, &records.places.borrow(), &partitions, is_behind);
        keeper.ledger.borrow_mut().describe(session::encode_record(&portable, &places).into());
    }

    /// A client has acknowledged messages: they need not be kept any longer. That is written with what is written next.
    pub(super) fn acknowledged_in_record(&self, connection: &Connection, up_to: SequenceId) {
        if let Some(keeper) = connection.keeper() {
            keeper.ledger.borrow_mut().acknowledge(up_to.0);
            // It has to be written before somebody goes on with the connection, who would have no more room otherwise.
            if keeper.behind_since.get().is_some() {
                keeper.behind_since.set(Some(Instant::now()));
            }
        }
    }

    /// Notes that something of a connection has changed that the hub does not know of.
    pub(super) fn changed(&self, connection: &Connection) {
        if connection.keeper().is_some() {
            self.router.shard().changed(connection.key);
        }
    }

    /// Renews the records of this worker's connections, for ever.
    pub async fn keep_renewing(self: Rc<Self>) {
        let Some(records) = &self.records else { return };
        let mut next = Instant::now() + RENEWAL;
        loop {
            tokio::time::sleep(LOOK).await;
            self.catch_up_with_records();
            if Instant::now() < next {
                continue;
            }
            next = Instant::now() + RENEWAL;
            for connection in self.durable() {
                if let Some(keeper) = connection.keeper() {
                    self.renew(&connection, keeper);
                }
            }
            // The next renewal brings them.
            self.move_places(records).await;
        }
    }

    /// Lets a record be written although nothing may have come.
    fn renew(&self, connection: &Rc<Connection>, keeper: &Keeper) {
        keeper.is_due.set(true);
        self.keep(connection);
    }

    fn durable(&self) -> Vec<Rc<Connection>> {
        let table = self.table.borrow();
        table.values().filter(|connection| connection.keeper().is_some()).cloned().collect()
    }

    fn durable_partitions(&self) -> PartitionSet {
        let mut partitions = PartitionSet::EMPTY;
        self.durable().iter().for_each(|connection| partitions.add(&self.partitions_of(connection)));
        partitions
    }

    /// Finds out up to where the logs have reached all members of this worker.
    async fn move_places(&self, records: &Records) {
        // Where the server does not answer the older place stays, and more would have to be read.
        let places = records.ends(&self.durable_partitions()).await;
        let found: PartitionSet = places.keys().copied().collect();
        if self.router.arrived_in(&found).await.is_err() || self.router.position(&found).is_none() {
            return;
        }
        self.router.caught_up().await;
        let used = self.durable_partitions();
        let mut known = records.places.borrow_mut();
        known.extend(places);
        known.retain(|partition, _| used.contains(*partition));
    }

    /// A connection has ended: nobody is to go on with it.
    pub(super) fn end_record(&self, connection: &Connection) {
        let (Some(records), Some(keeper)) = (&self.records, connection.keeper()) else { return };
        let (hub, id) = name_of(connection);
        // It may not have been taken over yet.
        let predecessor = keeper.predecessor.borrow().clone();
        let owners: Vec<Owner> =
            predecessor.into_iter().chain([keeper.ledger.borrow().owner().clone()]).collect();
        let (store, lifetime) = (records.store.clone(), records.lifetime);
        tokio::task::spawn_local(async move {
            // After that there is no record any more.
            let until = Instant::now() + lifetime;
            for owner in owners {
                while store.finish((&hub, &id), &owner, lifetime).await.is_err() && Instant::now() < until {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        self.forget_record(connection);
    }

    /// A connection is not here any more: nothing more is written, and who waits for that need not wait any longer.
    pub(super) fn forget_record(&self, connection: &Connection) {
        if let Some(keeper) = connection.keeper() {
            keeper.gone.notify_waiters();
            self.router.written_no_more();
        }
    }

    /// Forgets a durable connection without a word, so that its client takes it up again from its record. False when it
    /// has none, or is about to end.
    pub(super) fn let_lie(&self, key: MemberKey) -> bool {
        let is_durable = self.table.borrow().get(key).is_some_and(|connection| connection.keeper().is_some());
        is_durable && self.export(key).is_some()
    }

    /// Waits until everything is written that is to be, but no longer than until then.
    pub(super) async fn all_written(&self, until: Instant) {
        loop {
            let progress = self.router.progress();
            let is_at_work = |connection: &Rc<Connection>| {
                connection.keeper().is_some_and(|keeper| keeper.is_at_work.get())
            };
            let is_busy = self.table.borrow().values().any(is_at_work);
            if !is_busy || tokio::time::timeout_at(until, progress).await.is_err() {
                return;
            }
        }
    }
}

impl Records {
    /// Where the logs of these partitions end, of those whose servers say so soon.
    async fn ends(&self, partitions: &PartitionSet) -> Places {
        let end = |partition| async move {
            let place = tokio::time::timeout(END, self.store.end(partition)).await;
            Some((partition, place.ok()?.ok()?))
        };
        join_all(partitions.iter().map(end)).await.into_iter().flatten().collect()
    }

    /// Where to begin in partitions that this worker has had nothing to do with until now.
    fn begin_places(&self, found: &Places) {
        let mut places = self.places.borrow_mut();
        for (&partition, &place) in found {
            places.entry(partition).or_insert(place);
        }
    }

    fn placed(&self) -> PartitionSet {
        self.places.borrow().keys().copied().collect()
    }
}

fn to_floors(floors: Vec<(u8, Identity)>) -> Floors {
    floors.into_iter().map(|(partition, up_to)| (Partition(partition), up_to)).collect()
}

fn name_of(connection: &Connection) -> (HubName, ConnectionId) {
    let session = connection.session();
    (session.hub().clone(), session.connection_id().clone())
}
