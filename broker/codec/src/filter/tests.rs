//! The connections of the specification's tables and the checks that every table goes through.

mod bounds;
mod matching;
mod refusal;

use super::{Filter, Subject};

const ALL: &str = "C1 C2 C3 C4";

/// A connection of the tables.
struct Sample {
    name: &'static str,
    connection_id: &'static str,
    user_id: Option<&'static str>,
    groups: &'static [&'static str],
    protocol: Option<&'static str>,
}

const SAMPLES: [Sample; 4] = [
    Sample {
        name: "C1",
        connection_id: "c1",
        user_id: Some("user1"),
        groups: &["group1", "g2"],
        protocol: Some("json.webpubsub.azure.v1"),
    },
    Sample { name: "C2", connection_id: "c2", user_id: None, groups: &[], protocol: None },
    Sample {
        name: "C3",
        connection_id: "c3",
        user_id: Some("O'Brien, Jane"),
        groups: &["group1"],
        protocol: Some("json.reliable.webpubsub.azure.v1"),
    },
    Sample {
        name: "C4",
        connection_id: "c4",
        user_id: Some("USER1"),
        groups: &["Group1", "group3", "g4"],
        protocol: Some("protobuf.webpubsub.azure.v1"),
    },
];

impl Sample {
    fn is_matched_by(&self, filter: &Filter) -> bool {
        filter.matches(&Subject {
            connection_id: self.connection_id,
            user_id: self.user_id,
            protocol: self.protocol,
            group_count: self.groups.len(),
            in_group: &|group| self.groups.contains(&group),
        })
    }
}

/// The filter matches exactly the samples whose names are listed.
#[track_caller]
fn check(text: &str, expected: &str) {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let matched: Vec<&str> =
        SAMPLES.iter().filter(|sample| sample.is_matched_by(&filter)).map(|sample| sample.name).collect();
    assert_eq!(matched.join(" "), expected, "{text}");
}

/// The filter is refused with exactly this message.
#[track_caller]
fn check_refused(text: &str, message: &str) {
    assert_eq!(Filter::parse(text).unwrap_err().to_string(), message, "{text}");
}

/// The filter is refused with the template around what is wrong and where.
#[track_caller]
fn check_fault(text: &str, expression: &str, detail: &str) {
    check_refused(text, &format!("Invalid syntax for '{expression}': {detail} (Parameter 'filter')"));
}
