//! Reads the files of golden pairs of events. What stands in a pair is not understood here.

use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// One request to the application or one answer, and what it means.
pub(crate) struct Case {
    place: String,
    title: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) meaning: Option<Value>,
    /// How the error's text begins.
    pub(crate) error: Option<String>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.title)
    }
}

/// All pairs of a file, of which there is at least one.
pub(crate) fn read(name: &str) -> Vec<Case> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/cloud_event/{name}.golden"));
    let text = fs::read_to_string(file).unwrap();
    let numbered: Vec<(usize, &str)> = (1..).zip(text.split('\n')).collect();
    let cases: Vec<Case> = numbered
        .split(|(_, line)| line.is_empty())
        .filter(|lines| !lines.is_empty())
        .map(|lines| read_case(&format!("{name}.golden:{}", lines[0].0), lines))
        .collect();
    assert!(!cases.is_empty(), "{name} has no cases");
    cases
}

fn read_case(place: &str, lines: &[(usize, &str)]) -> Case {
    let mut case = Case {
        place: place.to_owned(),
        title: String::new(),
        headers: Vec::new(),
        body: None,
        meaning: None,
        error: None,
    };
    for (number, line) in lines {
        let (mark, rest) = line.split_at(1);
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match mark {
            "#" => rest.clone_into(&mut case.title),
            ":" => {
                let (name, value) =
                    rest.split_once(": ").unwrap_or_else(|| panic!("line {number}: no header"));
                case.headers.push((name.to_owned(), value.as_bytes().to_vec()));
            }
            "<" | ">" => case.body = Some(rest.as_bytes().to_vec()),
            "%" => case.body = Some(from_hex(rest)),
            "=" => {
                let meaning = serde_json::from_str(rest).unwrap_or_else(|e| panic!("line {number}: {e}"));
                case.meaning = Some(meaning);
            }
            "!" => case.error = Some(rest.to_owned()),
            _ => panic!("line {number}: unknown mark {mark:?}"),
        }
    }
    assert!(!case.title.is_empty(), "{place}: a case has a title");
    case
}

/// Bytes in hexadecimal, with spaces wherever they help.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: String = text.split(' ').collect();
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
