//! Durable connections that have fallen behind: some of what was sent to them has not come, would come in another order, or
//! had no room in their windows. It is in the logs. Each goes on from its record when it can have it.

use std::rc::Rc;
use std::time::Duration;

use codec::ids::{ConnectionId, HubName};
use tokio::time::Instant;

use super::Keeper;
use crate::backplane::PartitionSet;
use crate::client::connection::Connection;
use crate::client::connections::Connections;
use crate::hub::MemberKey;
use crate::model::close::CloseReason;
use crate::model::command::Topic;
use crate::router::Router;

/// How long a client that has a socket may leave its window full and acknowledge nothing. Shorter than what it misses is
/// kept in the logs.
const FULL: Duration = Duration::from_secs(60);

impl Connections {
    /// Messages of these partitions do not come for a while, and when they do come, not in the order in which different
    /// nodes published them. Whoever is durable and concerned goes on from its record once they come again.
    pub(in crate::client) fn fall_behind(&self, partitions: &PartitionSet) {
        for connection in self.durable() {
            let concerned =
                self.partitions_of(&connection).iter().any(|partition| partitions.contains(partition));
            if let Some(keeper) = connection.keeper().filter(|_| concerned) {
                self.router.shard().fall_behind(connection.key);
                keeper.behind_since.set(Some(Instant::now()));
            }
        }
        // Those that are on their way here are to be fetched again.
        let is_behind = |topic: &Topic| {
            self.router.is_durable(&topic.hub) && partitions.contains(Router::partition_of(topic))
        };
        self.router.shard().spoil_holds(is_behind);
    }

    /// Lets those who have fallen behind go on from their records, if what is sent to them comes again and there is room
    /// for it.
    pub(super) fn catch_up_with_records(&self) {
        let is_behind = |connection: &Rc<Connection>| self.router.shard().is_behind(connection.key);
        for connection in self.durable().into_iter().filter(is_behind) {
            let Some(keeper) = connection.keeper() else { continue };
            // Its client is on its way to it.
            if connection.recovery.as_ref().is_some_and(|recovery| recovery.is_reserved.get()) {
                continue;
            }
            if self.router.shard().is_half_full(connection.key) {
                self.look_after_full(&connection, keeper);
                continue;
            }
            keeper.full_since.set(None);
            let since = keeper.behind_since.get().unwrap_or_else(Instant::now);
            keeper.behind_since.set(Some(since));
            if self.router.position(&self.partitions_of(&connection)).is_none() {
                continue;
            }
            // Its record may have been lost meanwhile, and is then written anew.
            if keeper.written_at.get() > since && !keeper.is_at_work.get() {
                self.let_lie(connection.key);
            } else {
                self.renew(&connection, keeper);
            }
        }
    }

    /// Whoever goes on with this connection would have no room either before its client has acknowledged more. One that
    /// has a socket and acknowledges nothing cannot be told any more what it misses.
    fn look_after_full(&self, connection: &Rc<Connection>, keeper: &Keeper) {
        let now = Instant::now();
        // What it acknowledges next has to be written before somebody goes on with it.
        keeper.behind_since.set(Some(now));
        let waits_for_client = connection.is_missing_until().is_none() && !keeper.is_at_work.get();
        let first = self.router.shard().numbers(connection.key).first().copied();
        let full = keeper.full_since.get().filter(|&(_, then)| waits_for_client && then == first);
        let (since, _) = full.unwrap_or((now, first));
        keeper.full_since.set(Some((since, first)));
        if now - since >= FULL {
            self.end(connection.key, CloseReason::WindowFull);
        }
    }

    /// Forgets a connection that is here and has fallen behind. Whoever its client comes to goes on with it.
    pub(in crate::client) fn forget_behind(&self, hub: &HubName, id: &ConnectionId) {
        if let Some(key) = self.find_behind(hub, id) {
            self.let_lie(key);
        }
    }

    /// The same, unless its client has to take and acknowledge first what is in its window.
    pub(in crate::client) fn forget_behind_with_room(&self, hub: &HubName, id: &ConnectionId) {
        let key = self.find_behind(hub, id);
        if let Some(key) = key.filter(|&key| !self.router.shard().is_half_full(key)) {
            self.let_lie(key);
        }
    }

    fn find_behind(&self, hub: &HubName, id: &ConnectionId) -> Option<MemberKey> {
        let shard = self.router.shard();
        shard.find(hub, id).filter(|&key| shard.is_behind(key))
    }
}
