//! Access keys and passwords: where they may be written, and how they are read from files.

use super::check::{Checker, path};
use super::entry::{self, Entry, PUBLIC_DEVELOPMENT_KEY, Program};
use super::fault::{Fault, Place};
use super::parse::Parsed;
use crate::auth::key::AccessKey;
use crate::settings::handler::auth::secret_of_file;

const NO_KEY: &str = "give the access key of the installation, 32 bytes or more: in HUBBUB_ACCESS_KEY, or in a file that \
     --access-key-file names. openssl rand -base64 32 makes one";
const KNOWN_KEY: &str = "this is the public development key, which everybody knows; openssl rand -base64 32 makes one of your own";

impl Checker<'_> {
    pub(super) fn access_key(&mut self) -> Option<AccessKey> {
        let key = self.key(&entry::ACCESS_KEY, &entry::ACCESS_KEY_FILE)?;
        if key.is_none() {
            let place = Place::Flag(&entry::BROKER_ACCESS_KEY);
            self.faults.push(Fault { place, reason: NO_KEY.to_owned() });
        }
        key
    }

    pub(super) fn secondary_key(&mut self) -> Option<Option<AccessKey>> {
        self.key(&entry::SECONDARY_KEY, &entry::SECONDARY_KEY_FILE)
    }

    /// A key that is written in one of two places.
    fn key(&mut self, here: &'static Entry, in_file: &'static Entry) -> Option<Option<AccessKey>> {
        let is_production = self.program() == Program::Broker;
        let key = |text: &str| {
            let key = AccessKey::new(text).map_err(|invalid| invalid.to_string())?;
            if is_production && text == PUBLIC_DEVELOPMENT_KEY { Err(KNOWN_KEY.to_owned()) } else { Ok(key) }
        };
        let written = self.maybe(here, key);
        let read = self.maybe(in_file, |text| key(&read(text)?));
        if self.was_written(here) && self.was_written(in_file) {
            let reason = format!("the key is given by --{} too; leave one of them out", here.flag);
            return self.refuse(in_file, reason);
        }
        let (written, read) = (written?, read?);
        // What is written here without a file is the default, and a file is more than that.
        Some(read.or(written))
    }
}

/// The secret in a file.
pub(super) fn read(text: &str) -> Parsed<String> {
    let file = path(text)?;
    match secret_of_file(&file)? {
        secret if secret.is_empty() => Err(format!("{} is empty", file.display())),
        secret => Ok(secret),
    }
}
