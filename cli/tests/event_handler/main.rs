//! Black-box tests of `hubbub event-handler check`: the program as a user starts it, against applications of each kind
//! that listen on this machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "../dev/support.rs"]
#[allow(dead_code, reason = "what starts a node is not needed here")]
mod support;

mod application;
mod failures;
mod settings;
mod success;
mod usage;

use std::process::Output;

use support::{Scratch, hubbub, output, stdout};

/// Runs the check with these options to its end.
fn check(options: &[&str]) -> Output {
    let scratch = Scratch::new();
    output(hubbub(&scratch, &[&["event-handler", "check"], options].concat()))
}

/// Asserts exit code and parts of the output, with spaces as single ones.
fn assert_says(output: &Output, code: i32, parts: &[&str]) {
    let shown = stdout(output);
    assert_eq!(output.status.code(), Some(code), "{shown}{}", support::stderr(output));
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(words.contains(part), "{part:?} is not in\n{shown}");
    }
}
