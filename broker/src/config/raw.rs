//! The configuration as it is written: texts from the command line, the environment and a file, each with its place.
//!
//! Nothing is understood here beyond which entry is meant; `check` does that. The program gives what it was started
//! with, most important first.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::de::{IgnoredAny, MapAccess};

use super::entry::{self, Default as EntryDefault, ENTRIES, Entry, Kind};
use super::fault::{Fault, Place};
use crate::settings::yaml::{self, Entries, Word};

/// What an operator wrote, wherever it was. Its `Debug` may show keys: it has none.
#[derive(Default)]
pub struct Raw {
    given: BTreeMap<&'static str, Given>,
    pub(super) faults: Vec<Fault>,
}

/// What was written for one entry.
#[derive(Clone)]
pub struct Given {
    /// The values, one unless the entry takes many.
    pub texts: Vec<String>,
    /// Where they were written.
    pub place: Place,
}

/// What some defaults depend on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Processors that this process may use.
    pub processors: NonZeroUsize,
    /// Where this user's programs keep their data, if the environment says so.
    pub data_dir: Option<PathBuf>,
}

impl Raw {
    /// Takes what was written for `entry`, unless something more important was given before.
    pub fn give(&mut self, entry: &'static Entry, given: Given) {
        self.given.entry(entry.flag).or_insert(given);
    }

    /// Takes everything in the configuration file at `path` that was not given before. What is wrong with the file is
    /// reported by the check, with all else.
    pub fn read_file(&mut self, path: &Path) {
        let place = |line| Place::File { path: path.to_owned(), line };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let reason = format!("cannot read the configuration file: {error}");
                self.faults.push(Fault { place: place(None), reason });
                return;
            }
        };
        let file: File = match yaml::read(&text) {
            Ok(file) => file,
            Err(fault) => {
                self.faults.push(Fault { place: place(fault.line), reason: fault.reason });
                return;
            }
        };
        for key in file.unknown {
            self.faults.push(Fault { place: place(Some(key.line)), reason: unknown(&key.text) });
        }
        for (entry, line, texts) in file.known {
            self.give(entry, Given { texts, place: place(Some(line)) });
        }
    }

    /// Fills in the default of every entry that nobody wrote.
    pub fn fill(&mut self, machine: &Machine) {
        for entry in ENTRIES {
            let text = match entry.default {
                EntryDefault::Absent => None,
                EntryDefault::Text(text) => Some(text.to_owned()),
                EntryDefault::Machine(_) => machine.default_of(entry),
            };
            if let Some(text) = text {
                self.give(entry, Given { texts: vec![text], place: Place::Default(entry) });
            }
        }
    }

    pub(super) fn get(&self, entry: &Entry) -> Option<&Given> {
        self.given.get(entry.flag)
    }
}

impl Machine {
    fn default_of(&self, entry: &Entry) -> Option<String> {
        match entry.flag {
            flag if flag == entry::WORKERS.flag => {
                Some(self.processors.get().min(super::MAX_WORKERS).to_string())
            }
            flag if flag == entry::DATA_DIR.flag => self.data_dir.as_ref()?.to_str().map(str::to_owned),
            _ => None,
        }
    }
}

/// A configuration file as it is written.
#[derive(Default)]
struct File {
    known: Vec<(&'static Entry, u64, Vec<String>)>,
    unknown: Vec<Word>,
}

impl Entries for File {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        let Some(entry) = ENTRIES.into_iter().find(|entry| entry.key == key.text) else {
            self.unknown.push(key);
            return map.next_value::<IgnoredAny>().map(drop);
        };
        let words = match entry.kind {
            Kind::One | Kind::Secret | Kind::Switch => vec![map.next_value::<Word>()?],
            Kind::Many | Kind::Lines => map.next_value::<Vec<Word>>()?,
        };
        self.known.push((entry, key.line, words.into_iter().map(|word| word.text).collect()));
        Ok(())
    }
}

/// Says what to write instead of an unknown key: the key that was meant, if that is plain, or where they all are.
fn unknown(key: &str) -> String {
    let bare = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    let meant = |entry: &&Entry| bare(entry.key) == bare(key) || bare(entry.flag) == bare(key);
    match ENTRIES.into_iter().find(meant) {
        Some(entry) => format!("unknown key \"{key}\"; write {}", entry.key),
        None => format!("unknown key \"{key}\"; remove it, or see the keys with --print-config"),
    }
}
