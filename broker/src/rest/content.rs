//! Content type and charset of a body, and the payload that the bytes become. Source: `rest-api.md` 3.1.

use bytes::Bytes;
use codec::message::Payload;
use encoding_rs::{Encoding, UTF_8};
use http::{HeaderMap, header::CONTENT_TYPE};

use super::error::RestError;

/// What the bytes of a body are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentType {
    /// Bytes as they are; also when the caller names no type.
    Binary,
    /// Text in a charset.
    Text(&'static Encoding),
    /// One JSON value, as text in a charset.
    Json(&'static Encoding),
}

impl ContentType {
    /// Reads the content type of a request.
    ///
    /// # Errors
    /// [`RestError::MediaType`] when it is malformed, repeated, not one of these, or names an unknown charset.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, RestError> {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let (first, None) = (values.next(), values.next()) else {
            return Err(RestError::MediaType);
        };
        let text = first.map_or(Ok(""), |value| value.to_str()).map_err(|_| RestError::MediaType)?;
        parse(text).ok_or(RestError::MediaType)
    }

    /// The payload that `bytes` are.
    ///
    /// # Errors
    /// [`RestError::Text`] or [`RestError::Json`] when they are not what they were declared to be.
    pub(super) fn payload(self, bytes: Bytes) -> Result<Payload, RestError> {
        match self {
            Self::Binary => Ok(Payload::binary(bytes)),
            Self::Text(charset) => {
                let bytes = to_utf8(charset, bytes).ok_or(RestError::Text)?;
                Payload::text_from_utf8(bytes).map_err(|_| RestError::Text)
            }
            Self::Json(charset) => {
                let bytes = to_utf8(charset, bytes).ok_or(RestError::Json)?;
                Payload::json(bytes).map_err(|_| RestError::Json)
            }
        }
    }
}

/// Text in UTF-8. Bytes that are declared as UTF-8 pass unseen, since the payload checks them.
pub(super) fn to_utf8(charset: &'static Encoding, bytes: Bytes) -> Option<Bytes> {
    if charset == UTF_8 {
        return Some(bytes);
    }
    let text = charset.decode_without_bom_handling_and_without_replacement(&bytes)?;
    Some(Bytes::from(text.into_owned()))
}

fn parse(header: &str) -> Option<ContentType> {
    let mut parts = split_unquoted(header)?.into_iter();
    let essence = parts.next()?.trim();
    let parameters: Vec<(&str, String)> =
        parts.filter(|part| !part.trim().is_empty()).map(parameter).collect::<Option<_>>()?;
    if essence.is_empty() && parameters.is_empty() {
        return Some(ContentType::Binary);
    }
    let charset = || match parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("charset")) {
        Some((_, label)) => Encoding::for_label_no_replacement(label.as_bytes()),
        None => Some(UTF_8),
    };
    match essence.to_ascii_lowercase().as_str() {
        "application/octet-stream" => Some(ContentType::Binary),
        "text/plain" => Some(ContentType::Text(charset()?)),
        "application/json" => Some(ContentType::Json(charset()?)),
        _ => None,
    }
}

/// Splits at semicolons outside of quoted strings; nothing when a quote is left open.
fn split_unquoted(header: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in header.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                parts.push(&header[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&header[start..]);
    (!quoted).then_some(parts)
}

/// One `name=value`, where the value is a token or a quoted string.
fn parameter(part: &str) -> Option<(&str, String)> {
    let (name, value) = part.trim().split_once('=')?;
    if !is_token(name) {
        return None;
    }
    match value.strip_prefix('"') {
        None => is_token(value).then(|| (name, value.to_owned())),
        Some(quoted) => Some((name, unquote(quoted.strip_suffix('"')?)?)),
    }
}

/// The inside of a quoted string without its escapes.
fn unquote(inside: &str) -> Option<String> {
    let mut text = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => text.push(characters.next()?),
            _ => text.push(character),
        }
    }
    Some(text)
}

fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
