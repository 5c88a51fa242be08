//! Under which origins callers know us, and whether a token's audience names what is requested.
//!
//! A caller signs the URL in its own connection string, whatever stands between it and us. So an audience is compared
//! with the request as it arrived, as a trusted proxy describes it, and with every configured public endpoint.
//! `token` asks; the doors also build absolute URLs here. Source: `auth.md` 4 and 5, `rest-api.md` 1, 10 and 12.

mod endpoint;
mod forwarded;
mod peer;

use std::borrow::Cow;
use std::net::IpAddr;

use codec::ids::HubName;
use percent_encoding::percent_decode;

pub use self::endpoint::{Endpoint, InvalidEndpoint, Scheme};
use self::endpoint::{scheme_and_rest, without_default_port};
pub use self::forwarded::Forwarded;
pub use self::peer::Peer;
use super::network::Network;

/// Under which names callers know this node. Fixed for the process.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// URLs in the connection strings of callers, if they differ from what a request shows.
    pub public_endpoints: Vec<Endpoint>,
    /// Proxies whose description of a request is believed.
    pub trusted_proxies: Vec<Network>,
    /// How much of an audience is compared.
    pub check: AudienceCheck,
}

/// How much of a token's audience must be right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AudienceCheck {
    /// Host, port and path.
    #[default]
    Strict,
    /// The path alone, for a node that is reached under names that nobody can list.
    PathOnly,
}

/// A request as far as it says where it was sent.
#[derive(Debug, Clone, Copy)]
pub struct RequestOrigin<'a> {
    /// What the listener speaks.
    pub scheme: Scheme,
    /// The `Host` header, or `:authority`; empty if there is none.
    pub authority: &'a str,
    /// The path as received, with its escapes and without the query.
    pub path: &'a str,
    /// Address of the other end of the socket.
    pub peer: IpAddr,
    /// What a proxy says of the request. Believed only from a trusted one.
    pub forwarded: Forwarded<'a>,
}

/// What the audience of a request's token must be.
#[derive(Debug)]
pub struct Audience<'a> {
    origins: &'a Origins,
    seen: Seen<'a>,
    resource: Resource<'a>,
}

/// Where a request was sent, as far as we can see.
#[derive(Debug)]
struct Seen<'a> {
    scheme: Scheme,
    authority: &'a str,
    /// What a proxy took off the path.
    removed_prefix: Option<&'a str>,
    /// What of the path is the prefix of a public endpoint.
    received_prefix: &'a str,
    /// The path below it.
    path: &'a str,
    proto: Option<Scheme>,
}

#[derive(Debug)]
enum Resource<'a> {
    /// The path of the request and what is below it.
    Path,
    /// The client endpoint of a hub.
    Client { hub: &'a HubName, spelling: Spelling },
}

/// How a client names its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// In the path.
    Path,
    /// In the query, as older clients do.
    Query,
}

impl Origins {
    /// What a REST call's token must name: the URL of the request, with any query or none, or one below it.
    pub fn rest<'a>(&'a self, request: &RequestOrigin<'a>) -> Audience<'a> {
        Audience { origins: self, seen: self.seen(request), resource: Resource::Path }
    }

    /// What a client's token must name: the client endpoint of the hub.
    pub fn client<'a>(&'a self, request: &RequestOrigin<'a>, hub: &'a HubName) -> Audience<'a> {
        let seen = self.seen(request);
        let spelling = match seen.path {
            "/client" | "/client/" => Spelling::Query,
            _ => Spelling::Path,
        };
        Audience { origins: self, seen, resource: Resource::Client { hub, spelling } }
    }

    /// Scheme, authority and prefix under which the caller reached us, without a slash at the end: what a trusted
    /// proxy says, or else the public endpoint of that host, or else what the request itself shows.
    pub fn public_url(&self, request: &RequestOrigin<'_>) -> String {
        self.url(&self.seen(request))
    }

    /// The host under which the caller reached us, without the port and in lower case.
    pub fn public_host(&self, request: &RequestOrigin<'_>) -> String {
        let authority = self.seen(request).authority;
        endpoint::host_and_port(authority).map_or(authority, |(host, _)| host).to_ascii_lowercase()
    }

    /// The path without the prefix of a public endpoint. A path without one is left alone, because a proxy may have
    /// removed it already.
    pub fn strip_prefix<'p>(&self, path: &'p str) -> &'p str {
        let below = |endpoint: &Endpoint| {
            let rest = path.strip_prefix(endpoint.prefix())?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        self.public_endpoints.iter().filter_map(below).min_by_key(|rest| rest.len()).unwrap_or(path)
    }

    fn seen<'a>(&self, request: &RequestOrigin<'a>) -> Seen<'a> {
        let path = self.strip_prefix(request.path);
        let mut seen = Seen {
            scheme: request.scheme,
            authority: request.authority,
            removed_prefix: None,
            received_prefix: &request.path[..request.path.len() - path.len()],
            path,
            proto: None,
        };
        if self.trusted_proxies.iter().any(|network| network.contains(request.peer)) {
            let said = request.forwarded.said();
            seen.proto = said.scheme;
            seen.scheme = said.scheme.unwrap_or(seen.scheme);
            seen.authority = said.authority.unwrap_or(seen.authority);
            seen.removed_prefix = said.prefix;
        }
        seen
    }

    fn url(&self, seen: &Seen<'_>) -> String {
        let known = self.public_endpoints.iter().filter(|endpoint| {
            is_same_authority((endpoint.scheme(), endpoint.authority()), (seen.scheme, seen.authority))
        });
        let known = known.min_by_key(|endpoint| {
            (endpoint.scheme() != seen.scheme, endpoint.prefix() != seen.received_prefix)
        });
        let scheme = seen.proto.or(known.map(Endpoint::scheme)).unwrap_or(seen.scheme);
        let removed = match (seen.removed_prefix, seen.received_prefix) {
            (Some(removed), _) => removed,
            (None, "") => known.map_or("", Endpoint::prefix),
            (None, _) => "",
        };
        format!("{}://{}{removed}{}", scheme.as_str(), seen.authority, seen.received_prefix)
    }
}

impl Audience<'_> {
    /// Says whether a token for `audience` is a token for the request.
    pub fn accepts(&self, audience: &str) -> bool {
        let Some((scheme, rest)) = scheme_and_rest(audience) else {
            return false;
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() {
            return false;
        }
        let named = (scheme, authority);
        self.accepts_path(named, path.as_bytes())
            || (path.contains(['%', '+']) && self.accepts_path(named, &decode_form(path)))
    }

    /// The audience that callers are expected to use, for the log.
    pub(super) fn expected(&self) -> String {
        let origin = self.origins.url(&self.seen);
        match &self.resource {
            Resource::Path => origin + self.seen.path,
            Resource::Client { hub, .. } => format!("{origin}/client/hubs/{hub}"),
        }
    }

    /// Compares with the request itself and with every public endpoint.
    fn accepts_path(&self, named: (Scheme, &str), path: &[u8]) -> bool {
        let seen = &self.seen;
        let any_authority = self.origins.check == AudienceCheck::PathOnly;
        let accepts = |own: (Scheme, &str), prefixes: [&str; 2]| {
            (any_authority || is_same_authority(named, own))
                && below(path, prefixes[0])
                    .and_then(|path| below(path, prefixes[1]))
                    .is_some_and(|path| self.is_resource(path))
        };
        let prefixes = [seen.removed_prefix.unwrap_or_default(), seen.received_prefix];
        accepts((seen.scheme, seen.authority), prefixes)
            || self
                .origins
                .public_endpoints
                .iter()
                .any(|endpoint| accepts((endpoint.scheme(), endpoint.authority()), [endpoint.prefix(), ""]))
    }

    /// Compares what an audience names below scheme, authority and prefix.
    fn is_resource(&self, named: &[u8]) -> bool {
        match &self.resource {
            Resource::Path => {
                let path = self.seen.path.strip_suffix('/').unwrap_or(self.seen.path);
                is_at_or_below(named, path.as_bytes())
                    || (path.contains('%')
                        && (is_at_or_below(named, &decode_but_slashes(path))
                            || is_at_or_below(named, &decode(path.as_bytes()))))
            }
            Resource::Client { hub, spelling } => {
                let is_hub = |start: &str| below(named, start).is_some_and(|rest| is_same(rest, hub));
                is_hub("/client/hubs/")
                    || (*spelling == Spelling::Query && (is_hub("/client/?hub=") || is_hub("/client?hub=")))
            }
        }
    }
}

/// Compares two authorities. A default port may be left out on either side; and since a proxy may have ended TLS, the
/// default of the named scheme may also be left out of our own authority.
fn is_same_authority(named: (Scheme, &str), own: (Scheme, &str)) -> bool {
    let (scheme, named) = (named.0, without_default_port(named.0, named.1));
    let own_forms = [own.1, without_default_port(own.0, own.1), without_default_port(scheme, own.1)];
    own_forms.iter().any(|own| own.eq_ignore_ascii_case(named))
}

fn is_same(left: &[u8], right: &HubName) -> bool {
    left.eq_ignore_ascii_case(right.as_str().as_bytes())
}

/// What follows `start`, ignoring case.
fn below<'n>(named: &'n [u8], start: &str) -> Option<&'n [u8]> {
    let (head, rest) = named.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start.as_bytes()).then_some(rest)
}

fn is_at_or_below(named: &[u8], path: &[u8]) -> bool {
    let Some((head, rest)) = named.split_at_checked(path.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(path) && matches!(rest.first(), None | Some(b'/' | b'?'))
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(text).into()
}

/// Decodes a path but for its escaped slashes.
fn decode_but_slashes(path: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some(at) = rest.windows(3).position(|escape| escape.eq_ignore_ascii_case(b"%2F")) {
        decoded.extend_from_slice(&decode(&rest[..at]));
        decoded.extend_from_slice(&rest[at..at + 3]);
        rest = &rest[at + 3..];
    }
    decoded.extend_from_slice(&decode(rest));
    decoded
}

/// Decodes as a form is: a plus is a space.
fn decode_form(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('+') {
        return decode(text.as_bytes());
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(decode(spaced.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests;
