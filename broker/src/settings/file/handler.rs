//! One event handler of a settings file.
//!
//! The keys are those of the service, and `Header` is a type of auth that it does not have. Sources:
//! `resource-model.md` 2.2 and 6.

use std::path::Path;

use serde::de::{IgnoredAny, MapAccess};

use super::Notes;
use crate::auth::pattern::Pattern;
use crate::settings::handler::auth::{self, AuthType};
use crate::settings::handler::{
    EventHandler, GroupPresence, SystemEvents, UpstreamAuth, UrlTemplate, UserEventPattern,
};
use crate::settings::yaml::{Entries, Mapping, Word};

const URL: &str = "urlTemplate";
const PATTERN: &str = "userEventPattern";
const SYSTEM_EVENTS: &str = "systemEvents";
const AUTH: &str = "auth";
const PRESENCE: &str = "groupPresenceEvents";
const EVENT_NAMES: &str = "eventNames";
const GROUP_FILTERS: &str = "groupFilters";
const TYPE: &str = "type";
const MANAGED_IDENTITY: &str = "managedIdentity";
const RESOURCE: &str = "resource";
const HEADER: &str = "header";
const NAME: &str = "name";
const VALUE: &str = "value";
const VALUE_FILE: &str = "valueFile";
const VALUE_ENV: &str = "valueEnv";

/// An event handler as it is written.
#[derive(Debug, Default)]
pub(super) struct WrittenHandler {
    url: Option<Word>,
    pattern: Option<Word>,
    system_events: Vec<Word>,
    auth: Option<Block<WrittenAuth>>,
    presence: Option<Block<WrittenPresence>>,
    unknown: Vec<Word>,
}

/// A mapping under a key, and the line of the key.
#[derive(Debug)]
struct Block<E> {
    line: u64,
    entries: E,
}

#[derive(Debug, Default)]
struct WrittenPresence {
    names: Option<Vec<Word>>,
    filters: Vec<Word>,
    unknown: Vec<Word>,
}

#[derive(Debug, Default)]
struct WrittenAuth {
    kind: Option<Word>,
    identity: Option<Block<WrittenIdentity>>,
    header: Option<Block<WrittenHeader>>,
    unknown: Vec<Word>,
}

#[derive(Debug, Default)]
struct WrittenIdentity {
    resource: Option<Word>,
    unknown: Vec<Word>,
}

/// Its `Debug` would show the secret: it has one for nobody but the trait's sake, which shows the name.
#[derive(Default)]
struct WrittenHeader {
    name: Option<Word>,
    /// Key and value of each way to give the secret that was taken.
    secrets: Vec<(Word, Word)>,
    unknown: Vec<Word>,
}

impl std::fmt::Debug for WrittenHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WrittenHeader({:?})", self.name)
    }
}

/// Reads the mapping under `key`, if there is one.
fn block<'de, E: Entries, A: MapAccess<'de>>(key: &Word, map: &mut A) -> Result<Option<Block<E>>, A::Error> {
    let mapping = map.next_value::<Option<Mapping<E>>>()?;
    Ok(mapping.map(|mapping| Block { line: key.line, entries: mapping.0 }))
}

fn list<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Vec<Word>, A::Error> {
    Ok(map.next_value::<Option<Vec<Word>>>()?.unwrap_or_default())
}

/// Notes an unknown key, and passes over its value.
fn skip<'de, A: MapAccess<'de>>(unknown: &mut Vec<Word>, key: Word, map: &mut A) -> Result<(), A::Error> {
    unknown.push(key);
    map.next_value::<IgnoredAny>().map(drop)
}

impl Entries for WrittenHandler {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            URL => self.url = map.next_value()?,
            PATTERN => self.pattern = map.next_value()?,
            SYSTEM_EVENTS => self.system_events = list(map)?,
            AUTH => self.auth = block(&key, map)?,
            PRESENCE => self.presence = block(&key, map)?,
            _ => skip(&mut self.unknown, key, map)?,
        }
        Ok(())
    }
}

impl Entries for WrittenPresence {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            EVENT_NAMES => self.names = Some(list(map)?),
            GROUP_FILTERS => self.filters = list(map)?,
            _ => skip(&mut self.unknown, key, map)?,
        }
        Ok(())
    }
}

impl Entries for WrittenAuth {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            // A bare `None` is a text to YAML, and what some writers make of it is nothing.
            TYPE => self.kind = map.next_value()?,
            MANAGED_IDENTITY => self.identity = block(&key, map)?,
            HEADER => self.header = block(&key, map)?,
            _ => skip(&mut self.unknown, key, map)?,
        }
        Ok(())
    }
}

impl Entries for WrittenIdentity {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            RESOURCE => self.resource = map.next_value()?,
            _ => skip(&mut self.unknown, key, map)?,
        }
        Ok(())
    }
}

impl Entries for WrittenHeader {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            NAME => self.name = map.next_value()?,
            VALUE | VALUE_FILE | VALUE_ENV => {
                let value = map.next_value()?;
                self.secrets.push((key, value));
            }
            _ => skip(&mut self.unknown, key, map)?,
        }
        Ok(())
    }
}

impl WrittenHandler {
    /// What is meant; nothing if that cannot be said. `line` is where the handler begins.
    pub(super) fn handler(&self, line: u64, notes: &mut Notes) -> Option<EventHandler> {
        let keys = [URL, PATTERN, SYSTEM_EVENTS, AUTH, PRESENCE].join(", ");
        refuse_unknown(&self.unknown, "an event handler", &keys, notes);
        // Each part is looked at before the first is missed.
        let url = self.url(line, notes);
        let user_events = self.user_events(notes);
        let system_events = self.system_events(notes);
        let presence = self.presence.as_ref().map(|block| block.entries.presence(block.line, notes));
        let auth = match &self.auth {
            None => Some(UpstreamAuth::None),
            Some(block) => block.entries.auth(block.line, notes),
        };
        let (url, presence) = (url?, presence.unwrap_or_default());
        let handler = EventHandler { url, user_events: user_events?, system_events, presence, auth: auth? };
        if handler.takes_nothing() {
            notes.warn(
                line,
                format!("this event handler takes no event: give it {PATTERN} or {SYSTEM_EVENTS}"),
            );
        }
        Some(handler)
    }

    fn url(&self, line: u64, notes: &mut Notes) -> Option<UrlTemplate> {
        let Some(word) = &self.url else {
            notes.refuse(line, format!("an event handler needs {URL}"));
            return None;
        };
        let url = UrlTemplate::parse(&word.text);
        url.map_err(|invalid| notes.refuse(word.line, format!("{URL}: {invalid}"))).ok()
    }

    fn user_events(&self, notes: &mut Notes) -> Option<UserEventPattern> {
        let Some(word) = &self.pattern else {
            return Some(UserEventPattern::Nothing);
        };
        let pattern = UserEventPattern::parse(&word.text);
        pattern.map_err(|invalid| notes.refuse(word.line, format!("{PATTERN}: {invalid}"))).ok()
    }

    fn system_events(&self, notes: &mut Notes) -> SystemEvents {
        let mut events = SystemEvents::default();
        for word in &self.system_events {
            if !events.add(&word.text) {
                let reason =
                    format!("{SYSTEM_EVENTS} are connect, connected and disconnected, not \"{}\"", word.text);
                notes.refuse(word.line, reason);
            }
        }
        events
    }
}

impl WrittenPresence {
    fn presence(&self, line: u64, notes: &mut Notes) -> GroupPresence {
        refuse_unknown(&self.unknown, PRESENCE, &[EVENT_NAMES, GROUP_FILTERS].join(" and "), notes);
        if self.names.is_none() {
            notes.refuse(line, format!("{PRESENCE} needs {EVENT_NAMES}, with joined, left or both"));
        }
        let mut presence = GroupPresence::default();
        for word in self.names.iter().flatten() {
            if !presence.add(&word.text) {
                let reason = format!("{EVENT_NAMES} are joined and left, not \"{}\"", word.text);
                notes.refuse(word.line, reason);
            }
        }
        for word in &self.filters {
            match Pattern::parse(&word.text) {
                Ok(pattern) => presence.groups.push(pattern),
                Err(invalid) => notes.refuse(word.line, format!("{GROUP_FILTERS}: {invalid}")),
            }
        }
        presence
    }
}

impl WrittenAuth {
    fn auth(&self, line: u64, notes: &mut Notes) -> Option<UpstreamAuth> {
        refuse_unknown(&self.unknown, AUTH, &[TYPE, MANAGED_IDENTITY, HEADER].join(", "), notes);
        let Some(kind) = &self.kind else {
            notes.refuse(line, format!("{AUTH} needs {TYPE}: None, ManagedIdentity or Header"));
            return None;
        };
        let kind_line = kind.line;
        let kind = match AuthType::parse(&kind.text) {
            Ok(kind) => kind,
            Err(invalid) => {
                notes.refuse(kind_line, invalid.to_string());
                return None;
            }
        };
        let strays = [
            (AuthType::ManagedIdentity, MANAGED_IDENTITY, self.identity.as_ref().map(|block| block.line)),
            (AuthType::Header, HEADER, self.header.as_ref().map(|block| block.line)),
        ];
        for (owner, key, line) in strays {
            if let Some(line) = line.filter(|_| owner != kind) {
                notes.refuse(line, format!("{key} goes with {AUTH} of type {owner:?} only"));
            }
        }
        match kind {
            AuthType::None => Some(UpstreamAuth::None),
            AuthType::ManagedIdentity => self.token(kind_line, notes),
            AuthType::Header => match &self.header {
                Some(block) => block.entries.auth(block.line, notes),
                None => {
                    notes.refuse(
                        kind_line,
                        format!("{AUTH} of type Header needs {HEADER}, with {NAME} and {VALUE}"),
                    );
                    None
                }
            },
        }
    }

    fn token(&self, line: u64, notes: &mut Notes) -> Option<UpstreamAuth> {
        let identity = self.identity.as_ref().map(|block| &block.entries);
        if let Some(identity) = identity {
            refuse_unknown(&identity.unknown, MANAGED_IDENTITY, RESOURCE, notes);
        }
        let resource = identity.and_then(|identity| identity.resource.as_ref());
        let auth = UpstreamAuth::token(resource.map(|word| word.text.as_str()), notes.tokens);
        let line = resource.map_or(line, |word| word.line);
        auth.map_err(|invalid| notes.refuse(line, invalid.to_string())).ok()
    }
}

impl WrittenHeader {
    fn auth(&self, line: u64, notes: &mut Notes) -> Option<UpstreamAuth> {
        let keys = [NAME, VALUE, VALUE_FILE, VALUE_ENV].join(", ");
        refuse_unknown(&self.unknown, HEADER, &keys, notes);
        let name = match &self.name {
            Some(word) => match auth::header_name(&word.text) {
                Ok(_) => Some(word),
                Err(invalid) => {
                    notes.refuse(word.line, invalid.to_string());
                    None
                }
            },
            None => {
                notes.refuse(line, format!("{HEADER} needs {NAME}"));
                None
            }
        };
        let [(key, value)] = self.secrets.as_slice() else {
            notes.refuse(line, format!("{HEADER} needs one of {VALUE}, {VALUE_FILE} and {VALUE_ENV}"));
            return None;
        };
        let secret = match key.text.as_str() {
            VALUE_FILE => auth::secret_of_file(Path::new(&value.text)),
            VALUE_ENV => auth::secret_of_environment(&value.text),
            _ => Ok(value.text.clone()),
        };
        let secret =
            secret.map_err(|reason| notes.refuse(value.line, format!("{}: {reason}", key.text))).ok()?;
        let auth = UpstreamAuth::header(&name?.text, &secret);
        auth.map_err(|invalid| notes.refuse(value.line, format!("{}: {invalid}", key.text))).ok()
    }
}

fn refuse_unknown(unknown: &[Word], owner: &str, known: &str, notes: &mut Notes) {
    for key in unknown {
        let reason =
            format!("unknown key \"{}\" in {owner}: remove it; this version knows {known}", key.text);
        notes.refuse(key.line, reason);
    }
}
