//! The configuration as it is written: texts from the command line, the environment and a file, each with its place.
//!
//! Nothing is understood here beyond which entry is meant; `check` does that. The program gives what it was started
//! with, most important first.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::entry::{self, Default as EntryDefault, Entry, Kind, Program};
use super::fault::{Fault, Place};
use crate::settings::yaml::{self, Entries, Word};

/// What an operator wrote, wherever it was. Its `Debug` may show keys: it has none.
#[derive(Default)]
pub struct Raw {
    pub(super) program: Program,
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
    /// Nothing is written yet for this program.
    pub fn new(program: Program) -> Self {
        Self { program, ..Self::default() }
    }

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
            self.faults.push(Fault { place: place(Some(key.line)), reason: self.unknown(&key.text) });
        }
        for (key, line, texts) in file.known {
            match self.entry(key) {
                Some(entry) => self.give(entry, Given { texts, place: place(Some(line)) }),
                None => {
                    let reason = format!("{key} is not for this program; remove it");
                    self.faults.push(Fault { place: place(Some(line)), reason });
                }
            }
        }
    }

    /// Fills in the default of every entry that nobody wrote.
    pub fn fill(&mut self, machine: &Machine) {
        for &entry in self.program.entries() {
            let text = match entry.default {
                EntryDefault::Absent => None,
                EntryDefault::Text(text) => Some(text.to_owned()),
                EntryDefault::Machine(_) => machine.default_of(entry),
                EntryDefault::Fresh(_) => Some(short_id(rand::random())),
            };
            if let Some(text) = text {
                self.give(entry, Given { texts: vec![text], place: Place::Default(entry) });
            }
        }
    }

    pub(super) fn get(&self, entry: &Entry) -> Option<&Given> {
        self.given.get(entry.flag)
    }

    /// The program's entry with this key.
    fn entry(&self, key: &str) -> Option<&'static Entry> {
        self.program.entries().iter().copied().find(|entry| entry.key == key)
    }

    /// Says what to write instead of an unknown key: the key that was meant, if that is plain, or where they all are.
    fn unknown(&self, key: &str) -> String {
        let bare = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
        let meant = |entry: &&&Entry| bare(entry.key) == bare(key) || bare(entry.flag) == bare(key);
        match self.program.entries().iter().find(meant) {
            Some(entry) => format!("unknown key \"{key}\"; write {}", entry.key),
            None => format!("unknown key \"{key}\"; remove it, or see the keys with --print-config"),
        }
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

/// 40 random bits in eight letters and digits.
fn short_id(random: u64) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    (0..8).map(|place| char::from(ALPHABET[(random >> (5 * place)) as usize % ALPHABET.len()])).collect()
}

/// A configuration file as it is written, for whichever program: keys with their lines and texts.
#[derive(Default)]
struct File {
    known: Vec<(&'static str, u64, Vec<String>)>,
    unknown: Vec<Word>,
}

impl Entries for File {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: Word, map: &mut A) -> Result<(), A::Error> {
        let all = Program::Check.entries().iter();
        let Some(entry) = all.copied().find(|entry| entry.key == key.text) else {
            self.unknown.push(key);
            return map.next_value::<IgnoredAny>().map(drop);
        };
        let words = |words: Vec<Word>| words.into_iter().map(|word| word.text).collect();
        let texts = match entry.kind {
            Kind::One | Kind::Secret | Kind::Switch => words(vec![map.next_value::<Word>()?]),
            Kind::Many | Kind::Lines => words(map.next_value::<Vec<Word>>()?),
            Kind::Urls => map.next_value::<OneOrMany>()?.0,
        };
        self.known.push((entry.key, key.line, texts));
        Ok(())
    }
}

/// A text, or a list of texts.
struct OneOrMany(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor)
    }
}

struct OneOrManyVisitor;

impl<'de> Visitor<'de> for OneOrManyVisitor {
    type Value = OneOrMany;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
        Ok(OneOrMany(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element::<String>()? {
            texts.push(text);
        }
        Ok(OneOrMany(texts))
    }
}
