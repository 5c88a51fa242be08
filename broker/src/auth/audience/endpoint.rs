//! URLs of endpoints: those that are configured, and the beginnings of those that audiences name.

use std::fmt;
use std::str::FromStr;

/// How an endpoint is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS: `http` and `ws`.
    Http,
    /// With TLS: `https` and `wss`.
    Https,
}

/// URL under which callers know a node: scheme, host, perhaps a port, and perhaps a path in front of ours. Shown in
/// lower case but for the path, without a default port and without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    authority: String,
    prefix: String,
}

/// A text that is no endpoint. It is not repeated, because somebody may have written a password into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not the URL of an endpoint; write http:// or https://, a host, and if need be a port and a path, such as \
     https://rt.example.com:8443/realtime"
)]
pub struct InvalidEndpoint;

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Reads `http`, `ws`, `https` or `wss` in any case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("https") || is("wss") {
            return Some(Self::Https);
        }
        (is("http") || is("ws")).then_some(Self::Http)
    }
}

impl Endpoint {
    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host, and the port unless it is the scheme's own.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Host without the port, and without the brackets of an IPv6 address: the name that a certificate must have.
    pub fn host(&self) -> &str {
        host_and_port(&self.authority).map_or("", |(host, _)| host.trim_matches(['[', ']']))
    }

    /// Path in front of ours: empty, or a slash and more, without a slash at the end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidEndpoint)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(InvalidEndpoint),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !is_authority(authority) {
            return Err(InvalidEndpoint);
        }
        let prefix = prefix(path).ok_or(InvalidEndpoint)?;
        let authority = without_default_port(scheme, authority).to_ascii_lowercase();
        Ok(Self { scheme, authority, prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.as_str(), self.authority, self.prefix)
    }
}

/// Splits a URL of one of our schemes.
pub(super) fn scheme_and_rest(url: &str) -> Option<(Scheme, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    Some((Scheme::parse(scheme)?, rest))
}

/// The authority without the scheme's own port.
pub(super) fn without_default_port(scheme: Scheme, authority: &str) -> &str {
    let port = match scheme {
        Scheme::Http => ":80",
        Scheme::Https => ":443",
    };
    authority.strip_suffix(port).unwrap_or(authority)
}

/// Whether the text is a host with or without a port, and nothing more.
pub(super) fn is_authority(text: &str) -> bool {
    let Some((host, port)) = host_and_port(text) else {
        return false;
    };
    let is_address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|address| {
        !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
    });
    let is_name =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let is_port =
        |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok();
    (is_address || is_name) && port.is_none_or(is_port)
}

/// A path as a prefix: without slashes at its end. It must be empty or begin with a slash, and have neither query nor
/// characters that a URL cannot have.
pub(super) fn prefix(path: &str) -> Option<&str> {
    let is_fit = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte);
    let path = path.trim_end_matches('/');
    ((path.is_empty() || path.starts_with('/')) && path.bytes().all(is_fit)).then_some(path)
}

pub(super) fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let host_end = match authority.starts_with('[') {
        true => authority.find(']')? + 1,
        false => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(host_end);
    if rest.is_empty() {
        return Some((host, None));
    }
    Some((host, Some(rest.strip_prefix(':')?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_without_query_or_password() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let endpoint = text.parse::<Endpoint>().ok();
            let shown = endpoint.as_ref().map(|endpoint| (endpoint.to_string(), endpoint.host().to_owned()));
            assert_eq!(shown, expected.map(|(url, host)| (url.to_owned(), host.to_owned())), "{text}");
        };
        check("https://rt.example.com", Some(("https://rt.example.com", "rt.example.com")));
        check("HTTPS://RT.example.com:443/", Some(("https://rt.example.com", "rt.example.com")));
        check("http://rt:443/a/B//", Some(("http://rt:443/a/B", "rt")));
        check("http://127.0.0.1:8080", Some(("http://127.0.0.1:8080", "127.0.0.1")));
        check("https://[::1]:8443/x", Some(("https://[::1]:8443/x", "::1")));
        for wrong in [
            "",
            "rt.example.com",
            "ws://rt",
            "https://",
            "https:///a",
            "https://rt?b",
            "https://rt/a?b",
            "https://rt/a#b",
            "https://rt/a b",
            "https://user:word@rt",
            "https://rt:",
            "https://rt:65536",
            "https://rt:+80",
            "https://[::1",
            "https://[]",
            "https://::1",
            "/a",
        ] {
            check(wrong, None);
        }
    }
}
