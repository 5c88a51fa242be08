//! Any bytes as an application's answer to `connect`: they are wishes that keep their promises, or are refused.

use codec::cloud_event::read_connect_answer;

/// Panics when a rule is broken.
pub fn run(body: &[u8]) {
    match read_connect_answer(body) {
        Ok(answer) => {
            assert!(answer.groups.is_none_or(|groups| !groups.is_empty()), "no groups are no wish");
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
            assert!(body.is_empty() || is_json, "wishes are JSON");
        }
        Err(error) => drop(error.to_string()),
    }
}
