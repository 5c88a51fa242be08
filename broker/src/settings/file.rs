//! Hub settings as a file, in the fields of the service's own hub resource:
//!
//! ```yaml
//! hubs:
//!   chat:
//!     anonymousConnectPolicy: deny
//!     webSocketKeepAliveIntervalInSeconds: 20
//!     eventHandlers:
//!       - urlTemplate: http://127.0.0.1:7070/eventhandler/{hub}/{event}
//!         userEventPattern: "*"
//!         systemEvents: [connect, connected, disconnected]
//! ```
//!
//! What is not known is refused, and every fault of a file is found in one reading. JSON is YAML too, so a block of the
//! resource can be pasted. Opening the file is the caller's; the files of secrets that it names are opened here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use codec::ids::HubName;
use serde::de::{IgnoredAny, MapAccess};

use self::handler::WrittenHandler;
use super::handler::HandlerTokens;
use super::{AnonymousConnectPolicy, HUB_NAME_RULE, HubSettings};
use crate::settings::yaml::{self, Entries, Fault, Item, Mapping, Word};

mod handler;

const HUBS: &str = "hubs";
const POLICY: &str = "anonymousConnectPolicy";
const KEEP_ALIVE: &str = "webSocketKeepAliveIntervalInSeconds";
const DURABLE: &str = "durable";
const EVENT_HANDLERS: &str = "eventHandlers";
/// Keys of the service's resource that mean something there and nothing here.
const NOT_YET: [&str; 3] = ["eventListeners", "chat", "socketIO"];

/// What a settings file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hubs {
    /// Settings of the hubs that it names.
    pub(crate) settings: BTreeMap<HubName, Arc<HubSettings>>,
    /// On which line it names them.
    pub(crate) lines: BTreeMap<HubName, u64>,
    /// What is allowed but of no use, in the order of its lines.
    pub(crate) warnings: Vec<Fault>,
}

/// Reads the text of a settings file. `tokens` says what handlers can have.
///
/// # Errors
/// Every fault of the file, in the order of its lines.
pub(crate) fn parse(text: &str, tokens: HandlerTokens) -> Result<Hubs, Vec<Fault>> {
    let file: File = yaml::read(text).map_err(|fault| vec![fault])?;
    let mut notes = Notes { tokens, faults: Vec::new(), warnings: Vec::new() };
    for key in &file.unknown {
        let reason = format!("unknown key \"{}\"; a settings file has the one key {HUBS}", key.text);
        notes.refuse(key.line, reason);
    }
    let mut hubs = Hubs::default();
    for (name, written) in &file.hubs {
        let settings = written.settings(name, &mut notes);
        let Ok(hub) = HubName::new(&name.text) else {
            notes.refuse(name.line, format!("\"{}\" is not a hub name: use {HUB_NAME_RULE}", name.text));
            continue;
        };
        if let Some(line) = hubs.lines.insert(hub.clone(), name.line) {
            let reason =
                format!("hub \"{}\" has settings on line {line} already: hub names ignore case", name.text);
            notes.refuse(name.line, reason);
        }
        hubs.settings.insert(hub, Arc::new(settings));
    }
    if notes.faults.is_empty() {
        notes.warnings.sort_by_key(|warning| warning.line);
        hubs.warnings = notes.warnings;
        return Ok(hubs);
    }
    notes.faults.sort_by_key(|fault| fault.line);
    Err(notes.faults)
}

/// What a reading goes by, and what it has found.
struct Notes {
    tokens: HandlerTokens,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Notes {
    fn refuse(&mut self, line: u64, reason: String) {
        self.faults.push(Fault { line: Some(line), reason });
    }

    fn warn(&mut self, line: u64, reason: String) {
        self.warnings.push(Fault { line: Some(line), reason });
    }
}

#[derive(Debug, Default)]
struct File {
    hubs: Vec<(Word, Written)>,
    unknown: Vec<Word>,
}

impl Entries for File {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        if key.text == HUBS {
            self.hubs = map.next_value::<Option<Mapping<NamedHubs>>>()?.unwrap_or_default().0.0;
            return Ok(());
        }
        self.unknown.push(key);
        map.next_value::<IgnoredAny>().map(drop)
    }
}

#[derive(Debug, Default)]
struct NamedHubs(Vec<(Word, Written)>);

impl Entries for NamedHubs {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: Word, map: &mut A) -> Result<(), A::Error> {
        let written = map.next_value::<Option<Mapping<Written>>>()?.unwrap_or_default().0;
        self.0.push((name, written));
        Ok(())
    }
}

/// Settings of one hub as they are written.
#[derive(Debug, Default)]
struct Written {
    policy: Option<Word>,
    keep_alive: Option<Word>,
    durable: Option<Word>,
    event_handlers: Vec<Item<WrittenHandler>>,
    unknown: Vec<Word>,
}

impl Entries for Written {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            POLICY => self.policy = map.next_value()?,
            KEEP_ALIVE => self.keep_alive = map.next_value()?,
            DURABLE => self.durable = map.next_value()?,
            EVENT_HANDLERS => self.event_handlers = map.next_value::<Option<_>>()?.unwrap_or_default(),
            _ => {
                self.unknown.push(key);
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl Written {
    fn settings(&self, hub: &Word, notes: &mut Notes) -> HubSettings {
        for key in &self.unknown {
            let reason = if NOT_YET.contains(&key.text.as_str()) {
                format!("this version does not have {} (hub \"{}\"): remove it", key.text, hub.text)
            } else {
                format!(
                    "unknown key \"{}\" in hub \"{}\": remove it; this version knows {POLICY}, {KEEP_ALIVE}, {DURABLE} \
                     and {EVENT_HANDLERS}",
                    key.text, hub.text
                )
            };
            notes.refuse(key.line, reason);
        }
        let mut settings = HubSettings::default();
        if let Some(word) = &self.policy {
            match policy(&word.text) {
                Some(policy) => settings.anonymous_connect_policy = policy,
                None => {
                    notes.refuse(word.line, format!("{POLICY} is allow or deny, not \"{}\"", word.text));
                }
            }
        }
        if let Some(word) = &self.keep_alive {
            match keep_alive(&word.text) {
                Some(interval) => settings.keep_alive_interval = interval,
                None => {
                    let reason =
                        format!("{KEEP_ALIVE} is a whole number from 1 to 120, not \"{}\"", word.text);
                    notes.refuse(word.line, reason);
                }
            }
        }
        if let Some(word) = &self.durable {
            match word.text.as_str() {
                "true" => settings.is_durable = true,
                "false" => {}
                other => notes.refuse(word.line, format!("{DURABLE} is true or false, not \"{other}\"")),
            }
        }
        let handlers = self.event_handlers.iter().filter_map(|item| item.entries.handler(item.line, notes));
        settings.event_handlers = handlers.map(Arc::new).collect();
        settings
    }
}

fn policy(text: &str) -> Option<AnonymousConnectPolicy> {
    if text.eq_ignore_ascii_case("allow") {
        return Some(AnonymousConnectPolicy::Allow);
    }
    text.eq_ignore_ascii_case("deny").then_some(AnonymousConnectPolicy::Deny)
}

fn keep_alive(text: &str) -> Option<Duration> {
    let seconds: u64 = text.parse().ok()?;
    (1..=120).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
