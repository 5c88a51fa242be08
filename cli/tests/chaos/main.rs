//! Chaos: brokers and Redis are killed, stopped, paused and cut off while numbered messages flow, and an audit of what
//! each client saw says whether it is what was promised.
//!
//! `docs/guarantees.md` says what is promised, `scripts/chaos` makes the long form of it. A failing seed replays:
//! `CHAOS_SEED=17 CHAOS_SECONDS=120 cargo test -p hubbub --test chaos -- --nocapture numbered`.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod audit;
mod dialect;
#[path = "../cluster/harness/mod.rs"]
mod harness;
mod line;
mod member;
mod publisher;
mod record;
mod relay;
mod run;
mod schedule;
mod setup;
mod socket;
mod stage;
#[path = "../../../broker/tests/support/mod.rs"]
mod support;
mod world;

use std::collections::BTreeMap;
use std::path::Path;

use audit::{Finding, audit};
use schedule::Schedule;
use setup::Setup;

/// Most findings of a kind that are shown for a seed.
const SHOWN: usize = 10;

#[test]
fn numbered_messages_survive_what_they_are_promised_to_survive() {
    let setup = Setup::from_environment();
    let mut failed = Vec::new();
    for &seed in &setup.seeds {
        let schedule = Schedule::from_seed(seed, setup.brokers, setup.length);
        println!("{schedule}");
        let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos").join(seed.to_string());
        let record = run::run(&setup, &schedule, &logs);
        let verdict = audit(&record, &setup.accepted);
        println!("seed {seed}:\n{}", verdict.report);
        let findings = &verdict.findings;
        if !findings.is_empty() {
            failed.push(seed);
            println!("  {} FINDINGS, logs in {}", findings.len(), logs.display());
            let mut kinds: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
            for finding in findings {
                kinds.entry(finding.what.kind()).or_default().push(finding);
            }
            for (kind, findings) in kinds {
                println!("  {} {kind}:", findings.len());
                findings.iter().take(SHOWN).for_each(|finding| println!("    {finding}"));
            }
        }
        println!();
    }
    assert!(failed.is_empty(), "findings with the seeds {failed:?}");
}
