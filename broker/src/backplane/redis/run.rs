//! The work on the links' thread: keeps up with who serves which partition, and one publisher, one caller and one
//! subscriber for each server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::backoff::Backoff;
use super::caller::Caller;
use super::link::Link;
use super::publisher::Publisher;
use super::scout::Scout;
use super::slots::Owners;
use super::subscriber::Subscriber;
use super::{Address, LinkError, Partition, ServerKey, Shared};
use crate::backplane::partitions::all;

/// Servers are asked this often who serves what.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// And never sooner than this after the last time.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Finds the servers until `deadline`, tells `found`, and goes on for ever.
pub(super) async fn run(
    shared: Arc<Shared>,
    deadline: Instant,
    found: oneshot::Sender<Result<(), LinkError>>,
) {
    let mut scout = Scout::new(shared.config.clone());
    let owners = match first_look(&mut scout, deadline).await {
        Ok(owners) => owners,
        Err(error) => {
            // Whoever wanted to know may have gone.
            let _ = found.send(Err(error));
            return;
        }
    };
    let mut fleet = Fleet {
        shared,
        servers: BTreeMap::new(),
        leaving: Vec::new(),
        next: 0,
        owners: [None; Partition::COUNT],
    };
    fleet.apply(&owners);
    let _ = found.send(Ok(()));
    let mut turn = 0;
    loop {
        sleep(LOOK_PAUSE).await;
        let wanted = timeout(LOOK_EVERY, fleet.shared.owners_wanted.notified()).await.is_ok();
        if wanted {
            // Whoever was asked last may be what has gone, or what has not heard of the others yet.
            scout.forget();
            turn += 1;
        }
        let mut known: Vec<Address> = fleet.servers.keys().cloned().collect();
        let servers = known.len();
        known.rotate_left(turn % servers.max(1));
        match scout.look(&known).await {
            Ok((_, owners)) => fleet.apply(&owners),
            Err(error) => debug!(%error, wanted, "nobody says which redis serves what"),
        }
    }
}

/// The first answer by which every partition has a server, with the permissions that the node needs.
async fn first_look(scout: &mut Scout, deadline: Instant) -> Result<Owners, LinkError> {
    let mut backoff = Backoff::new();
    loop {
        let looked = async {
            let (address, owners) = scout.look(&[]).await?;
            if !owners.is_complete() {
                return Err(LinkError::Incomplete(address));
            }
            scout.try_out().await?;
            Ok(owners)
        };
        let error = match looked.await {
            Ok(owners) => return Ok(owners),
            Err(error) => error,
        };
        let wait = backoff.next();
        if !error.may_pass() || Instant::now() + wait >= deadline {
            return Err(error);
        }
        sleep(wait).await;
    }
}

/// The servers, and who of them serves what.
struct Fleet {
    shared: Arc<Shared>,
    servers: BTreeMap<Address, Server>,
    /// Servers that own nothing, but may have something in flight.
    leaving: Vec<Server>,
    next: u64,
    owners: [Option<ServerKey>; Partition::COUNT],
}

struct Server {
    key: ServerKey,
    _publisher: Task,
    _caller: Task,
    _subscriber: Task,
}

/// Ends a task with its owner.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Fleet {
    fn apply(&mut self, owners: &Owners) {
        let mut changed = false;
        for partition in all() {
            let Some(address) = owners.of(partition) else { continue };
            let key = match self.servers.get(address) {
                Some(server) => server.key,
                None => self.join(address),
            };
            let present = &mut self.owners[usize::from(partition.0)];
            changed |= *present != Some(key);
            *present = Some(key);
        }
        if changed {
            info!(servers = self.servers.len(), "redis servers have new partitions");
            let owners = self.owners;
            let owner = |partition: Partition| owners[usize::from(partition.0)];
            let lost = self.shared.wishes().assign(owner);
            self.shared.outbox().assign(owner);
            self.shared.calls().assign(owner);
            self.shared.deaf(lost);
            self.shared.settle();
        }
        self.part();
    }

    /// Starts with a server that has not been known.
    fn join(&mut self, address: &Address) -> ServerKey {
        let key = ServerKey(self.next);
        self.next += 1;
        let [out, called, heard] = std::array::from_fn(|_| Arc::new(Notify::new()));
        self.shared.outbox().add(key, Arc::clone(&out));
        self.shared.calls().add(key, Arc::clone(&called));
        self.shared.wishes().add(key, Arc::clone(&heard));
        let link = |wake| Link { shared: Arc::clone(&self.shared), key, address: address.clone(), wake };
        let publisher = Publisher { link: link(out) };
        let caller = Caller { link: link(called) };
        let subscriber = Subscriber { link: link(heard) };
        let server = Server {
            key,
            _publisher: Task(tokio::spawn(publisher.run()).abort_handle()),
            _caller: Task(tokio::spawn(caller.run()).abort_handle()),
            _subscriber: Task(tokio::spawn(subscriber.run()).abort_handle()),
        };
        self.servers.insert(address.clone(), server);
        key
    }

    /// Ends with servers that serve nothing. One that has something in flight goes a little later.
    fn part(&mut self) {
        let idle = |server: &Server| !self.owners.contains(&Some(server.key));
        let idle: Vec<Address> = self
            .servers
            .iter()
            .filter(|(_, server)| idle(server))
            .map(|(address, _)| address.clone())
            .collect();
        self.leaving.extend(idle.iter().filter_map(|address| self.servers.remove(address)));
        let shared = &self.shared;
        self.leaving.retain(|server| {
            let over =
                shared.outbox().remove_if_unused(server.key) && shared.calls().remove_if_unused(server.key);
            if over {
                shared.wishes().remove(server.key);
            }
            !over
        });
    }
}
