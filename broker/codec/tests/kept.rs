//! What fuzzing has found is run again with every compiler: each input of `fuzz/kept`, and each seed, through what its
//! target does with it. Which compiler fuzzes, and for how long, is the business of `scripts/fuzz`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

use std::fs::File;
use std::io::Read;
use std::panic::{catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

// The fuzz crate is a workspace of its own, because its targets need a nightly compiler; this part of it does not.
#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a crate of its own elsewhere")]
mod codec_fuzz;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Runs one input. The name of one that fails is printed, as the archive has it.
fn run(target: fn(&[u8]), name: &str, input: &[u8]) {
    if let Err(panic) = catch_unwind(|| target(input)) {
        eprintln!("{name} fails");
        resume_unwind(panic);
    }
}

fn check(name: &str, target: fn(&[u8])) {
    let kept = folder().join("kept").join(format!("{name}.tar.gz"));
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(kept).unwrap()));
    let mut count = 0;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_file() {
            let mut input = Vec::new();
            entry.read_to_end(&mut input).unwrap();
            run(target, &entry.path().unwrap().to_string_lossy(), &input);
            count += 1;
        }
    }
    assert!(count > 100, "{name} has no more than {count} inputs");
    for seed in folder().join("corpus").join(name).read_dir().unwrap() {
        let path = seed.unwrap().path();
        run(target, &path.to_string_lossy(), &std::fs::read(&path).unwrap());
    }
}

/// Makes a test for each target.
macro_rules! replay {
    ($($target:ident),* $(,)?) => {
        /// All that are replayed.
        const TARGETS: &[&str] = &[$(stringify!($target)),*];

        $(#[test]
        fn $target() {
            check(stringify!($target), codec_fuzz::$target::run);
        })*
    };
}

replay!(connect_answer, encode, event_reply, filter_parse, json_decode, protobuf_decode, websocket_decode);

#[test]
fn every_target_is_replayed() {
    let files = folder().join("fuzz_targets").read_dir().unwrap().map(|file| file.unwrap().path());
    let mut targets: Vec<_> =
        files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    targets.sort();
    assert_eq!(targets, TARGETS);
}
