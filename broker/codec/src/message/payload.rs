//! What a message holds: content of a declared kind, with the metadata beside it. Source: `client-protocols.md` 6 and 7.

use bytes::Bytes;

use crate::metadata::Metadata;

/// Kind of a payload, as the sender declared it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// UTF-8 text.
    Text,
    /// One JSON value, kept as the sender wrote it.
    Json,
    /// Bytes without a meaning to us.
    Binary,
    /// A serialized `google.protobuf.Any`.
    Protobuf,
}

/// Content of a message. Text is valid UTF-8 and JSON is one valid value, because the constructors saw to it, so that
/// an encoder may copy the bytes into an envelope unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    data_type: DataType,
    bytes: Bytes,
}

/// A payload's bytes do not fit its declared kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPayload {
    /// Declared as text.
    #[error("the text is not valid UTF-8")]
    Text,
    /// Declared as JSON.
    #[error("the bytes are not one JSON value of at most 64 levels")]
    Json,
    /// Declared as protobuf.
    #[error("the bytes are not a serialized google.protobuf.Any")]
    Protobuf,
}

impl Payload {
    /// Text that is known to be UTF-8.
    pub fn text(text: impl Into<String>) -> Self {
        Self { data_type: DataType::Text, bytes: Bytes::from(text.into()) }
    }

    /// Text in bytes.
    ///
    /// # Errors
    /// [`InvalidPayload::Text`] when they are not UTF-8.
    pub fn text_from_utf8(bytes: Bytes) -> Result<Self, InvalidPayload> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Self { data_type: DataType::Text, bytes }),
            Err(_) => Err(InvalidPayload::Text),
        }
    }

    /// One JSON value in text form; white space and spelling are kept.
    ///
    /// # Errors
    /// [`InvalidPayload::Json`] when the bytes are anything else than one JSON value of at most 64 levels.
    pub fn json(bytes: Bytes) -> Result<Self, InvalidPayload> {
        match crate::json::check_value(&bytes) {
            true => Ok(Self { data_type: DataType::Json, bytes }),
            false => Err(InvalidPayload::Json),
        }
    }

    /// Bytes as they are.
    pub fn binary(bytes: Bytes) -> Self {
        Self { data_type: DataType::Binary, bytes }
    }

    /// A serialized `google.protobuf.Any`, whatever it holds.
    ///
    /// # Errors
    /// [`InvalidPayload::Protobuf`] when the bytes do not have the shape of one.
    pub fn protobuf(bytes: Bytes) -> Result<Self, InvalidPayload> {
        match crate::any::check(&bytes) {
            true => Ok(Self { data_type: DataType::Protobuf, bytes }),
            false => Err(InvalidPayload::Protobuf),
        }
    }

    /// JSON that the caller has parsed already.
    pub(crate) fn checked_json(bytes: Bytes) -> Self {
        Self { data_type: DataType::Json, bytes }
    }

    /// The declared kind.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// The content.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Kind of a WebSocket message that carries data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

/// A payload with the metadata that travels beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// What was sent.
    pub payload: Payload,
    /// Absent when the sender gave none; an empty map when it gave an empty one.
    pub metadata: Option<Metadata>,
}
