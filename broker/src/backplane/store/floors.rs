//! How far a connection has been served: of what each run of a node published in each partition, everything up to a number.
//! All that a node brings to its members it brings in the order of these numbers.

use std::collections::BTreeMap;

use codec::ids::NodeId;

use crate::backplane::Partition;
use crate::model::command::Identity;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Floors(BTreeMap<(Partition, u64, String), u64>);

impl FromIterator<(Partition, Identity)> for Floors {
    fn from_iter<I: IntoIterator<Item = (Partition, Identity)>>(all: I) -> Self {
        let mut floors = Self::default();
        all.into_iter().for_each(|(partition, up_to)| floors.raise(partition, &up_to));
        floors
    }
}

impl Floors {
    /// Everything up to this has been served.
    pub fn raise(&mut self, partition: Partition, up_to: &Identity) {
        let Identity { origin, epoch, sequence } = up_to;
        let floor = self.0.entry((partition, *epoch, origin.as_str().to_owned())).or_default();
        *floor = (*floor).max(*sequence);
    }

    /// Takes in all of the other's.
    pub fn raise_all(&mut self, other: Self) {
        for (key, sequence) in other.0 {
            let floor = self.0.entry(key).or_default();
            *floor = (*floor).max(sequence);
        }
    }

    /// Whether this has been served.
    pub fn covers(&self, partition: Partition, identity: &Identity) -> bool {
        let Identity { origin, epoch, sequence } = identity;
        let floor = self.0.get(&(partition, *epoch, origin.as_str().to_owned()));
        floor.is_some_and(|floor| sequence <= floor)
    }

    /// Each with its partition.
    pub fn all(&self) -> impl Iterator<Item = (Partition, Identity)> + '_ {
        self.0.iter().filter_map(|((partition, epoch, origin), &sequence)| {
            let origin = NodeId::new(origin).ok()?;
            Some((*partition, Identity { origin, epoch: *epoch, sequence }))
        })
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each as the name of a field and its value.
    pub(super) fn fields(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|((partition, epoch, origin), sequence)| {
            (format!("f{}:{epoch:x}:{origin}", partition.0), sequence.to_string())
        })
    }

    /// Takes in a field without its first letter; false when it is none.
    pub(super) fn read(&mut self, name: &str, value: &str) -> bool {
        let read = || {
            let mut parts = name.splitn(3, ':');
            let partition = Partition(parts.next()?.parse().ok()?);
            let epoch = u64::from_str_radix(parts.next()?, 16).ok()?;
            let origin = NodeId::new(parts.next()?).ok()?;
            Some((partition, Identity { origin, epoch, sequence: value.parse().ok()? }))
        };
        let floor = read();
        if let Some((partition, up_to)) = &floor {
            self.raise(*partition, up_to);
        }
        floor.is_some()
    }
}
