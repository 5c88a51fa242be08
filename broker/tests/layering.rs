//! Which module may know which: reads the broker's sources and compares what they name with the table of the house
//! (`docs/ARCHITECTURE.md`). A new entry here is an architectural change and says so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module, the modules that it may name, and the crates that it may not.
struct Row {
    module: &'static str,
    may: &'static [&'static str],
    never: &'static [&'static str],
}

const PURE: &[&str] = &["tokio", "hyper", "tracing", "metrics"];
const NONE: &[&str] = &[];

/// In the order in which a module may be known by those after it.
const TABLE: [Row; 17] = [
    Row { module: "telemetry", may: &[], never: &["codec"] },
    // The exceptions: what may be done to a group is part of the question whether somebody may, and what a connection
    // may do goes with it to another node.
    Row { module: "model", may: &["auth::permission::Action", "auth::permission::Grants"], never: PURE },
    Row { module: "auth", may: &[], never: PURE },
    Row { module: "session", may: &["model", "auth"], never: PURE },
    Row { module: "hub", may: &["model", "telemetry"], never: &["hyper"] },
    Row { module: "backplane", may: &["model", "telemetry"], never: &["hyper"] },
    Row { module: "settings", may: &["auth", "telemetry"], never: &["hyper"] },
    Row { module: "events", may: &["model::portable", "auth", "settings", "telemetry"], never: NONE },
    Row { module: "router", may: &["hub", "backplane", "model", "telemetry"], never: &["hyper"] },
    Row {
        module: "client",
        may: &["model", "auth", "session", "hub", "backplane", "settings", "events", "router", "telemetry"],
        never: NONE,
    },
    Row {
        module: "rest",
        may: &["model", "auth", "backplane", "settings", "router", "telemetry"],
        never: NONE,
    },
    // What it shows comes from the trace alone, and who may see it is said by whoever hands requests in.
    Row { module: "playground", may: &["telemetry"], never: &["codec"] },
    Row {
        module: "edge",
        may: &[
            "model",
            "auth",
            "backplane",
            "settings",
            "router",
            "telemetry",
            "client",
            "playground",
            "rest",
        ],
        never: NONE,
    },
    Row {
        module: "worker",
        may: &[
            "model",
            "auth",
            "session",
            "hub",
            "backplane",
            "settings",
            "events",
            "router",
            "telemetry",
            "client",
            "playground",
            "rest",
            "edge",
        ],
        never: NONE,
    },
    Row {
        module: "app",
        may: &[
            "model",
            "auth",
            "session",
            "hub",
            "backplane",
            "settings",
            "events",
            "router",
            "telemetry",
            "client",
            "playground",
            "rest",
            "edge",
            "worker",
            "config",
        ],
        never: NONE,
    },
    // It holds the struct that each room owns, and the parts of which such structs are made.
    Row {
        module: "config",
        may: &["auth", "backplane", "settings", "events", "client", "rest", "edge", "worker", "telemetry"],
        never: &["hyper"],
    },
    Row { module: "lib", may: &["app", "config", "settings"], never: NONE },
];

fn row(module: &str) -> &'static Row {
    TABLE.iter().find(|row| row.module == module).unwrap_or_else(|| {
        panic!("module `{module}` is not in the table: add it to the map first, then here");
    })
}

/// A source file: its module at the top of the crate, how deep its own module is, and its text without comments.
struct Source {
    path: PathBuf,
    module: String,
    depth: usize,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(!files.is_empty());
    files.into_iter().map(|path| read(&root, path)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn read(root: &Path, path: PathBuf) -> Source {
    let relative = path.strip_prefix(root).unwrap().with_extension("");
    let mut parts: Vec<String> =
        relative.iter().map(|part| part.to_str().unwrap().to_owned()).filter(|part| part != "mod").collect();
    if parts.is_empty() {
        parts.push("lib".into());
    }
    let text = fs::read_to_string(&path).unwrap();
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
    Source { path, module: parts[0].clone(), depth: parts.len(), text: code.join("\n") }
}

/// Every path that starts with `start`, groups in braces taken apart one level.
fn paths_after(text: &str, start: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices(start) {
        let is_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
        if is_word {
            continue;
        }
        let rest = &text[at + start.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_items(group)),
            None => {
                found.insert(path_at(rest));
            }
        }
    }
    found
}

/// The path at the front of a text.
fn path_at(text: &str) -> String {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    text[..end].trim_end_matches(':').to_owned()
}

/// The paths at the first level of a group whose opening brace has been read.
fn group_items(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut depth = 1;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => items.push(String::new()),
            c if depth == 1 && !c.is_whitespace() => items.last_mut().unwrap().push(c),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    items.retain(|item| !item.is_empty());
    items.iter().map(|item| path_at(item)).collect()
}

/// Paths from the top of the crate, as a file names them: by `crate`, or by climbing up to the top.
fn named_from_the_top(source: &Source) -> BTreeSet<String> {
    let mut paths = paths_after(&source.text, "crate::");
    if source.module != "lib" {
        paths.extend(paths_after(&source.text, &"super::".repeat(source.depth)));
    }
    paths
}

fn is_allowed(row: &Row, path: &str) -> bool {
    let first = path.split("::").next().unwrap();
    let is_module = TABLE.iter().any(|row| row.module == first);
    let within = |allowed: &str| path == allowed || path.starts_with(&format!("{allowed}::"));
    !is_module || first == row.module || row.may.iter().any(|allowed| within(allowed))
}

#[test]
fn every_module_names_only_those_that_it_may_know() {
    let mut breaches = Vec::new();
    for source in sources() {
        let row = row(&source.module);
        for path in named_from_the_top(&source) {
            if !is_allowed(row, &path) {
                breaches.push(format!("{}: `{}` may not know `{path}`", source.path.display(), row.module));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn pure_modules_name_no_crate_that_does_io_or_logs() {
    let mut breaches = Vec::new();
    for source in sources() {
        for name in row(&source.module).never {
            if !paths_after(&source.text, &format!("{name}::")).is_empty() {
                breaches.push(format!("{}: `{}` may not use `{name}`", source.path.display(), source.module));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn the_reader_of_sources_sees_every_form_of_a_path() {
    let text = "use crate::a::b;\nuse crate::{c::{d, e}, f,\n g::h};\nlet x = crate::i::j::<T>(); xcrate::k; pub(in crate::l)";
    let expected = ["a::b", "c", "f", "g::h", "i::j", "l"].map(str::to_owned);
    assert_eq!(paths_after(text, "crate::"), BTreeSet::from(expected));
    assert!(is_allowed(row("model"), "auth::permission::Action"));
    assert!(!is_allowed(row("model"), "auth::permission::Permissions"));
    assert!(!is_allowed(row("rest"), "session"));
    assert!(is_allowed(row("client"), "session::Session"));
}
