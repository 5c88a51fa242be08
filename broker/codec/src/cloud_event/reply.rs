//! What the application answers to a user event, and the state that it attaches to a connection. Source:
//! `event-handlers.md` 8, 10 and 14.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{InvalidAnswer, METADATA_PREFIX, content_type};
use crate::message::{Content, Payload};
use crate::metadata::{InvalidMetadata, Metadata};

/// What the caller of a user event is told; nothing when the answer has neither a body nor metadata. `headers` are
/// lines in their order, repeated ones included, with names in lower case.
///
/// # Errors
/// [`InvalidAnswer`] when the metadata breaks a limit or the body cannot be told as its content type demands.
pub fn read_reply<'a>(
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    body: Bytes,
) -> Result<Option<Content>, InvalidAnswer> {
    let (mut types, mut metadata) = (Vec::new(), BTreeMap::new());
    for (name, value) in headers {
        if name == "content-type" {
            types.push(value);
        } else if let Some(key) = name.strip_prefix(METADATA_PREFIX).filter(|key| !key.is_empty()) {
            // Of several lines with one key the last counts.
            metadata.insert(key, value);
        }
    }
    let metadata = to_metadata(metadata)?;
    if body.is_empty() {
        // Whatever the content type says, there is nothing of that type.
        return Ok(metadata.map(|metadata| Content { payload: Payload::text(""), metadata: Some(metadata) }));
    }
    let content_type = match types.as_slice() {
        [] => None,
        [one] => Some(*one),
        _ => return Err(InvalidAnswer::ContentType),
    };
    let payload = content_type::payload(content_type, body)?;
    Ok(Some(Content { payload, metadata }))
}

/// The last `ce-connectionstate` line, if there is any; the empty text is a value. Names are in lower case.
///
/// A last line that is not ASCII is no state: no later event could carry it.
pub fn connection_state<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Option<&'a str> {
    let (_, value) = headers.filter(|(name, _)| *name == "ce-connectionstate").last()?;
    std::str::from_utf8(value).ok().filter(|state| state.is_ascii())
}

/// The metadata in the order of its keys; nothing when no line has a key.
fn to_metadata(lines: BTreeMap<&str, &[u8]>) -> Result<Option<Metadata>, InvalidAnswer> {
    if lines.is_empty() {
        return Ok(None);
    }
    let entries = lines.into_iter().map(|(key, line)| Ok((key, last_part(line)?)));
    let entries: Vec<_> = entries.collect::<Result<_, InvalidMetadata>>()?;
    Ok(Some(Metadata::new(entries)?))
}

/// What stands behind the last comma of a line.
fn last_part(line: &[u8]) -> Result<&str, InvalidMetadata> {
    let text = std::str::from_utf8(line).map_err(|_| InvalidMetadata::Value)?;
    let part = text.rsplit_once(',').map_or(text, |(_, last)| last);
    Ok(part.trim_matches([' ', '\t']))
}
