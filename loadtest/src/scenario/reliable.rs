//! What a reliable delivery costs the server in plain ones: the same group, messages and window, with members that speak
//! a plain protocol and the reliable one of the same encoding in turn.
//!
//! One server process serves all rounds. A round measures the protocols one after the other and the next round in the
//! opposite order, so that neither the noise of the machine nor the server's age falls on one of them alone.

use super::publish::{self, Shape};
use super::{Fault, ScenarioError};
use crate::arguments::{
    GroupTraffic, MemberProtocol, PhaseKind, PublishArguments, ReliableArguments, ReportArguments,
};
use crate::client::{Members, Plan};
use crate::report::{Figure, PhaseReport, Report, Run, Subject, SubjectReport};
use crate::server::Server;

const HUB: &str = "loadtest";
/// Messages on their way at most, unless asked otherwise. A member acknowledges after 300 and may leave 1,000 open, so
/// that acknowledgements which the server has not read yet, on a busy machine, end nobody.
const WINDOW: u32 = 128;
/// Seconds of each phase before the first round, which would else be the only one of a server that is cold.
const WARM_UP: u32 = 1;

/// Measures as many rounds as asked.
pub(super) fn run(arguments: &ReliableArguments) -> Result<Report, ScenarioError> {
    let GroupTraffic { rate, ref publish, report: ReportArguments { runs, .. } } = arguments.traffic;
    let members = arguments.members;
    let window = Some(publish.window.unwrap_or(WINDOW));
    let publish = PublishArguments { window, ..publish.clone() };
    let shape = Shape { name: "reliable", groups: 1, members, rate, publish: &publish };
    let numberings = arguments.numberings;
    let protocols: Vec<_> = arguments.encodings.iter().flat_map(|encoding| encoding.protocols()).collect();
    let title = format!("{}; {numberings} numbering(s)", shape.title());
    let server = Server::start(&arguments.server_command, HUB)?;
    let fault = |fault| ScenarioError::Fault { subject: Subject::Server.name(), fault };

    let short = PublishArguments { seconds: WARM_UP, ..publish.clone() };
    round(&server, (&protocols, numberings), &Shape { publish: &short, ..shape }).map_err(fault)?;
    let mut rounds = Vec::new();
    for run in 1..=runs {
        eprintln!("{title}: round {run} of {runs}");
        let mut order = protocols.clone();
        if run % 2 == 0 {
            order.reverse();
        }
        let phases = round(&server, (&order, numberings), &shape).map_err(fault)?;
        rounds.push(Run { subjects: vec![SubjectReport { subject: Subject::Server.name(), phases }] });
    }
    Ok(Report::new(title, rounds))
}

/// What one protocol's members did in one phase.
struct Measured {
    protocol: MemberProtocol,
    kind: PhaseKind,
    report: PhaseReport,
}

/// Measures each protocol with members of its own, who leave before the next ones come.
fn round(
    server: &Server,
    (protocols, numberings): (&[MemberProtocol], u32),
    shape: &Shape<'_>,
) -> Result<Vec<PhaseReport>, Fault> {
    let mut all = Vec::new();
    for &protocol in protocols {
        let plan = shape.plan(server.access.clone(), protocol.subprotocol());
        let members = Members::connect(&Plan { numberings, ..plan })?;
        for &kind in &shape.publish.phases {
            let outcome = publish::measure(kind, server, &members, shape)?;
            let report = publish::report(phase_name(protocol, kind), shape, outcome);
            all.push(Measured { protocol, kind, report });
        }
        members.leave()?;
    }
    compare(&mut all);
    Ok(all.into_iter().map(|measured| measured.report).collect())
}

/// Sets every reliable phase beside the plain one of its round.
fn compare(all: &mut [Measured]) {
    let speed = |measured: &Measured| measured.report.figure(Figure::DeliveriesPerCpuSecond);
    let speeds: Vec<_> =
        all.iter().map(|measured| (measured.protocol, measured.kind, speed(measured))).collect();
    for measured in all {
        let is_beside =
            |(protocol, kind, _): &&_| measured.protocol.plain() == Some(*protocol) && measured.kind == *kind;
        let plain = speeds.iter().find(is_beside).and_then(|&(_, _, speed)| speed);
        if let (Some(plain), Some(reliable)) = (plain, speed(measured)) {
            measured.report.add(Figure::CostToPlain, plain / reliable);
        }
    }
}

const fn phase_name(protocol: MemberProtocol, kind: PhaseKind) -> &'static str {
    match (protocol, kind) {
        (MemberProtocol::Json, PhaseKind::Paced) => "json, paced",
        (MemberProtocol::Json, PhaseKind::Saturation) => "json, saturation",
        (MemberProtocol::JsonReliable, PhaseKind::Paced) => "json-reliable, paced",
        (MemberProtocol::JsonReliable, PhaseKind::Saturation) => "json-reliable, saturation",
        (MemberProtocol::Protobuf, PhaseKind::Paced) => "protobuf, paced",
        (MemberProtocol::Protobuf, PhaseKind::Saturation) => "protobuf, saturation",
        (MemberProtocol::ProtobufReliable, PhaseKind::Paced) => "protobuf-reliable, paced",
        (MemberProtocol::ProtobufReliable, PhaseKind::Saturation) => "protobuf-reliable, saturation",
    }
}
