//! One hub's group traffic while another hub's event handler hangs, and while it is dead: whether anybody can tell, and
//! what the server's memory does.
//!
//! Each round has a server of its own and all phases, so that a ratio never compares two moments that lie far apart on
//! a noisy machine. The last phase has the clients of the other hub gone again: its ratio says how large the noise is.

use std::thread;
use std::time::Duration;

use codec::subprotocol::Subprotocol;

use super::publish::{self, Shape};
use super::{Fault, ScenarioError};
use crate::arguments::{HandlerMode, IsolationArguments, PhaseKind, PublishArguments};
use crate::client::{CallPlan, Callers, Calls, ClientError, Load, Members};
use crate::hubs::HubsFile;
use crate::report::{Figure, PhaseReport, Report, Run, Subject, SubjectReport};
use crate::server::{Handler, Server};

/// The hub whose traffic is watched. It has no settings.
const STEADY: &str = "steady";
/// The hub whose handler is in trouble.
const TROUBLED: &str = "troubled";
/// Seconds of traffic before the first phase, which would else be the only one of a server that is cold.
const WARM_UP: u32 = 1;
/// The other hub's clients go on this much longer than the publisher, so that they do so during all of its messages.
const OVERLAP: Duration = Duration::from_millis(200);

/// A phase of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The other hub's clients are silent.
    None,
    /// They raise events, and the handler never answers.
    Hanging,
    /// They raise events, and nobody listens on the handler's port.
    Dead,
    /// They are gone.
    Over,
}

/// The running parts of a round.
struct Round<'a> {
    arguments: &'a IsolationArguments,
    shape: &'a Shape<'a>,
    server: Server,
    members: Members,
}

impl Trouble {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "no events",
            Self::Hanging => "handler hangs",
            Self::Dead => "handler is dead",
            Self::Over => "their clients are gone",
        }
    }
}

/// Measures as many rounds as asked.
pub(super) fn run(arguments: &IsolationArguments) -> Result<Report, ScenarioError> {
    let IsolationArguments { members, rate, clients, events, payload, seconds, runs, .. } = *arguments;
    let publish = PublishArguments { phases: vec![PhaseKind::Paced], seconds, payload, window: None };
    let shape = Shape { name: "isolation", groups: 1, members, rate, publish: &publish };
    let title = format!(
        "isolation: a group of {members} at {rate} messages/s of {payload} bytes, beside {clients} clients that raise \
         {events} events/s in another hub"
    );
    let mut rounds = Vec::new();
    for run in 1..=runs {
        eprintln!("{title}: round {run} of {runs}");
        let phases = round(arguments, &shape)?;
        rounds.push(Run { subjects: vec![SubjectReport { subject: Subject::Server.name(), phases }] });
    }
    Ok(Report::new(title, rounds))
}

fn round(arguments: &IsolationArguments, shape: &Shape<'_>) -> Result<Vec<PhaseReport>, ScenarioError> {
    let handler = Handler::start(arguments.http_version, HandlerMode::Hang)?;
    let hubs = HubsFile::new(TROUBLED, &handler).map_err(ScenarioError::Hubs)?;
    let server = Server::start(&hubs.command(&arguments.server_command), STEADY)?;
    let measured = measure(server, handler, arguments, shape);
    measured.map_err(|fault| ScenarioError::Fault { subject: Subject::Server.name(), fault })
}

fn measure(
    server: Server,
    handler: Handler,
    arguments: &IsolationArguments,
    shape: &Shape<'_>,
) -> Result<Vec<PhaseReport>, Fault> {
    let IsolationArguments { clients, protocol, payload, .. } = *arguments;
    let access = server.access.to_hub(TROUBLED).map_err(ClientError::from)?;
    let mut callers = Callers::connect(&CallPlan { access, clients, protocol, payload })?;
    let access = server.access.clone();
    let members = Members::connect(&shape.plan(access, Subprotocol::Json))?;
    let short = PublishArguments { seconds: WARM_UP, ..shape.publish.clone() };
    publish::measure(PhaseKind::Paced, &server, &members, &Shape { publish: &short, ..*shape })?;
    let round = Round { arguments, shape, server, members };

    let mut reports = vec![round.phase(Trouble::None, Some(&mut callers))?];
    reports.push(round.phase(Trouble::Hanging, Some(&mut callers))?);
    // Its process ends, and with it every connection and the port.
    drop(handler);
    reports.push(round.phase(Trouble::Dead, Some(&mut callers))?);
    drop(callers);
    reports.push(round.phase(Trouble::Over, None)?);
    compare(&mut reports);
    Ok(reports)
}

impl Round<'_> {
    /// Publishes to the watched group while the callers of the other hub do what belongs to the phase.
    fn phase(&self, trouble: Trouble, callers: Option<&mut Callers>) -> Result<PhaseReport, Fault> {
        let load = match trouble {
            Trouble::None | Trouble::Over => Load::Silent,
            Trouble::Hanging | Trouble::Dead => Load::Storm { rate: self.arguments.events },
        };
        let duration = Duration::from_secs(self.arguments.seconds.into()) + OVERLAP;
        thread::scope(|scope| {
            let storm = callers.map(|callers| scope.spawn(move || callers.run(load, duration)));
            let outcome = publish::measure(PhaseKind::Paced, &self.server, &self.members, self.shape)?;
            let memory = self.server.process.resident_bytes()?;
            let calls = match storm {
                Some(storm) => storm.join().map_err(|_| Fault::ThreadEnded)??,
                None => Calls::default(),
            };
            let mut report = publish::report(trouble.name(), self.shape, outcome);
            report.add(Figure::Memory, memory as f64);
            report.add(Figure::Events, calls.sent as f64);
            report.add(Figure::FailedEvents, calls.refused as f64);
            report.check_unanswered(&calls);
            Ok(report)
        })
    }
}

/// Sets every phase beside the first one of its round.
fn compare(reports: &mut [PhaseReport]) {
    let pairs = [
        (Figure::LatencyP50, Figure::LatencyP50ToFirst),
        (Figure::LatencyP99, Figure::LatencyP99ToFirst),
        (Figure::Memory, Figure::MemoryToFirst),
    ];
    for (figure, ratio) in pairs {
        let Some(first) = reports.first().and_then(|report| report.figure(figure)) else { continue };
        for report in reports.iter_mut().skip(1) {
            if let Some(value) = report.figure(figure) {
                report.add(ratio, value / first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_set_beside_the_first_of_its_round() {
        let mut reports = [2.0, 3.0, 1.0].map(|p99| {
            let mut report = PhaseReport::new("phase");
            report.add(Figure::LatencyP99, p99);
            report
        });
        compare(&mut reports);
        let ratios = reports.map(|report| report.figure(Figure::LatencyP99ToFirst));
        assert_eq!(ratios, [None, Some(1.5), Some(0.5)]);
    }
}
