//! One connection as the hub knows it: a name, its places in rosters, and a queue.

use codec::ids::{ConnectionId, HubName, UserId};
use codec::subprotocol::{Encoding, Subprotocol};

use super::gate::Gate;
use super::outbox::Outbox;
use super::roster::{Place, RosterKey};

slotmap::new_key_type! {
    /// A member of a worker's shard. Never used again for another one.
    pub struct MemberKey;
}

/// What the hub is told of a connection that attaches.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Where it belongs.
    pub hub: HubName,
    /// Its id, which is nobody else's.
    pub connection_id: ConnectionId,
    /// Its user, if it has one.
    pub user_id: Option<UserId>,
    /// What was agreed on.
    pub subprotocol: Option<Subprotocol>,
}

/// A member. Fields that every delivery touches stand first.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) outbox: Outbox,
    pub(super) subprotocol: Option<Subprotocol>,
    /// It stands in the list of those to be flushed.
    pub(super) is_dirty: bool,
    /// The socket takes no more; a task waits for it and will go on writing.
    pub(super) is_blocked: bool,
    /// It has lost its socket and waits for another. Only reliable ones do.
    pub(super) is_suspended: bool,
    /// Absent unless it is durable.
    pub(super) gate: Option<Box<Gate>>,
    pub(super) connection_id: ConnectionId,
    pub(super) user_id: Option<UserId>,
    /// Sorted by roster: that of the hub, of the user if there is one, and of each group.
    pub(super) places: Vec<Place>,
}

impl Member {
    pub(super) fn new(member: &NewMember) -> Self {
        let is_reliable = member.subprotocol.is_some_and(Subprotocol::is_reliable);
        Self {
            outbox: if is_reliable { Outbox::reliable() } else { Outbox::default() },
            subprotocol: member.subprotocol,
            is_dirty: false,
            is_blocked: false,
            is_suspended: false,
            gate: None,
            connection_id: member.connection_id.clone(),
            user_id: member.user_id.clone(),
            // Hub and user, or hub and one group: what most have.
            places: Vec::with_capacity(2),
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        Encoding::of(self.subprotocol)
    }

    /// Where the place in `roster` stands in the sorted list, or where it would have to.
    pub(super) fn find_place(&self, roster: RosterKey) -> Result<usize, usize> {
        self.places.binary_search_by_key(&roster, |place| place.roster)
    }

    pub(super) fn is_in(&self, roster: RosterKey) -> bool {
        self.find_place(roster).is_ok()
    }

    /// How many groups it is in: all rosters but those of hub and user.
    pub(super) fn group_count(&self) -> usize {
        self.places.len() - 1 - usize::from(self.user_id.is_some())
    }
}
