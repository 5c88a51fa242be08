//! The options for the links between nodes.
//!
//! Files are read here, so that their faults are told with all else.

use std::fs;

use super::check::{Checker, path};
use super::entry::{self, Entry};
use super::parse::{self, Parsed};
use super::secrets;
use crate::backplane::redis::{RedisConfig, RedisTexts};

/// Longest prefix, in bytes.
const MAX_PREFIX: usize = 64;

impl Checker<'_> {
    pub(super) fn redis(&mut self) -> Option<Option<RedisConfig>> {
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
        let (username, password, ca) = (username?, password?, authorities?);
        let Some(prefix) = prefix.filter(|_| !urls.is_empty()) else {
            return Some(None);
        };
        match RedisConfig::parse(&RedisTexts { urls, username, password, prefix, ca }) {
            Ok(config) => Some(Some(config)),
            Err(error) => self.refuse(&entry::REDIS, error.to_string()),
        }
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
