//! The options for the link between nodes, as far as they can be understood without knowing Redis.
//!
//! Files are read here, so that their faults are told with all else.

use std::fmt;
use std::fs;

use super::check::{Checker, path};
use super::entry::{self, Entry};
use super::parse::{self, Parsed};
use super::secrets;
use crate::events::webhook::Secret;

/// Longest prefix, in bytes.
const MAX_PREFIX: usize = 64;

/// How Redis is reached, as it was written.
#[derive(Clone)]
pub struct RedisTexts {
    /// URLs, at least one. Each may hold a user and a password.
    pub urls: Vec<String>,
    /// Beginning of every name.
    pub prefix: String,
    /// User where a URL names none.
    pub username: Option<String>,
    /// Password where a URL has none.
    pub password: Option<Secret>,
    /// Certificate authorities in PEM that are believed beside those of the machine.
    pub authorities: Option<Vec<u8>>,
}

impl fmt::Debug for RedisTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisTexts({} URLs, prefix {:?})", self.urls.len(), self.prefix)
    }
}

impl Checker<'_> {
    pub(super) fn redis(&mut self) -> Option<Option<RedisTexts>> {
        let urls = self.many(&entry::REDIS, parse::text);
        let prefix = self.maybe(&entry::REDIS_PREFIX, prefix);
        let username = self.maybe(&entry::REDIS_USERNAME, parse::text);
        let password = self.maybe(&entry::REDIS_PASSWORD_FILE, secrets::read);
        let authorities = self.maybe(&entry::REDIS_CA_FILE, authorities);
        if !self.has(&entry::REDIS) {
            let others: [&'static Entry; 3] =
                [&entry::REDIS_USERNAME, &entry::REDIS_PASSWORD_FILE, &entry::REDIS_CA_FILE];
            others.into_iter().for_each(|entry| self.needed_by(entry, &entry::REDIS));
        }
        let (urls, prefix) = (urls?, prefix?);
        let (username, password, authorities) = (username?, password?, authorities?);
        let texts = prefix.filter(|_| !urls.is_empty()).map(|prefix| RedisTexts {
            urls,
            prefix,
            username,
            password: password.map(Secret::new),
            authorities,
        });
        Some(texts)
    }
}

/// Braces are left out: Redis would look between them for what belongs together.
fn prefix(text: &str) -> Parsed<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    if (1..=MAX_PREFIX).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!("\"{text}\" does not fit; write 1 to {MAX_PREFIX} letters, digits, _, -, . or :"))
}

fn authorities(text: &str) -> Parsed<Vec<u8>> {
    let file = path(text)?;
    fs::read(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}
