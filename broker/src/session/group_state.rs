//! Rules of what a connection shows to groups and sees of their members. Whether it is a member is for the hub to say,
//! after these. Source: `client-protocols.md` 11.

use codec::ids::{AckId, GroupName};
use codec::message::{AckError, GroupState, MAX_GROUP_STATE};

use super::{Deed, Effect, Session, refuse_if_asked};
use crate::auth::permission::Action;

impl Session {
    pub(super) fn set_group_state(
        &self,
        group: GroupName,
        state: Option<GroupState>,
        ack_id: Option<AckId>,
    ) -> Effect {
        let forbidden =
            self.forbidden(ack_id, Action::SetGroupState, &group, |_| AckError::SetStateForbidden);
        if let Some(forbidden) = forbidden {
            return forbidden;
        }
        if state.as_ref().is_some_and(|state| state.len_bytes() > MAX_GROUP_STATE) {
            return refuse_if_asked(ack_id, AckError::StateTooLarge);
        }
        Effect::Do(Deed::SetGroupState(group, state), ack_id)
    }

    pub(super) fn subscribe_group_state(&self, group: GroupName, ack_id: Option<AckId>) -> Effect {
        let forbidden = self.forbidden(ack_id, Action::GetGroupState, &group, AckError::GetStateForbidden);
        forbidden.unwrap_or(Effect::Do(Deed::SubscribeGroupState(group), ack_id))
    }

    /// Whoever may not see anything may say so too.
    pub(super) fn unsubscribe_group_state(&self, group: GroupName, ack_id: Option<AckId>) -> Effect {
        let duplicate = ack_id.and_then(|ack_id| self.duplicate(ack_id));
        duplicate.unwrap_or(Effect::Do(Deed::UnsubscribeGroupState(group), ack_id))
    }
}

#[cfg(test)]
mod tests;
