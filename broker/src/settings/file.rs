//! Hub settings as a file, in the fields of the service's own hub resource:
//!
//! ```yaml
//! hubs:
//!   chat:
//!     anonymousConnectPolicy: deny
//!     webSocketKeepAliveIntervalInSeconds: 20
//! ```
//!
//! What is not known is refused, and every fault of a file is found in one reading. Opening the file is the caller's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use codec::ids::HubName;
use serde::de::{IgnoredAny, MapAccess};

use super::{AnonymousConnectPolicy, HubSettings};
use crate::settings::yaml::{self, Entries, Fault, Mapping, Word};

const HUBS: &str = "hubs";
const POLICY: &str = "anonymousConnectPolicy";
const KEEP_ALIVE: &str = "webSocketKeepAliveIntervalInSeconds";

/// Reads the text of a settings file.
///
/// # Errors
/// Every fault of the file, in the order of its lines.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<HubName, Arc<HubSettings>>, Vec<Fault>> {
    let file: File = yaml::read(text).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    for key in &file.unknown {
        faults.push(fault(
            key.line,
            format!("unknown key \"{}\"; a settings file has the one key {HUBS}", key.text),
        ));
    }
    let mut hubs = BTreeMap::new();
    let mut lines = BTreeMap::new();
    for (name, written) in &file.hubs {
        let settings = written.settings(name, &mut faults);
        let Ok(hub) = HubName::new(&name.text) else {
            let reason = format!(
                "\"{}\" is not a hub name: use a letter, then up to 127 letters, digits or _ ` , . [ ]",
                name.text
            );
            faults.push(fault(name.line, reason));
            continue;
        };
        if let Some(line) = lines.insert(hub.clone(), name.line) {
            let reason =
                format!("hub \"{}\" has settings on line {line} already: hub names ignore case", name.text);
            faults.push(fault(name.line, reason));
        }
        hubs.insert(hub, Arc::new(settings));
    }
    if faults.is_empty() {
        return Ok(hubs);
    }
    faults.sort_by_key(|fault| fault.line);
    Err(faults)
}

#[derive(Debug, Default)]
struct File {
    hubs: Vec<(Word, Written)>,
    unknown: Vec<Word>,
}

impl Entries for File {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        if key.text == HUBS {
            self.hubs = map.next_value::<Option<Mapping<Hubs>>>()?.unwrap_or_default().0.0;
            return Ok(());
        }
        self.unknown.push(key);
        map.next_value::<IgnoredAny>().map(drop)
    }
}

#[derive(Debug, Default)]
struct Hubs(Vec<(Word, Written)>);

impl Entries for Hubs {
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
    unknown: Vec<Word>,
}

impl Entries for Written {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        match key.text.as_str() {
            POLICY => self.policy = Some(map.next_value()?),
            KEEP_ALIVE => self.keep_alive = Some(map.next_value()?),
            _ => {
                self.unknown.push(key);
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl Written {
    fn settings(&self, hub: &Word, faults: &mut Vec<Fault>) -> HubSettings {
        for key in &self.unknown {
            let reason = format!(
                "unknown key \"{}\" in hub \"{}\": remove it; this version knows {POLICY} and {KEEP_ALIVE}",
                key.text, hub.text
            );
            faults.push(fault(key.line, reason));
        }
        let mut settings = HubSettings::default();
        if let Some(word) = &self.policy {
            match policy(&word.text) {
                Some(policy) => settings.anonymous_connect_policy = policy,
                None => {
                    faults.push(fault(word.line, format!("{POLICY} is allow or deny, not \"{}\"", word.text)))
                }
            }
        }
        if let Some(word) = &self.keep_alive {
            match keep_alive(&word.text) {
                Some(interval) => settings.keep_alive_interval = interval,
                None => {
                    let reason =
                        format!("{KEEP_ALIVE} is a whole number from 1 to 120, not \"{}\"", word.text);
                    faults.push(fault(word.line, reason));
                }
            }
        }
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

fn fault(line: u64, reason: String) -> Fault {
    Fault { line: Some(line), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_read(text: &str, expected: &[(&str, AnonymousConnectPolicy, u64)]) {
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(name, policy, seconds)| {
                let settings = HubSettings {
                    anonymous_connect_policy: *policy,
                    keep_alive_interval: Duration::from_secs(*seconds),
                    ..HubSettings::default()
                };
                (HubName::new(name).unwrap(), Arc::new(settings))
            })
            .collect();
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    fn check_refused(text: &str, expected: &[(u64, &str)]) {
        let faults = parse(text).unwrap_err();
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for (fault, (line, part)) in faults.iter().zip(expected) {
            assert_eq!(fault.line, Some(*line), "{fault:?}");
            assert!(fault.reason.contains(part), "{fault:?}");
        }
    }

    #[test]
    fn fields_left_out_have_the_services_defaults() {
        use AnonymousConnectPolicy::{Allow, Deny};
        check_read("", &[]);
        check_read("hubs:\n", &[]);
        check_read("hubs: {}\n", &[]);
        check_read("hubs:\n  chat:\n", &[("chat", Deny, 20)]);
        check_read("hubs:\n  Chat:\n    anonymousConnectPolicy: Allow\n", &[("chat", Allow, 20)]);
        check_read(
            "hubs:\n  a:\n    webSocketKeepAliveIntervalInSeconds: 120\n    anonymousConnectPolicy: deny\n  b: {webSocketKeepAliveIntervalInSeconds: 1}\n",
            &[("a", Deny, 120), ("b", Deny, 1)],
        );
    }

    #[test]
    fn every_fault_of_a_file_is_named_with_its_line() {
        check_refused("hub:\n  chat:\n", &[(1, "unknown key \"hub\"; a settings file has the one key hubs")]);
        check_refused("hubs:\n  ch-at:\n", &[(2, "\"ch-at\" is not a hub name")]);
        check_refused("hubs:\n  chat:\n  CHAT:\n", &[(3, "on line 2 already")]);
        check_refused("hubs: [chat]\n", &[(1, "")]);
        check_refused("hubs:\n  chat: 7\n", &[(2, "")]);
        check_refused(
            "hubs:\n  chat:\n    eventHandlers:\n      - urlTemplate: http://127.0.0.1/\n    anonymousConnectPolicy: maybe\n  b:\n    webSocketKeepAliveIntervalInSeconds: 0\nx: 1\n",
            &[
                (3, "unknown key \"eventHandlers\" in hub \"chat\": remove it"),
                (5, "anonymousConnectPolicy is allow or deny, not \"maybe\""),
                (7, "webSocketKeepAliveIntervalInSeconds is a whole number from 1 to 120, not \"0\""),
                (8, "unknown key \"x\""),
            ],
        );
        for seconds in ["121", "-1", "1.5", "20s", ""] {
            let text = format!("hubs:\n  a:\n    webSocketKeepAliveIntervalInSeconds: \"{seconds}\"\n");
            check_refused(&text, &[(3, "from 1 to 120")]);
        }
    }
}
