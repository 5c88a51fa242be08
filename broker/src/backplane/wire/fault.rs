//! Why an envelope is dropped. Nothing here repeats what was in it.

use codec::ids::InvalidName;
use codec::message::InvalidPayload;
use codec::metadata::InvalidMetadata;

use super::Stamp;

/// An envelope that cannot be brought to anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Its bytes are not what any version writes.
    #[error("a malformed envelope: {cause}")]
    Malformed {
        /// Where it stands, if that could be read.
        stamp: Option<Stamp>,
        /// What is wrong with it.
        cause: Malformed,
    },
    /// It is well formed, and says something that this version does not know.
    #[error("an envelope that this version does not know")]
    Unknown {
        /// Where it stands.
        stamp: Stamp,
    },
}

/// What is wrong with an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes do not fit the schema.
    #[error(transparent)]
    Form(#[from] prost::DecodeError),
    /// A message without which another one means nothing.
    #[error("`{0}` is absent")]
    Missing(&'static str),
    /// A number outside its range.
    #[error("`{0}` is out of range")]
    Range(&'static str),
    /// A name or an id that breaks its rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A payload that is not of its kind.
    #[error(transparent)]
    Payload(#[from] InvalidPayload),
    /// Metadata over a limit.
    #[error(transparent)]
    Metadata(#[from] InvalidMetadata),
    /// A filter that cannot be read.
    #[error("the filter is invalid")]
    Filter,
}

/// What decoding a body fails with, whose stamp its functions do not know.
#[derive(Debug)]
pub(super) enum Fault {
    /// As [`WireError::Malformed`].
    Malformed(Malformed),
    /// As [`WireError::Unknown`].
    Unknown,
}

impl<E: Into<Malformed>> From<E> for Fault {
    fn from(cause: E) -> Self {
        Self::Malformed(cause.into())
    }
}
