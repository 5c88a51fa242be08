//! Events in the binary mode of CloudEvents 1.0 over HTTP, and what the application answers to them.
//!
//! Both ways are headers and a body; the HTTP call itself is the caller's, and so are headers that do not depend on the
//! event alone: signature, origin, request id, cookies and authorization. The webhook and the tunnel call
//! [`headers`] and [`body`] for what they send, the rest for what comes back. Source: `event-handlers.md`.

use crate::ids::InvalidName;
use crate::message::InvalidPayload;
use crate::metadata::InvalidMetadata;

mod connect;
mod content_type;
mod reply;
mod request;

pub use connect::read_connect_answer;
pub use reply::{connection_state, read_reply};
pub use request::{body, headers};

/// What headers with metadata begin with, both ways. The rest of the name is the key.
const METADATA_PREFIX: &str = "x-webpubsub-metadata-";

/// Why an event has no headers. Another attempt would end alike. The text is for logs and holds no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// A line feed or another control character, or a character beyond ASCII where only a user may have one.
    #[error("the value of `{header}` has characters that no header may have")]
    Header {
        /// Name of the header in lower case.
        header: String,
    },
    /// After the year 9999, for which the form of times has no room.
    #[error("the time of the event is after the year 9999")]
    Time,
}

/// What is wrong with an answer of the application. The text is for logs and holds nothing of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnswer {
    /// The answer to `connect` is something else.
    #[error("the answer is not one JSON object (line {line}, column {column})")]
    Json {
        /// Where it was noticed, counted from 1; 0 when the bytes are not even UTF-8.
        line: usize,
        /// Byte in that line, counted from 1; 0 as with the line.
        column: usize,
    },
    /// A wish for the connection has a value that it cannot have.
    #[error("`{property}` must be {expected}")]
    Property {
        /// Its name.
        property: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// The user, or one of the groups.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Not one of the four that a reply may have, or several.
    #[error(
        "the content type of a reply must be text/plain, application/json, application/octet-stream or \
         application/x-protobuf"
    )]
    ContentType,
    /// Text or JSON in another charset than UTF-8.
    #[error("the charset of a reply must be UTF-8")]
    Charset,
    /// The reply is not what its content type says.
    #[error(transparent)]
    Payload(#[from] InvalidPayload),
    /// The metadata breaks a limit.
    #[error(transparent)]
    Metadata(#[from] InvalidMetadata),
}
