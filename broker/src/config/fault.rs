//! What is wrong with a configuration, said so that its author finds the place and knows what to write instead.

use std::fmt;
use std::path::PathBuf;

use super::entry::Entry;

/// Everything that is wrong with a configuration, never nothing. Shown as one line for each fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub(super) Vec<Fault>);

/// One thing that is wrong. Never holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it was written.
    pub place: Place,
    /// What is wrong, and what to write instead.
    pub reason: String,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A flag of the command line.
    Flag(&'static Entry),
    /// A variable of the environment.
    Variable(&'static Entry),
    /// A file.
    File {
        /// Its path as the operator wrote it.
        path: PathBuf,
        /// The line, counted from 1, if it is known.
        line: Option<u64>,
    },
    /// Nobody wrote it.
    Default(&'static Entry),
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {}", fault.place, fault.reason)?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(entry) => write!(f, "--{}", entry.flag),
            Self::Variable(entry) => f.write_str(entry.variable),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Default(entry) => write!(f, "default of --{}", entry.flag),
        }
    }
}
