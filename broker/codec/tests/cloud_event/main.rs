//! Golden pairs of events: what the application is sent, and what its answers mean. The files are in
//! `testdata/cloud_event`, how they look is described in `testdata/README.md`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use codec::cloud_event::{body, connection_state, headers, read_connect_answer, read_reply};

mod cases;
mod notation;

use cases::Case;

#[test]
fn events_are_sent_as_the_pairs_say() {
    for case in cases::read("events") {
        let event = notation::to_event(case.meaning.as_ref().unwrap());
        match (headers(&event), &case.error) {
            (Ok(headers), None) => {
                let lines: Vec<(String, Vec<u8>)> =
                    headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
                assert_eq!(shown(&lines), shown(&case.headers), "{case}");
                assert_eq!(body(&event.what), case.body.as_ref().unwrap(), "{case}");
            }
            (Err(error), Some(expected)) => {
                assert!(error.to_string().starts_with(expected), "{case}: got the error {error:?}");
            }
            (result, _) => panic!("{case}: got {result:?}"),
        }
    }
}

#[test]
fn answers_to_connect_mean_what_the_pairs_say() {
    for case in cases::read("connect_answers") {
        let answer = read_connect_answer(case.body.as_ref().unwrap());
        check(&case, answer.map(|answer| notation::of_connect_answer(&answer)));
    }
}

#[test]
fn replies_mean_what_the_pairs_say() {
    for case in cases::read("replies") {
        let reply = read_reply(lines(&case), case.body.clone().unwrap().into());
        check(&case, reply.map(|reply| notation::of_reply(reply.as_ref())));
    }
}

#[test]
fn the_last_state_counts() {
    let check = |values: &[&[u8]], expected: Option<&str>| {
        let lines = values.iter().map(|value| ("ce-connectionstate", *value));
        let others = [("content-type", &b"text/plain"[..])];
        assert_eq!(connection_state(lines.chain(others)), expected, "{values:?}");
    };
    check(&[], None);
    check(&[b"a, b"], Some("a, b"));
    check(&[b"a", b"b"], Some("b"));
    check(&[b"a", b""], Some(""));
    check(&["é".as_bytes()], None);
    check(&[b"\xff"], None);
}

#[test]
fn the_body_of_a_user_event_is_not_copied() {
    let noted = serde_json::json!({ "user event": "message", "text": "hi", "id": 1, "time": 0 });
    let event = notation::to_event(&noted);
    assert_eq!(body(&event.what).as_ptr(), body(&event.what).as_ptr(), "each attempt sends the same bytes");
}

fn check<E: ToString + std::fmt::Debug>(case: &Case, result: Result<serde_json::Value, E>) {
    match (result, &case.error) {
        (Ok(meaning), None) => assert_eq!(Some(&meaning), case.meaning.as_ref(), "{case}"),
        (Err(error), Some(expected)) => {
            assert!(error.to_string().starts_with(expected), "{case}: got the error {error:?}");
        }
        (result, _) => panic!("{case}: got {result:?}"),
    }
}

fn lines(case: &Case) -> impl Iterator<Item = (&str, &[u8])> {
    case.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
}

/// Header lines as text, which is easier to compare when they differ.
fn shown(lines: &[(String, Vec<u8>)]) -> Vec<String> {
    lines.iter().map(|(name, value)| format!("{name}: {}", str::from_utf8(value).unwrap())).collect()
}
