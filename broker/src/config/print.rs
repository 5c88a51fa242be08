//! The configuration in force, as a configuration file: what is printed can be saved and given back.
//!
//! Keys are the exception, and so are URLs that may hold one and what is made anew at each start: in their place stands a
//! comment that says so. Each value has its origin beside it.

use std::fmt::Write;

use super::entry::{Default as EntryDefault, Entry, Heading, Kind};
use super::fault::Place;
use super::raw::{Given, Raw};

const HEAD: &str = "\
# The configuration in force. It can be saved and given back with --config FILE.
# A flag wins over an environment variable, a variable over the file, the file over a default.
";

/// Words that other readers of YAML take for something else than text.
const AMBIGUOUS: [&str; 8] = ["on", "off", "yes", "no", "y", "n", "null", "~"];

/// Shows a configuration whose defaults are filled in.
pub fn print(raw: &Raw) -> String {
    let mut page = HEAD.to_owned();
    let mut heading: Option<Heading> = None;
    for entry in raw.program.entries() {
        if heading != Some(entry.heading) {
            heading = Some(entry.heading);
            push(&mut page, format_args!("\n# {}", entry.heading.text()));
        }
        match raw.get(entry) {
            Some(given) => show(&mut page, entry, given),
            None if matches!(entry.kind, Kind::Many | Kind::Lines | Kind::Urls) => {
                push(&mut page, format_args!("{}: []  # default", entry.key))
            }
            None => push(&mut page, format_args!("# {} is not set", entry.key)),
        }
    }
    page
}

fn show(page: &mut String, entry: &Entry, given: &Given) {
    let from = match &given.place {
        Place::Default(_) => "default".to_owned(),
        place => place.to_string(),
    };
    match (entry.kind, given.texts.as_slice()) {
        _ if matches!((&given.place, entry.default), (Place::Default(_), EntryDefault::Fresh(_))) => {
            push(page, format_args!("# {} is made at each start", entry.key));
        }
        (Kind::Secret, _) => {
            let what = match given.place {
                Place::Default(_) => "is the public development key",
                _ => "is set, and not shown",
            };
            push(page, format_args!("# {} {what}  # {from}", entry.key));
        }
        (Kind::Lines | Kind::Urls, texts) if texts.iter().any(|text| text.contains(['?', '@'])) => {
            push(
                page,
                format_args!("# {} is set, and not shown because a URL may hold a key  # {from}", entry.key),
            );
        }
        (Kind::Many | Kind::Lines | Kind::Urls, []) => {
            push(page, format_args!("{}: []  # {from}", entry.key))
        }
        (Kind::Many | Kind::Lines | Kind::Urls, texts) => {
            push(page, format_args!("{}:  # {from}", entry.key));
            texts.iter().for_each(|text| push(page, format_args!("  - {}", scalar(text))));
        }
        (Kind::One | Kind::Switch, texts) => {
            texts
                .iter()
                .for_each(|text| push(page, format_args!("{}: {}  # {from}", entry.key, scalar(text))));
        }
    }
}

/// A YAML scalar that is read back as this text; quoted unless it is plain to everybody.
fn scalar(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"./_-:".contains(&byte);
    let starts =
        |text: &str| text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'/');
    let ambiguous = AMBIGUOUS.iter().any(|word| word.eq_ignore_ascii_case(text));
    if starts(text) && text.bytes().all(plain) && !text.ends_with(':') && !ambiguous {
        return text.to_owned();
    }
    // JSON strings are YAML strings.
    serde_json::Value::from(text).to_string()
}

/// Writing to a string cannot fail.
fn push(page: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(page, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_quoted_when_yaml_could_take_them_for_something_else() {
        let check = |text: &str, expected: &str| assert_eq!(scalar(text), expected);
        check("127.0.0.1:8080", "127.0.0.1:8080");
        check("https://rt.example.com", "https://rt.example.com");
        check("/data/x", "/data/x");
        check("true", "true");
        check("64", "64");
        check("off", "\"off\"");
        check("No", "\"No\"");
        check("[::1]:8080", "\"[::1]:8080\"");
        check("*", "\"*\"");
        check("", "\"\"");
        check("a: b", "\"a: b\"");
        check("a\n\"", "\"a\\n\\\"\"");
        check("::", "\"::\"");
    }
}
