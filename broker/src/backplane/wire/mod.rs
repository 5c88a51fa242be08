//! Envelopes to bytes and back: the messages of `proto/cluster/envelope.proto`, whose rules let nodes of different
//! versions understand each other.
//!
//! Pure translation, one file for each kind of message. Who publishes to what, and what numbers mean, is for the buses
//! that call this.

mod answer;
mod command;
mod fault;
mod group_state;
mod link;
mod names;
mod payload;
pub mod session;
mod survey;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;
use codec::ids::NodeId;
use prost::Message as _;
use proto::cluster::{self, envelope};

use super::Content;
use fault::Fault;

pub use fault::{Malformed, WireError};
pub use link::LinkMessage;

/// Where the encoded numbers of an envelope stand: each behind one byte that names its field.
const SEQUENCE: Range<usize> = 1..9;
const PREVIOUS: Range<usize> = 10..18;
/// Stands for a number until it is known. A 0 would not be written.
const UNKNOWN_NUMBER: u64 = u64::MAX;

/// Where an envelope stands among all that its process publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The node that published it.
    pub origin: NodeId,
    /// Which run of the node: a random number of the process.
    pub epoch: u64,
    /// Its number among all that the process publishes, on whatever channel, from 1.
    pub sequence: u64,
    /// Number of the last envelope before it on the same channel; 0 when that is not known.
    pub previous: u64,
}

/// What stands in an envelope.
#[derive(Debug, Clone)]
pub enum Body {
    /// For routers.
    Content(Content),
    /// For buses.
    Link(LinkMessage),
}

/// An encoded envelope with room for its numbers, so that they can be written under a lock without copying the content.
#[derive(Debug)]
pub struct Unsealed(Vec<u8>);

impl Unsealed {
    /// Encodes what `origin` says in its run `epoch`.
    pub fn new(origin: &NodeId, epoch: u64, body: &Body) -> Self {
        let envelope = cluster::Envelope {
            sequence: UNKNOWN_NUMBER,
            previous: UNKNOWN_NUMBER,
            epoch,
            origin: origin.as_str().to_owned(),
            body: Some(encode(body)),
        };
        Self(envelope.encode_to_vec())
    }

    /// Bytes of the envelope, which the numbers do not change.
    #[expect(clippy::len_without_is_empty, reason = "there is always room for the numbers")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes the numbers of its [`Stamp`].
    pub fn seal(mut self, sequence: u64, previous: u64) -> Bytes {
        self.0[SEQUENCE].copy_from_slice(&sequence.to_le_bytes());
        self.0[PREVIOUS].copy_from_slice(&previous.to_le_bytes());
        self.0.into()
    }
}

fn encode(body: &Body) -> envelope::Body {
    match body {
        Body::Content(Content::Command { applied, command }) => {
            envelope::Body::Command(command::encode(*applied, command))
        }
        Body::Content(Content::Question { id, survey }) => {
            envelope::Body::Question(survey::encode(*id, survey))
        }
        Body::Content(Content::Reply { to, reply }) => envelope::Body::Reply(answer::encode(*to, reply)),
        Body::Link(message) => link::encode(message),
    }
}

/// Reads an envelope. Payloads, and envelopes within it, share its bytes.
///
/// # Errors
/// [`WireError`], with the stamp where it could be read: what cannot be understood has arrived all the same.
pub fn decode(bytes: Bytes) -> Result<(Stamp, Body), WireError> {
    let (stamp, body) = open(bytes).map_err(|cause| WireError::Malformed { stamp: None, cause })?;
    match decode_body(body) {
        Ok(body) => Ok((stamp, body)),
        Err(Fault::Unknown) => Err(WireError::Unknown { stamp }),
        Err(Fault::Malformed(cause)) => Err(WireError::Malformed { stamp: Some(stamp), cause }),
    }
}

/// The stamp, and the body as the schema has it, absent when the schema does not have it.
fn open(bytes: Bytes) -> Result<(Stamp, Option<envelope::Body>), Malformed> {
    let cluster::Envelope { sequence, previous, epoch, origin, body } = cluster::Envelope::decode(bytes)?;
    let origin = NodeId::new(&origin)?;
    Ok((Stamp { origin, epoch, sequence, previous }, body))
}

fn decode_body(body: Option<envelope::Body>) -> Result<Body, Fault> {
    match body.ok_or(Fault::Unknown)? {
        envelope::Body::Command(message) => command::decode(message).map(Body::Content),
        envelope::Body::Question(message) => survey::decode(message).map(Body::Content),
        envelope::Body::Reply(message) => answer::decode(message).map(Body::Content),
        envelope::Body::Beat(message) => Ok(Body::Link(link::beat(&message))),
        envelope::Body::Farewell(message) => Ok(Body::Link(link::farewell(&message))),
        envelope::Body::Complete(message) => Ok(Body::Link(link::complete(&message))),
        envelope::Body::Checkpoint(message) => Ok(Body::Link(link::checkpoint(&message))),
        envelope::Body::Repair(message) => Ok(Body::Link(link::repair(message)?)),
        envelope::Body::Repaired(message) => Ok(Body::Link(link::repaired(message)?)),
        envelope::Body::Probe(message) => Ok(Body::Link(link::probe(&message))),
    }
}
