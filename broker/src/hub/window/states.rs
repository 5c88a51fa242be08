//! Messages of a window that tell what members of a group show. A newer one says all that an older one said, so they
//! replace each other, and they give way to what cannot be replaced.
//!
//! There are SDKs that never acknowledge them: such a client must not end for that. A gap in the numbers does no harm.
//! Source: `client-protocols.md` 11.

use std::collections::BTreeMap;
use std::rc::Rc;

use codec::ids::{ConnectionId, GroupName, SequenceId};
use hashbrown::HashMap;

use super::{Overrun, Window, WindowLimits};
use crate::hub::parcel::Parcel;

/// What a message tells the state of. A later message of the same slot replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::hub) struct StateSlot {
    /// The group.
    pub(in crate::hub) group: GroupName,
    /// Of this member; absent for a snapshot, which tells of all and replaces what was told of any.
    pub(in crate::hub) owner: Option<ConnectionId>,
}

/// Which messages of a window these are: for each slot the last one. Kept by windows that have had one.
#[derive(Debug, Default)]
pub(super) struct StateFrames {
    numbers: HashMap<StateSlot, SequenceId>,
    slots: BTreeMap<SequenceId, StateSlot>,
}

impl StateFrames {
    pub(super) fn insert(&mut self, id: SequenceId, slot: &StateSlot) {
        self.numbers.insert(slot.clone(), id);
        self.slots.insert(id, slot.clone());
    }

    fn remove(&mut self, id: SequenceId) {
        if let Some(slot) = self.slots.remove(&id) {
            self.numbers.remove(&slot);
        }
    }

    /// What the message of this number tells, if it is one of them.
    pub(super) fn slot(&self, id: SequenceId) -> Option<&StateSlot> {
        self.slots.get(&id)
    }

    /// What a message of this slot replaces.
    fn replaced_by(&self, slot: &StateSlot) -> Vec<SequenceId> {
        if slot.owner.is_some() {
            return self.numbers.get(slot).copied().into_iter().collect();
        }
        let of_group = self.slots.iter().filter(|(_, kept)| kept.group == slot.group);
        of_group.map(|(&id, _)| id).collect()
    }

    fn oldest(&self) -> Option<SequenceId> {
        self.slots.first_key_value().map(|(&id, _)| id)
    }

    /// Forgets those up to this number, which the window holds no longer.
    pub(super) fn acknowledge(&mut self, up_to: SequenceId) {
        while let Some(id) = self.oldest().filter(|&id| id <= up_to) {
            self.remove(id);
        }
    }
}

impl Window {
    /// Keeps the next message, as [`Window::push`] does, in the place of what it replaces.
    ///
    /// # Errors
    /// When it does not fit although all messages of this kind have given way.
    pub(in crate::hub) fn push_state(
        &mut self,
        parcel: &Rc<Parcel>,
        slot: &StateSlot,
        limits: WindowLimits,
    ) -> Result<(), Overrun> {
        let replaced = self.states().map(|states| states.replaced_by(slot)).unwrap_or_default();
        replaced.into_iter().for_each(|id| self.drop_state(id));
        self.push(parcel, limits)?;
        let exceptions = self.exceptions.get_or_insert_default();
        exceptions.states.get_or_insert_default().insert(SequenceId(self.last), slot);
        Ok(())
    }

    /// Lets the oldest messages of this kind give way until one of `len` bytes fits or none is left.
    pub(super) fn make_room(&mut self, len: usize, limits: WindowLimits) {
        while !self.fits(len, limits)
            && let Some(oldest) = self.states().and_then(|states| states.oldest())
        {
            self.drop_state(oldest);
        }
    }

    fn states(&self) -> Option<&StateFrames> {
        self.exceptions.as_ref()?.states.as_deref()
    }

    fn drop_state(&mut self, id: SequenceId) {
        if let Some(states) = self.exceptions.as_mut().and_then(|exceptions| exceptions.states.as_mut()) {
            states.remove(id);
        }
        self.remove(id);
    }
}

#[cfg(test)]
mod tests;
