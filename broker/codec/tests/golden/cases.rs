//! Reads the files of golden pairs. What stands in a pair is not understood here.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Which way the frames of a folder go.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Upstream,
    Downstream,
}

/// One pair, or a frame that means nothing.
pub(crate) struct Case {
    place: String,
    title: String,
    pub(crate) wire: String,
    pub(crate) meaning: Meaning,
}

pub(crate) enum Meaning {
    Message(Value),
    /// How the error's text begins.
    Error(String),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.title)
    }
}

impl Side {
    fn folder(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }

    fn arrow(self) -> char {
        match self {
            Self::Upstream => '>',
            Self::Downstream => '<',
        }
    }
}

/// All pairs of one direction of a protocol, file by file.
pub(crate) fn read(protocol: &str, side: Side) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(protocol).join(side.folder());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().flat_map(|file| read_file(file, side)).collect()
}

fn read_file(file: &Path, side: Side) -> Vec<Case> {
    let text = fs::read_to_string(file).unwrap();
    let numbered: Vec<(usize, &str)> = (1..).zip(text.split('\n')).collect();
    numbered
        .split(|(_, line)| line.is_empty())
        .filter(|lines| !lines.is_empty())
        .map(|lines| read_case(&format!("{}:{}", file.display(), lines[0].0), lines, side))
        .collect()
}

fn read_case(place: &str, lines: &[(usize, &str)], side: Side) -> Case {
    let part = |mark: char| {
        let marked = lines.iter().find_map(|(_, line)| line.strip_prefix(mark));
        marked.map(|rest| rest.strip_prefix(' ').unwrap_or(rest).to_owned())
    };
    assert_eq!(lines.len(), 3, "{place}: a case has three lines");
    let meaning = match (part('='), part('!')) {
        (Some(message), None) => {
            Meaning::Message(serde_json::from_str(&message).unwrap_or_else(|e| panic!("{place}: {e}")))
        }
        (None, Some(error)) => Meaning::Error(error),
        _ => panic!("{place}: a case has either a message or an error"),
    };
    let missing = |mark: char| panic!("{place}: no line with '{mark}'");
    let title = part('#').unwrap_or_else(|| missing('#'));
    let wire = part(side.arrow()).unwrap_or_else(|| missing(side.arrow()));
    Case { place: place.to_owned(), title, wire, meaning }
}
