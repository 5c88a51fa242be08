//! Sessions that move between nodes.

use std::time::Instant;

use super::{Conversation, Opening, Session};
use crate::auth::permission::Permissions;
use crate::model::command::Publication;
use crate::model::portable::Conduct;
use codec::ids::{AckId, InvocationId};

impl Session {
    /// What it may do and has done, for another node.
    pub fn export(&self, now: Instant) -> Conduct {
        let acks = match &self.conversation {
            Conversation::Messages(_, acks) => acks.export(),
            Conversation::Simple(_) => Vec::new(),
        };
        Conduct {
            permissions: self.permissions.grants(),
            acks,
            invocations: self.invocations.all().to_vec(),
            streams: self.streams.as_ref().map(|streams| streams.export(now)),
        }
    }

    /// Goes on where the session of another node was. What `opening` says of permissions is of no account.
    pub fn import(opening: Opening, conduct: Conduct, now: Instant) -> Self {
        let Conduct { permissions, acks, invocations, streams } = conduct;
        let mut session = Self::new(opening);
        session.permissions = Permissions::from_grants(permissions);
        if let Conversation::Messages(_, cache) = &mut session.conversation {
            cache.import(&acks);
        }
        session.invocations.import(invocations);
        session.streams = streams.map(|streams| Box::new(super::Streams::import(streams, now)));
        session
    }

    /// How a request to publish is known wherever it is repeated, if this client may repeat it at another node. The
    /// connection has had `term` owners before.
    pub fn publication(&self, ack_id: Option<AckId>, term: u64) -> Option<Publication> {
        let ack_id = ack_id.filter(|_| self.is_reliable())?;
        Some(Publication { connection: self.connection_id().clone(), ack_id, term })
    }

    /// The invocations that wait for the application's answer.
    pub fn invocations(&self) -> Vec<InvocationId> {
        self.invocations.all().to_vec()
    }
}

#[cfg(test)]
mod tests;
