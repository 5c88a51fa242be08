//! Clients that raise user events and wait for the handler's replies: what each echo costs the server, and how long it
//! takes, through HTTP/1.1 and HTTP/2.
//!
//! Beside the server stands the limit proxy, which does nothing but hand events on through the same HTTP library. Each
//! has a handler of its own, in a process of its own, so that what the handler uses is nobody's but the handler's.

use std::time::{Duration, Instant};

use super::{Fault, ScenarioError};
use crate::arguments::{EchoArguments, EchoPhase, HandlerMode, HttpVersion, Protocol};
use crate::client::{CallPlan, Callers, Calls, Load};
use crate::hubs::HubsFile;
use crate::process::Process;
use crate::report::{Figure, PhaseReport, Report, Run, Subject, SubjectReport};
use crate::server::{Handler, Server};

/// The hub whose events are handled.
const HUB: &str = "echo";
/// How long callers raise events before anything is measured, so that connections to the handler are there.
const WARM_UP: Duration = Duration::from_millis(200);

/// A part of a run: who is asked, and how the handler is.
struct Part {
    server: Server,
    handler: Handler,
    /// Only kept as long as the server may read it.
    _hubs: Option<HubsFile>,
}

/// What came of a phase.
struct Outcome {
    calls: Calls,
    elapsed: Duration,
    /// Processor times of the server, the handler and this program.
    cpu: Duration,
    handler_cpu: Duration,
    own_cpu: Duration,
}

/// Measures all subjects as often as asked.
pub(super) fn run(arguments: &EchoArguments) -> Result<Report, ScenarioError> {
    let subjects = subjects(arguments)?;
    let title = title(arguments);
    let mut runs = Vec::new();
    for run in 1..=arguments.report.runs {
        let mut reports = Vec::new();
        for &subject in &subjects {
            eprintln!("{title}: run {run} of {}, {}", arguments.report.runs, subject.name());
            let mut phases = Vec::new();
            for &version in &arguments.http_versions {
                let part = start(subject, version, arguments)?;
                let measured = measure(&part, arguments);
                phases.extend(
                    measured.map_err(|fault| ScenarioError::Fault { subject: subject.name(), fault })?,
                );
            }
            reports.push(SubjectReport { subject: subject.name(), phases });
        }
        runs.push(Run { subjects: reports });
    }
    Ok(Report::new(title, runs))
}

fn title(arguments: &EchoArguments) -> String {
    let EchoArguments { clients, payload, rate, .. } = arguments;
    let protocol = match arguments.protocol {
        Protocol::Json => "JSON with acks",
        Protocol::Raw => "no subprotocol",
        Protocol::Publish => "publishing with acks",
    };
    format!(
        "echo: {clients} clients, {protocol}, {payload} bytes; closed with one event of each on its way, open at {rate} \
         events/s"
    )
}

fn subjects(arguments: &EchoArguments) -> Result<Vec<Subject>, ScenarioError> {
    let limit = (!arguments.without_limits).then_some(Subject::Proxy);
    let server = arguments.server_command.is_some().then_some(Subject::Server);
    let subjects: Vec<Subject> = limit.into_iter().chain(server).collect();
    if subjects.is_empty() { Err(ScenarioError::NoSubject) } else { Ok(subjects) }
}

fn start(subject: Subject, version: HttpVersion, arguments: &EchoArguments) -> Result<Part, ScenarioError> {
    let handler = Handler::start(version, HandlerMode::Echo)?;
    match (subject, &arguments.server_command) {
        (Subject::Server, Some(command)) => {
            let hubs = HubsFile::new(HUB, &handler).map_err(ScenarioError::Hubs)?;
            let server = Server::start(&hubs.command(command), HUB)?;
            Ok(Part { server, handler, _hubs: Some(hubs) })
        }
        _ => Ok(Part { server: Server::start_proxy(&handler, HUB)?, handler, _hubs: None }),
    }
}

fn measure(part: &Part, arguments: &EchoArguments) -> Result<Vec<PhaseReport>, Fault> {
    let EchoArguments { clients, protocol, payload, .. } = *arguments;
    let access = part.server.access.clone();
    let mut callers = Callers::connect(&CallPlan { access, clients, protocol, payload })?;
    let warm_up = callers.run(Load::Closed, WARM_UP)?;
    let mut reports = Vec::new();
    for &phase in &arguments.phases {
        let load = match phase {
            EchoPhase::Closed => Load::Closed,
            EchoPhase::Open => Load::Open { rate: arguments.rate },
        };
        let duration = Duration::from_secs(arguments.seconds.into());
        let outcome = drive(part, &mut callers, load, duration)?;
        let mut report = report(name(part.handler.version, phase), outcome);
        // What went wrong before the first phase is a fault of it too.
        if reports.is_empty() {
            report.check_echoes(&warm_up);
        }
        reports.push(report);
    }
    Ok(reports)
}

fn drive(part: &Part, callers: &mut Callers, load: Load, duration: Duration) -> Result<Outcome, Fault> {
    let processes = [part.server.process, part.handler.process, Process::current()];
    let started = Instant::now();
    let before = cpu_times(processes)?;
    let calls = callers.run(load, duration)?;
    let (elapsed, after) = (started.elapsed(), cpu_times(processes)?);
    let [cpu, handler_cpu, own_cpu] = [0, 1, 2].map(|place| after[place].saturating_sub(before[place]));
    Ok(Outcome { calls, elapsed, cpu, handler_cpu, own_cpu })
}

fn cpu_times([server, handler, own]: [Process; 3]) -> Result<[Duration; 3], Fault> {
    Ok([server.cpu_time()?, handler.cpu_time()?, own.cpu_time()?])
}

const fn name(version: HttpVersion, phase: EchoPhase) -> &'static str {
    match (version, phase) {
        (HttpVersion::Http1, EchoPhase::Closed) => "HTTP/1.1, closed loop",
        (HttpVersion::Http1, EchoPhase::Open) => "HTTP/1.1, open loop",
        (HttpVersion::Http2, EchoPhase::Closed) => "HTTP/2, closed loop",
        (HttpVersion::Http2, EchoPhase::Open) => "HTTP/2, open loop",
    }
}

fn report(name: &'static str, outcome: Outcome) -> PhaseReport {
    let Outcome { mut calls, elapsed, cpu, handler_cpu, own_cpu } = outcome;
    let (echoes, seconds) = (calls.replies as f64, elapsed.as_secs_f64());
    let mut report = PhaseReport::new(name);
    report.add(Figure::EchoesPerCpuSecond, echoes / cpu.as_secs_f64());
    report.add(Figure::EchoesPerSecond, echoes / seconds);
    report.add_latencies(&mut calls.latencies);
    report.add(Figure::LatestSend, calls.latest.as_secs_f64() * 1e3);
    report.add(Figure::ServerCpuSeconds, cpu.as_secs_f64());
    report.add(Figure::ServerCores, cpu.as_secs_f64() / seconds);
    report.add(Figure::HandlerCores, handler_cpu.as_secs_f64() / seconds);
    report.add(Figure::GeneratorCores, own_cpu.as_secs_f64() / seconds);
    report.add(Figure::Events, calls.sent as f64);
    report.add(Figure::Echoes, echoes);
    report.check_echoes(&calls);
    report.check_arrival(calls.latest);
    report
}
