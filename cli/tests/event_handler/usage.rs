//! What is said of the command line and its files.

use crate::support::{Scratch, hubbub, output, stderr, stdout};
use crate::{assert_says, check};

#[test]
fn wrong_usage_is_told_all_at_once() {
    let output = check(&[
        "--url",
        "ftp://a.test/",
        "--hub",
        "1",
        "--event",
        "a b",
        "--origin",
        "a/b",
        "--access-key",
        "short",
    ]);
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    for part in [
        "error: --access-key: the access key is too short",
        "error: --url: its scheme is not supported",
        "error: --hub: Invalid hub name.",
        "error: --event: Invalid event name.",
        "error: --origin: write a host name",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    assert_eq!(stdout(&output), "");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", "hubs:\n  ch-at:\n");
    let empty = scratch.file("ca.pem", "");
    let output = check(&["--hubs", &hubs, "--handler-ca-file", &empty]);
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(told.contains(&format!("error: {hubs}:2: \"ch-at\" is not a hub name")), "{told}");
    assert!(told.contains("error: --handler-ca-file: ") && told.contains(&empty), "{told}");
}

#[test]
fn something_to_check_must_be_named() {
    for options in [&[][..], &["--event", "a"], &["--count", "0", "--url", "http://127.0.0.1/"]] {
        let output = check(options);
        assert_eq!(output.status.code(), Some(2), "{options:?} {}", stderr(&output));
    }
    assert!(stderr(&check(&[])).contains("error: there is nothing to check: give --url"));
}

#[test]
fn a_hub_without_event_handlers_has_failed() {
    let scratch = Scratch::new();
    let hubs = scratch.file("hubs.yaml", "hubs:\n  chat:\n    anonymousConnectPolicy: allow\n");
    let parts = ["has no event handlers", "Write eventHandlers for it into the hub settings"];
    for hub in ["chat", "other"] {
        assert_says(&check(&["--hubs", &hubs, "--hub", hub]), 1, &parts);
    }
    let output = check(&["--hubs", &hubs]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is nothing to check"));
}

#[test]
fn help_says_that_the_application_acts_on_the_event() {
    let scratch = Scratch::new();
    let help = output(hubbub(&scratch, &["event-handler", "check", "--help"]));
    assert_says(
        &help,
        0,
        &["and will act on it", "--no-event leaves it out", "--url <TEMPLATE>", "--hubs <FILE>", "Examples:"],
    );
    let top = output(hubbub(&scratch, &["--help"]));
    assert_says(&top, 0, &["event-handler Work with the event handlers of hubs"]);
}
