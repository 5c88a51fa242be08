//! The protobuf protocols: what a client writes in a binary frame becomes an [`Upstream`](crate::message::Upstream),
//! and a [`Downstream`](crate::message::Downstream) becomes the message it reads.
//!
//! Frame headers do not live here, nor does any rule about who may do what. The session calls [`decode`], the fan-out
//! [`encode`]. Source: `client-protobuf.md`; the schema is in crate `proto`.

use crate::ids::InvalidName;
use crate::message::InvalidPayload;
use crate::metadata::InvalidMetadata;

mod decode;
mod encode;
mod sequence;
mod varint;

pub use decode::decode;
pub use encode::encode;
pub(crate) use sequence::{as_long, prefix_len, renumber, sequence_start_len, write_sequence_start};

/// What is wrong with a client's message. The client learns only that its socket closes with 1007; the text is for
/// logs and holds nothing that the client wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// The bytes do not have the form of the schema: cut off, of a wrong wire type, or text that is not UTF-8.
    #[error("the message does not have the form of an UpstreamMessage")]
    Form,
    /// No member of the message is set that we know.
    #[error("the message has no member of this protocol")]
    Member,
    /// A field that is missing or has a value which its place in the message does not allow.
    #[error("`{field}` must be {expected}")]
    Field {
        /// Its name in the schema.
        field: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// The group, the event or the invocation.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The map breaks a limit.
    #[error(transparent)]
    Metadata(#[from] InvalidMetadata),
    /// The content is not what its kind demands.
    #[error(transparent)]
    Payload(#[from] InvalidPayload),
}

#[cfg(test)]
mod tests;
