//! Content types of payloads, both ways. Source: `event-handlers.md` 7 and 10.

use bytes::Bytes;

use super::InvalidAnswer;
use crate::message::{DataType, Payload};

/// The content type that tells the application of this kind.
pub(super) fn of(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Text => "text/plain; charset=utf-8",
        DataType::Json => "application/json",
        DataType::Binary => "application/octet-stream",
        DataType::Protobuf => "application/x-protobuf",
    }
}

/// The payload that an answer's bytes are. An absent content type, like an empty one, means bytes.
///
/// # Errors
/// When the type is not one of four, the charset is not UTF-8, or the bytes are not what the type says.
pub(super) fn payload(header: Option<&[u8]>, bytes: Bytes) -> Result<Payload, InvalidAnswer> {
    let header = std::str::from_utf8(header.unwrap_or_default()).map_err(|_| InvalidAnswer::ContentType)?;
    let (essence, parameters) = header.split_once(';').unwrap_or((header, ""));
    match essence.trim().to_ascii_lowercase().as_str() {
        "" if parameters.is_empty() => Ok(Payload::binary(bytes)),
        "application/octet-stream" => Ok(Payload::binary(bytes)),
        "application/x-protobuf" => Ok(Payload::protobuf(bytes)?),
        "text/plain" if is_utf8(parameters) => Ok(Payload::text_from_utf8(bytes)?),
        "application/json" if is_utf8(parameters) => Ok(Payload::json(bytes)?),
        "text/plain" | "application/json" => Err(InvalidAnswer::Charset),
        _ => Err(InvalidAnswer::ContentType),
    }
}

/// Whether the parameters allow to read the bytes as UTF-8, of which ASCII is a part. Parameters with other names mean
/// nothing here.
fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset")
            || ["utf-8", "utf8", "us-ascii"].iter().any(|charset| value.eq_ignore_ascii_case(charset))
    })
}
