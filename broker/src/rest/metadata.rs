//! Metadata of a send, from the headers `X-WebPubSub-Metadata-<key>`. Source: `rest-api.md` 3.2.

use codec::metadata::{InvalidMetadata, Metadata};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::RestError;

const PREFIX: &str = "x-webpubsub-metadata-";

/// The metadata that the headers carry; nothing when there is no such header.
///
/// # Errors
/// [`RestError::Metadata`] when a key, a value or their sum breaks a limit.
pub(super) fn from_headers(headers: &HeaderMap) -> Result<Option<Metadata>, RestError> {
    let mut entries = Vec::new();
    for name in headers.keys() {
        if let Some(key) = name.as_str().strip_prefix(PREFIX) {
            entries.push((key, last_value(headers, name)?));
        }
    }
    if entries.is_empty() { Ok(None) } else { Ok(Some(Metadata::new(entries)?)) }
}

/// Of several header lines the last counts, and of a list with commas its last part: that is what the service keeps.
fn last_value<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, RestError> {
    let line = headers.get_all(name).iter().next_back().map_or(&b""[..], HeaderValue::as_bytes);
    let text = std::str::from_utf8(line).map_err(|_| InvalidMetadata::Value)?;
    let value = text.rsplit_once(',').map_or(text, |(_, last)| last);
    Ok(value.trim_matches([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[(&str, &[u8])], expected: Option<&[(&str, &str)]>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let metadata = from_headers(&headers).ok();
        let seen =
            metadata.as_ref().map(|entries| entries.iter().flat_map(Metadata::iter).collect::<Vec<_>>());
        assert_eq!(seen.as_deref(), expected, "{lines:?}");
    }

    #[test]
    fn keys_are_lower_case_and_the_last_value_counts() {
        check(&[("X-Other", b"1")], Some(&[]));
        check(&[("X-WebPubSub-Metadata-Trace-Id", b"abc")], Some(&[("trace-id", "abc")]));
        check(&[("x-webpubsub-metadata-a", b"x, y")], Some(&[("a", "y")]));
        check(&[("x-webpubsub-metadata-a", b"x,")], Some(&[("a", "")]));
        check(&[("x-webpubsub-metadata-a", b"1"), ("X-WEBPUBSUB-METADATA-A", b"2,3")], Some(&[("a", "3")]));
        check(&[("x-webpubsub-metadata-!#$%&'*+-.^_`|~", b"")], Some(&[("!#$%&'*+-.^_`|~", "")]));
    }

    #[test]
    fn limits_are_those_of_metadata() {
        let longest = format!("{PREFIX}{}", "k".repeat(256));
        let too_long = format!("{PREFIX}{}", "k".repeat(257));
        check(&[(&longest, b"v")], Some(&[(&"k".repeat(256), "v")]));
        check(&[(&too_long, b"v")], None);
        check(&[(PREFIX, b"v")], None);
        check(&[("x-webpubsub-metadata-a", "é".as_bytes())], None);
        check(&[("x-webpubsub-metadata-a", b"\xe9")], None);
        check(&[("x-webpubsub-metadata-a", &[b'v'; 1025])], None);
        let names: Vec<String> = (0..9).map(|n| format!("{PREFIX}{n}")).collect();
        let value = [b'v'; 1023];
        let lines: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &value[..])).collect();
        check(&lines, None);
    }
}
