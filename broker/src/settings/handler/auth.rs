//! How the broker shows a handler who it is: what settings may say, and where a secret is taken from.
//!
//! Sources: `resource-model.md` 6 and `event-handlers.md` 6 and 15. `file` and `words` call it. Nothing here repeats a
//! secret.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use http::{HeaderName, HeaderValue, header};

use super::UpstreamAuth;

/// Longest secret, and longest resource, in bytes.
const MAX_BYTES: u64 = 8 * 1024;
/// Starts of header names that say what an event is.
const EVENT_PREFIXES: [&str; 3] = ["ce-", "webhook-", "x-webpubsub-metadata-"];
/// Headers of the transport and of the event's body.
const TRANSPORT: [HeaderName; 14] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("x-ms-client-request-id"),
];

/// Whether this node can get tokens for its handlers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HandlerTokens {
    /// No identity provider is configured.
    #[default]
    Unavailable,
    /// For a handler that names its resource.
    ForNamedResources,
    /// Also for a handler that names none, because there is a default.
    ForAll,
}

/// Why settings do not say how the broker shows a handler who it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuth {
    /// An unknown type.
    #[error("the type of auth is None, ManagedIdentity or Header, not \"{0}\"")]
    Type(String),
    /// A token is wanted, and nobody can give one.
    #[error(
        "auth of type ManagedIdentity needs an identity provider; set --handler-token-url, or use the type None"
    )]
    NoProvider,
    /// A token is wanted for nothing.
    #[error("auth of type ManagedIdentity names no resource; add one, or set --handler-default-resource")]
    NoResource,
    /// A resource that no token can be for.
    #[error("the resource has spaces or control characters, or more than 8192 bytes")]
    Resource,
    /// Not the name of a header.
    #[error("\"{0}\" is not the name of a header")]
    HeaderName(String),
    /// A header that the broker sets itself.
    #[error("the header {0} belongs to the protocol; choose another")]
    ReservedHeader(HeaderName),
    /// Empty, too long, or with characters that a header cannot have.
    #[error("the value of the header is empty, longer than 8192 bytes or not of printable ASCII characters")]
    HeaderValue,
}

/// The types of auth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthType {
    None,
    ManagedIdentity,
    Header,
}

impl AuthType {
    /// Reads a type, in any case.
    ///
    /// # Errors
    /// [`InvalidAuth::Type`]
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidAuth> {
        [("None", Self::None), ("ManagedIdentity", Self::ManagedIdentity), ("Header", Self::Header)]
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, known)| known)
            .ok_or_else(|| InvalidAuth::Type(text.to_owned()))
    }
}

impl UpstreamAuth {
    /// By a token for `resource`.
    ///
    /// # Errors
    /// When nobody can give one.
    pub(crate) fn token(resource: Option<&str>, tokens: HandlerTokens) -> Result<Self, InvalidAuth> {
        let resource = resource.filter(|resource| !resource.is_empty());
        match (tokens, resource) {
            (HandlerTokens::Unavailable, _) => Err(InvalidAuth::NoProvider),
            (HandlerTokens::ForNamedResources, None) => Err(InvalidAuth::NoResource),
            (_, Some(resource))
                if resource.len() as u64 > MAX_BYTES
                    || resource.contains(|c: char| c.is_whitespace() || c.is_control()) =>
            {
                Err(InvalidAuth::Resource)
            }
            (_, resource) => Ok(Self::Token { resource: resource.map(str::to_owned) }),
        }
    }

    /// By a header.
    ///
    /// # Errors
    /// When the name is not one that an operator may choose, or the value is not one that a header can have.
    pub(crate) fn header(name: &str, value: &str) -> Result<Self, InvalidAuth> {
        let name = header_name(name)?;
        let is_printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if value.trim().is_empty() || value.len() as u64 > MAX_BYTES || !is_printable {
            return Err(InvalidAuth::HeaderValue);
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| InvalidAuth::HeaderValue)?;
        value.set_sensitive(true);
        Ok(Self::Header { name, value })
    }
}

/// Reads the name of a header that an operator may choose.
///
/// # Errors
/// [`InvalidAuth::HeaderName`] and [`InvalidAuth::ReservedHeader`].
pub(crate) fn header_name(text: &str) -> Result<HeaderName, InvalidAuth> {
    let name: HeaderName = text.parse().map_err(|_| InvalidAuth::HeaderName(text.to_owned()))?;
    let reserved =
        TRANSPORT.contains(&name) || EVENT_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
    if reserved { Err(InvalidAuth::ReservedHeader(name)) } else { Ok(name) }
}

/// The text of a secret's file, without the line feed that editors put at its end.
///
/// # Errors
/// Why it cannot be had, without any of it.
pub(crate) fn secret_of_file(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 3).read_to_string(&mut text));
    read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let bare = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(bare.unwrap_or(&text).to_owned())
}

/// The text of a secret in the environment.
///
/// # Errors
/// Why it cannot be had.
pub(crate) fn secret_of_environment(name: &str) -> Result<String, String> {
    // The system's own function refuses some names by a panic.
    let lookup = if name.contains(['=', '\0']) { None } else { std::env::var(name).ok() };
    lookup.ok_or_else(|| format!("the environment has no variable {name} with a text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_need_a_provider_and_a_resource_from_somewhere() {
        use HandlerTokens::*;
        let check = |tokens, resource: Option<&str>, expected: Result<Option<&str>, InvalidAuth>| {
            let expected =
                expected.map(|resource| UpstreamAuth::Token { resource: resource.map(str::to_owned) });
            assert_eq!(UpstreamAuth::token(resource, tokens), expected, "{tokens:?} {resource:?}");
        };
        check(Unavailable, Some("api://app"), Err(InvalidAuth::NoProvider));
        check(Unavailable, None, Err(InvalidAuth::NoProvider));
        check(ForNamedResources, Some("api://app"), Ok(Some("api://app")));
        check(ForNamedResources, None, Err(InvalidAuth::NoResource));
        check(ForNamedResources, Some(""), Err(InvalidAuth::NoResource));
        check(ForAll, None, Ok(None));
        check(ForAll, Some("api://app"), Ok(Some("api://app")));
        check(ForAll, Some("a b"), Err(InvalidAuth::Resource));
    }

    #[test]
    fn headers_of_the_protocol_are_not_the_operators() {
        let allowed = ["Authorization", "x-functions-key", "X-Api-Key", "x-ms-other"];
        assert!(allowed.iter().all(|name| header_name(name).is_ok()));
        for name in [
            "ce-signature",
            "CE-Id",
            "WebHook-Request-Origin",
            "Host",
            "content-length",
            "Content-Type",
            "cookie",
            "Transfer-Encoding",
            "connection",
            "upgrade",
            "x-webpubsub-metadata-a",
            "x-ms-client-request-id",
        ] {
            assert!(matches!(header_name(name), Err(InvalidAuth::ReservedHeader(_))), "{name}");
        }
        for name in ["", "a b", "a:", "ü"] {
            assert_eq!(header_name(name), Err(InvalidAuth::HeaderName(name.to_owned())));
        }
    }

    #[test]
    fn the_value_of_a_header_is_printable_and_never_shown() {
        let auth = UpstreamAuth::header("x-api-key", "a secret").unwrap();
        assert_eq!(format!("{auth:?}"), "Header(x-api-key)");
        assert!(
            matches!(&auth, UpstreamAuth::Header { value, .. } if value == "a secret" && value.is_sensitive())
        );
        for value in ["", " ", "a\nb", "a\r\nx: y", "ä", "\u{7f}", &"s".repeat(8193)] {
            let refused = UpstreamAuth::header("x-api-key", value);
            assert_eq!(refused, Err(InvalidAuth::HeaderValue), "{value:?}");
        }
    }

    #[test]
    fn secrets_come_from_files_and_the_environment() {
        let path = std::env::temp_dir().join(format!("hubbub-secret-{:032x}", rand::random::<u128>()));
        let check = |written: &str, expected: &str| {
            std::fs::write(&path, written).unwrap();
            assert_eq!(secret_of_file(&path).unwrap(), expected);
        };
        check("secret", "secret");
        check("secret\n", "secret");
        check("secret\r\n", "secret");
        check("secret\n\n", "secret\n");
        std::fs::remove_file(&path).unwrap();
        assert!(secret_of_file(&path).unwrap_err().contains(path.to_str().unwrap()));
        assert_eq!(secret_of_environment("CARGO_PKG_NAME").unwrap(), "broker");
        for name in ["HUBBUB_TEST_NOT_SET", "", "a=b", "a\0b"] {
            assert!(secret_of_environment(name).is_err(), "{name:?}");
        }
    }
}
