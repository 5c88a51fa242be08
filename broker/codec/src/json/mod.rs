//! The JSON protocols: what a client writes in a text frame becomes an [`Upstream`](crate::message::Upstream), and a
//! [`Downstream`](crate::message::Downstream) becomes the envelope it reads.
//!
//! Frame headers do not live here, nor does any rule about who may do what. The socket calls [`decode`], the fan-out
//! [`encode`], and [`crate::message::Payload`] asks `check_value`. Source: `client-protocols.md` 6.

use serde::de::IgnoredAny;

use crate::ids::InvalidName;
use crate::message::InvalidPayload;
use crate::metadata::InvalidMetadata;

mod decode;
mod encode;
mod fields;
mod objects;

pub use decode::decode;
pub use encode::encode;
pub(crate) use encode::{as_long, renumber, sequence_start_len, write_sequence_start};

/// Most arrays and objects that may stand inside one another; the platform of the service has the same limit.
const MAX_DEPTH: usize = 64;

/// What is wrong with a client's message. The client learns only that its socket closes with 1007; the text is for
/// logs and holds nothing that the client wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// JSON is UTF-8.
    #[error("the message is not valid UTF-8")]
    Utf8,
    /// More than 64 arrays and objects inside one another.
    #[error("the message has more than 64 levels of arrays and objects")]
    Depth,
    /// No JSON, something behind it, or no object.
    #[error("the message is not one JSON object (line {line}, column {column})")]
    Syntax {
        /// Where it was noticed, counted from 1.
        line: usize,
        /// Byte in that line, counted from 1.
        column: usize,
    },
    /// The property names no message that we know.
    #[error("`type` must name a message of this protocol")]
    Type,
    /// A property that is missing or has a value which its place in the message does not allow.
    #[error("`{property}` must be {expected}")]
    Property {
        /// Its name.
        property: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// The group, the event or the invocation.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The map breaks a limit.
    #[error(transparent)]
    Metadata(#[from] InvalidMetadata),
    /// The decoded content is not what its kind demands.
    #[error(transparent)]
    Payload(#[from] InvalidPayload),
}

/// Whether the bytes are one JSON value and nothing else, at most 64 levels deep. Takes linear time and no more stack
/// for deep values than for flat ones.
pub(crate) fn check_value(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    // The depth comes first, because the parser keeps a byte for each level that is open.
    is_shallow(text) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether valid JSON has at most [`MAX_DEPTH`] levels. The answer for other text is meaningless.
fn is_shallow(text: &str) -> bool {
    // Few messages have that many brackets at all, and to count them is faster than to tell what is inside a string.
    let openings = text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    openings <= MAX_DEPTH || depth(text) <= MAX_DEPTH
}

fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

/// Takes what follows an opening quote, up to and including the closing one.
fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
