//! Connections that come, stay silent and leave: what each costs in memory, and what its coming costs in time.

use std::time::{Duration, Instant};

use super::{Fault, Target};
use crate::arguments::IdleArguments;
use crate::client::Phase;
use crate::process::Process;
use crate::report::{Figure, PhaseReport};

/// Connections that come and go first, so that code and tables which every server needs once are not counted as the
/// cost of a connection.
const WARM_UP: u32 = 100;
/// How often memory is looked at until it stands still.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Looks that must agree.
const AGREEING_LOOKS: u32 = 5;
/// Memory that still moves after this is taken as it is.
const SETTLE_DEADLINE: Duration = Duration::from_secs(15);

/// Measures one subject.
pub(super) fn run(target: &Target<'_>, arguments: &IdleArguments) -> Result<Vec<PhaseReport>, Fault> {
    let process = target.server.process;
    let cold = settled_memory(process)?;
    target.connect(WARM_UP.min(arguments.connections), 1, arguments.protocol)?.leave()?;
    let before = settled_memory(process)?;

    let (started, cpu_before) = (Instant::now(), process.cpu_time()?);
    let members = target.connect(arguments.connections, 1, arguments.protocol)?;
    let (took, cpu) = (started.elapsed(), process.cpu_time()?.saturating_sub(cpu_before));
    members.begin(Phase::default())?;
    let with = settled_memory(process)?;
    let held = hold(process, arguments.hold)?;
    let tally = members.tally()?;
    members.leave()?;
    let after = settled_memory(process)?;

    let connections = f64::from(arguments.connections);
    let mut report = PhaseReport::new("connect, stay, leave");
    report.add(Figure::BytesPerConnection, (with as f64 - before as f64) / connections);
    report.add(Figure::MicrosPerConnect, cpu.as_secs_f64() * 1e6 / connections);
    report.add(Figure::ConnectsPerSecond, connections / took.as_secs_f64());
    report.add(Figure::MemoryCold, cold as f64);
    report.add(Figure::MemoryBefore, before as f64);
    report.add(Figure::MemoryWith, with as f64);
    report.add(Figure::MemoryAfter, after as f64);
    report.add(Figure::MemoryKept, after as f64 / before as f64);
    if let Some(held) = held {
        report.add(Figure::IdleCoresPer100k, held * 100_000.0 / connections);
    }
    report.check_silence(&tally);
    Ok(vec![report])
}

/// Cores that the server uses while nothing happens.
fn hold(process: Process, seconds: u32) -> Result<Option<f64>, Fault> {
    if seconds == 0 {
        return Ok(None);
    }
    let (started, before) = (Instant::now(), process.cpu_time()?);
    std::thread::sleep(Duration::from_secs(u64::from(seconds)));
    let cpu = process.cpu_time()?.saturating_sub(before);
    Ok(Some(cpu.as_secs_f64() / started.elapsed().as_secs_f64()))
}

/// Resident bytes once they have stood still for a second, to within a thousandth.
fn settled_memory(process: Process) -> Result<u64, Fault> {
    let deadline = Instant::now() + SETTLE_DEADLINE;
    let (mut last, mut agreeing) = (process.resident_bytes()?, 0);
    while agreeing < AGREEING_LOOKS && Instant::now() < deadline {
        std::thread::sleep(LOOK_INTERVAL);
        let now = process.resident_bytes()?;
        agreeing = if now.abs_diff(last) <= last / 1_000 { agreeing + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}
