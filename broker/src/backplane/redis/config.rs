//! How Redis is reached: what is written becomes what is meant, or a sentence about what to change.
//!
//! No file is read here, and no password ever gets into an error or into `Debug`.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::LinkError;
use super::tls::{self, ClientTls};

/// Longest prefix, in bytes.
const PREFIX_MAX: usize = 64;
/// Port of Redis when a URL names none.
const REDIS_PORT: u16 = 6379;
/// Port of Sentinel when a URL names none.
const SENTINEL_PORT: u16 = 26379;

/// How Redis is reached, as written.
#[derive(Clone)]
pub struct RedisTexts {
    /// `redis://`, or `rediss://` for TLS, `user:password@host:port`, of which only the host is needed. Several name
    /// one Redis Cluster, or servers of which one is the primary.
    /// One `redis+sentinel://host:port,host:port/service` (`rediss+sentinel` for TLS) asks Sentinel; a user and a
    /// password in it are for Sentinel.
    pub urls: Vec<String>,
    /// User of the servers, when no URL names one.
    pub username: Option<String>,
    /// Password of the servers, when no URL names one.
    pub password: Option<String>,
    /// What the names of all channels begin with. Installations with different prefixes may share a Redis.
    pub prefix: String,
    /// Certificates in PEM form to be trusted in place of those of the system.
    pub ca: Option<Vec<u8>>,
}

/// How Redis is reached, as meant. Cheap to clone.
#[derive(Clone)]
pub struct RedisConfig {
    pub(super) source: Source,
    pub(super) credentials: Credentials,
    pub(super) prefix: String,
    pub(super) tls: Option<ClientTls>,
    /// Whether something is kept there.
    pub(super) keeps: bool,
}

/// Who knows the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The servers themselves.
    Servers(Vec<Address>),
    /// Sentinel.
    Sentinel { sentinels: Vec<Address>, service: String, credentials: Credentials },
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Who the node is for Redis.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// What a URL says.
struct Parts {
    tls: bool,
    sentinel: bool,
    credentials: Credentials,
    hosts: Vec<Address>,
    path: String,
}

impl Default for RedisTexts {
    fn default() -> Self {
        Self { urls: Vec::new(), username: None, password: None, prefix: "hubbub".to_owned(), ca: None }
    }
}

impl RedisConfig {
    /// What the texts mean.
    ///
    /// # Errors
    /// [`LinkError::Config`] with a sentence that says what to change.
    pub fn parse(texts: &RedisTexts) -> Result<Self, LinkError> {
        let prefix = prefix(&texts.prefix)?;
        let parts: Vec<Parts> = texts.urls.iter().map(|url| parts(url)).collect::<Result<_, _>>()?;
        let first = parts.first().ok_or_else(|| fault("no Redis is named; give at least one URL"))?;
        if parts.iter().any(|one| one.tls != first.tls) {
            return Err(fault(
                "some Redis URLs ask for TLS and some do not; make them all rediss:// or redis://",
            ));
        }
        let secured = first.tls;
        if !secured && texts.ca.is_some() {
            return Err(fault(
                "a CA file is given, but the Redis URL does not ask for TLS; make it rediss://",
            ));
        }
        let apart = Credentials { username: texts.username.clone(), password: texts.password.clone() };
        let sentinels = parts.iter().filter(|one| one.sentinel).count();
        let (source, credentials) = match (sentinels, <[Parts; 1]>::try_from(parts)) {
            (0, Ok([one])) => servers(vec![one], apart)?,
            (0, Err(several)) => servers(several, apart)?,
            (_, Ok([one])) => (sentinel(one)?, apart),
            (_, Err(_)) => {
                let text =
                    "a Sentinel URL stands beside others; name all Sentinels in one URL, with commas between";
                return Err(fault(text));
            }
        };
        if credentials.username.is_some() && credentials.password.is_none() {
            return Err(fault("a Redis user is named without a password; give both"));
        }
        let tls = secured.then(|| tls::trust(texts.ca.as_deref())).transpose()?;
        Ok(Self { source, credentials, prefix, tls, keeps: false })
    }

    /// The same for a node that also keeps things there, as durable hubs do, for which it needs more permissions.
    pub fn keeping(self) -> Self {
        Self { keeps: true, ..self }
    }

    /// The servers or Sentinels that were named.
    pub fn addresses(&self) -> Vec<String> {
        let (Source::Servers(named) | Source::Sentinel { sentinels: named, .. }) = &self.source;
        named.iter().map(ToString::to_string).collect()
    }

    /// What the names of all channels begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("source", &self.source)
            .field("prefix", &self.prefix)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn prefix(text: &str) -> Result<String, LinkError> {
    if text.is_empty() {
        return Err(fault("the Redis prefix is empty; give a short name, such as hubbub"));
    }
    if text.len() > PREFIX_MAX {
        return Err(fault("the Redis prefix is too long; give one of at most 64 bytes"));
    }
    if text.chars().any(|c| matches!(c, '{' | '}') || c.is_whitespace() || c.is_control()) {
        return Err(fault("the Redis prefix holds a brace, a space or a control character; leave them out"));
    }
    Ok(text.to_owned())
}

/// Servers named one by one. What they want to hear is in one place: in a URL or apart, and the same for all.
fn servers(parts: Vec<Parts>, apart: Credentials) -> Result<(Source, Credentials), LinkError> {
    let mut credentials = apart;
    let mut addresses = Vec::new();
    for one in parts {
        if !matches!(one.path.as_str(), "" | "0") {
            return Err(fault("a Redis URL names a database; leave it out, channels know none"));
        }
        if one.credentials != Credentials::default() && one.credentials != credentials {
            if credentials != Credentials::default() {
                let text =
                    "Redis users or passwords differ; give them once, in one URL or apart from the URLs";
                return Err(fault(text));
            }
            credentials = one.credentials;
        }
        addresses.extend(one.hosts);
    }
    Ok((Source::Servers(addresses), credentials))
}

fn sentinel(parts: Parts) -> Result<Source, LinkError> {
    let Parts { credentials, hosts, path, .. } = parts;
    if path.is_empty() || path.contains('/') {
        return Err(fault("the Sentinel URL names no service; write redis+sentinel://host:port/service"));
    }
    Ok(Source::Sentinel { sentinels: hosts, service: path, credentials })
}

/// Takes a URL apart. The standard parser does not know several hosts.
fn parts(url: &str) -> Result<Parts, LinkError> {
    let (scheme, rest) = url.split_once("://").ok_or_else(unknown_scheme)?;
    let (tls, sentinel) = match scheme {
        "redis" => (false, false),
        "rediss" => (true, false),
        "redis+sentinel" => (false, true),
        "rediss+sentinel" => (true, true),
        _ => return Err(unknown_scheme()),
    };
    if rest.contains(['?', '#']) {
        return Err(fault(
            "a Redis URL goes on after its path; leave out what begins with ? or #, and write these \
                          characters in a password as %3F and %23",
        ));
    }
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => (credentials_of(credentials)?, rest),
        None => (Credentials::default(), rest),
    };
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = if sentinel { SENTINEL_PORT } else { REDIS_PORT };
    let hosts = hosts.split(',').map(|host| address(host, port)).collect::<Result<_, _>>()?;
    Ok(Parts { tls, sentinel, credentials, hosts, path: decoded(path)?.unwrap_or_default() })
}

fn credentials_of(text: &str) -> Result<Credentials, LinkError> {
    let (username, password) = text.split_once(':').map_or((text, ""), |(user, password)| (user, password));
    Ok(Credentials { username: decoded(username)?, password: decoded(password)? })
}

fn decoded(text: &str) -> Result<Option<String>, LinkError> {
    let text = percent_decode_str(text).decode_utf8();
    let text =
        text.map_err(|_| fault("a Redis URL is not UTF-8 after its %-signs are read; write it as such"))?;
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

fn address(text: &str, default_port: u16) -> Result<Address, LinkError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or_default())),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(fault("a Redis URL names no host; write redis://host:port"));
    }
    let port = match port {
        None => default_port,
        Some(port) => match port.parse() {
            Ok(port) if port != 0 => port,
            _ => {
                return Err(fault(
                    "a port in a Redis URL is no number from 1 to 65535; write redis://host:port",
                ));
            }
        },
    };
    Ok(Address { host: host.to_owned(), port })
}

fn unknown_scheme() -> LinkError {
    fault(
        "a Redis URL does not begin with redis://, rediss://, redis+sentinel:// or rediss+sentinel://; write one of \
           them",
    )
}

fn fault(text: &str) -> LinkError {
    LinkError::Config(text.to_owned())
}

#[cfg(test)]
mod tests;
