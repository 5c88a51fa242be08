//! What is measured: each scenario runs over every subject, as often as asked, and makes one report.
//!
//! A subject is the broker, one of the limit servers, the limit proxy or an installation of several brokers; all take
//! part in each run, so that a ratio never compares two moments of a noisy machine. `main` is the caller.

mod durable;
mod echo;
mod idle;
mod isolation;
mod nodes;
mod publish;
mod reliable;

use std::path::Path;

use codec::subprotocol::Subprotocol;

use crate::arguments::{
    Common, DurableArguments, EchoArguments, EchoPhase, FanoutArguments, GroupTraffic, GroupsArguments,
    HttpVersion, IdleArguments, IsolationArguments, MemberEncoding, MemberProtocol, NodesArguments,
    PhaseKind, Protocol, PublishArguments, ReliableArguments, ReportArguments, SmokeArguments,
};
use crate::client::{Check, ClientError, Members, Plan};
use crate::process::{ProcessError, allow_connections};
use crate::report::{PhaseReport, Report, ReportError, Run, Subject, SubjectReport};
use crate::server::{Server, ServerError};

use self::publish::Shape;

/// Why a scenario has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    #[error("{subject}: {fault}")]
    Fault { subject: &'static str, fault: Fault },
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("the settings of hubs cannot be written: {0}")]
    Hubs(std::io::Error),
    #[error("nothing to measure: give --server-command or --connection-string, or leave the limits on")]
    NoSubject,
}

/// What can go wrong while a subject is measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("a thread of this program has ended")]
    ThreadEnded,
}

/// A running server and what it is.
struct Target<'a> {
    subject: Subject,
    server: &'a Server,
    common: &'a Common,
}

impl Target<'_> {
    /// Connects members, member `n` to group `n % groups`, and waits until all have joined. The limit server knows JSON
    /// only.
    fn connect(
        &self,
        connections: u32,
        groups: u32,
        protocol: MemberProtocol,
    ) -> Result<Members, ClientError> {
        let subprotocol = match self.subject {
            Subject::Server => protocol.subprotocol(),
            Subject::Limit(_) | Subject::Proxy | Subject::Nodes(_) | Subject::Ordinary | Subject::Durable => {
                Subprotocol::Json
            }
        };
        let (threads, users) = (self.common.threads, self.common.users);
        let access = self.server.access.clone();
        Members::connect(&Plan { access, connections, groups, subprotocol, threads, users, numberings: 1 })
    }

    /// The limit server sends one prebuilt frame, whose number never changes.
    fn check(&self) -> Check {
        match self.subject {
            Subject::Server | Subject::Nodes(_) | Subject::Ordinary | Subject::Durable => Check::Numbers,
            Subject::Limit(_) | Subject::Proxy => Check::Counts,
        }
    }
}

/// Memory and connects; true when nothing was wrong.
///
/// # Errors
/// [`ScenarioError`] when something could not be measured at all.
pub(crate) fn idle(arguments: &IdleArguments) -> Result<bool, ScenarioError> {
    allow_connections(arguments.connections)?;
    let IdleArguments { connections, protocol, .. } = arguments;
    let name = protocol.subprotocol().name();
    let title = format!("idle: {connections} connections in one group, {name}");
    let report = measure(title, &arguments.common, 128, |target| idle::run(target, arguments))?;
    finish(&report, &arguments.common)
}

/// One group; true when every message arrived.
///
/// # Errors
/// As [`idle()`].
pub(crate) fn fanout(arguments: &FanoutArguments) -> Result<bool, ScenarioError> {
    let FanoutArguments { members, rate, publish, common } = arguments;
    let shape = Shape { name: "fanout", groups: 1, members: *members, rate: *rate, publish };
    published(&shape, common)
}

/// Many groups; true when every message arrived.
///
/// # Errors
/// As [`idle()`].
pub(crate) fn groups(arguments: &GroupsArguments) -> Result<bool, ScenarioError> {
    let GroupsArguments { groups, members, rate, publish, common } = arguments;
    let shape = Shape { name: "groups", groups: *groups, members: *members, rate: *rate, publish };
    published(&shape, common)
}

/// Echoes; true when every event came back.
///
/// # Errors
/// As [`idle()`].
pub(crate) fn echo(arguments: &EchoArguments) -> Result<bool, ScenarioError> {
    allow_connections(arguments.clients)?;
    let report = echo::run(arguments)?;
    conclude(&report, arguments.report.json.as_deref())
}

/// Plain and reliable members in turn; true when every message arrived.
///
/// # Errors
/// As [`idle()`].
pub(crate) fn reliable(arguments: &ReliableArguments) -> Result<bool, ScenarioError> {
    allow_connections(arguments.members)?;
    let report = reliable::run(arguments)?;
    conclude(&report, arguments.traffic.report.json.as_deref())
}

/// A group beside a handler that hangs or is dead; true when every message arrived.
///
/// # Errors
/// As [`idle()`].
pub(crate) fn isolation(arguments: &IsolationArguments) -> Result<bool, ScenarioError> {
    allow_connections(arguments.members.saturating_add(arguments.clients))?;
    let report = isolation::run(arguments)?;
    conclude(&report, arguments.json.as_deref())
}

/// Several nodes on one Redis; true when every message arrived.
///
/// # Errors
/// As [`idle()`].
pub(crate) fn nodes(arguments: &NodesArguments) -> Result<bool, ScenarioError> {
    let most = arguments.nodes.iter().copied().max().unwrap_or_default();
    allow_connections(arguments.members.saturating_mul(most.into()))?;
    let report = nodes::run(arguments)?;
    conclude(&report, arguments.traffic.report.json.as_deref())
}

/// A durable hub and one that is not; true when everything arrived and was acknowledged.
///
/// # Errors
/// As [`idle()`].
pub(crate) fn durable(arguments: &DurableArguments) -> Result<bool, ScenarioError> {
    let members = arguments.members.saturating_mul(arguments.nodes.into());
    allow_connections(members.saturating_add(arguments.publishers))?;
    let report = durable::run(arguments)?;
    conclude(&report, arguments.traffic.report.json.as_deref())
}

/// All scenarios of one server in small; true when every message arrived. No speed is asked for, hence no limit beside a server.
/// Those with an event handler need a server that is started here, as they bring its settings.
///
/// # Errors
/// As [`idle()`].
pub(crate) fn smoke(arguments: &SmokeArguments) -> Result<bool, ScenarioError> {
    let common = &arguments.common;
    let has_server = common.server_command.is_some() || common.connection_string.is_some();
    let without_limits = has_server || common.without_limits;
    let common = Common { report: ReportArguments::ONCE, without_limits, ..common.clone() };
    let idle_arguments =
        IdleArguments { connections: 200, hold: 0, protocol: MemberProtocol::Json, common: common.clone() };
    let publish =
        PublishArguments { phases: PhaseKind::BOTH.to_vec(), seconds: 1, payload: 128, window: None };
    let fanout = Shape { name: "fanout", groups: 1, members: 50, rate: 100, publish: &publish };
    let groups = Shape { name: "groups", groups: 20, members: 5, rate: 200, publish: &publish };
    let mut outcomes =
        vec![idle(&idle_arguments)?, published(&fanout, &common)?, published(&groups, &common)?];
    if common.server_command.is_some() || !has_server {
        for protocol in [Protocol::Json, Protocol::Raw] {
            outcomes.push(echo(&short_echo(protocol, &common))?);
        }
    }
    if let Some(server_command) = &common.server_command {
        outcomes.push(reliable(&short_reliable(server_command, publish))?);
        outcomes.push(isolation(&short_isolation(server_command))?);
    }
    Ok(outcomes.into_iter().all(|good| good))
}

fn short_echo(protocol: Protocol, common: &Common) -> EchoArguments {
    EchoArguments {
        server_command: common.server_command.clone(),
        without_limits: common.without_limits,
        clients: 20,
        protocol,
        http_versions: HttpVersion::BOTH.to_vec(),
        phases: EchoPhase::BOTH.to_vec(),
        rate: 200,
        payload: 64,
        seconds: 1,
        report: ReportArguments::ONCE,
    }
}

fn short_reliable(server_command: &str, publish: PublishArguments) -> ReliableArguments {
    ReliableArguments {
        server_command: server_command.to_owned(),
        encodings: MemberEncoding::BOTH.to_vec(),
        members: 50,
        numberings: 10,
        traffic: GroupTraffic { rate: 100, publish, report: ReportArguments::ONCE },
    }
}

fn short_isolation(server_command: &str) -> IsolationArguments {
    IsolationArguments {
        server_command: server_command.to_owned(),
        members: 20,
        rate: 100,
        clients: 100,
        events: 200,
        protocol: Protocol::Json,
        http_version: HttpVersion::Http1,
        payload: 128,
        seconds: 1,
        runs: 1,
        json: None,
    }
}

fn published(shape: &Shape<'_>, common: &Common) -> Result<bool, ScenarioError> {
    allow_connections(shape.connections())?;
    let report = measure(shape.title(), common, shape.publish.payload, |target| publish::run(target, shape))?;
    finish(&report, common)
}

/// Runs a scenario over all subjects, as often as asked, each with a server of its own.
fn measure(
    title: String,
    common: &Common,
    payload: u32,
    scenario: impl Fn(&Target<'_>) -> Result<Vec<PhaseReport>, Fault>,
) -> Result<Report, ScenarioError> {
    let subjects = subjects(common)?;
    let mut runs = Vec::new();
    for run in 1..=common.report.runs {
        let mut reports = Vec::new();
        for &subject in &subjects {
            eprintln!("{title}: run {run} of {}, {}", common.report.runs, subject.name());
            let server = start(subject, common, payload)?;
            let target = Target { subject, server: &server, common };
            let phases =
                scenario(&target).map_err(|fault| ScenarioError::Fault { subject: subject.name(), fault })?;
            reports.push(SubjectReport { subject: subject.name(), phases });
        }
        runs.push(Run { subjects: reports });
    }
    Ok(Report::new(title, runs))
}

/// The limits come first, so that the first to run on a cold machine is not the broker alone.
fn subjects(common: &Common) -> Result<Vec<Subject>, ScenarioError> {
    let mut subjects = Vec::new();
    if !common.without_limits {
        subjects.extend(common.limits.iter().copied().map(Subject::Limit));
    }
    if common.server_command.is_some() || common.connection_string.is_some() {
        subjects.push(Subject::Server);
    }
    if subjects.is_empty() { Err(ScenarioError::NoSubject) } else { Ok(subjects) }
}

fn start(subject: Subject, common: &Common, payload: u32) -> Result<Server, ScenarioError> {
    let hub = &common.hub;
    let server = match (subject, &common.server_command, &common.connection_string, common.server_pid) {
        (Subject::Limit(kind), ..) => Server::start_limit(kind, payload, hub)?,
        (Subject::Server, Some(command), ..) => Server::start(command, hub)?,
        (Subject::Server, None, Some(text), Some(pid)) => Server::attach(text, pid, hub)?,
        (Subject::Server | Subject::Proxy | Subject::Nodes(_) | Subject::Ordinary | Subject::Durable, ..) => {
            return Err(ScenarioError::NoSubject);
        }
    };
    Ok(server)
}

fn finish(report: &Report, common: &Common) -> Result<bool, ScenarioError> {
    conclude(report, common.report.json.as_deref())
}

fn conclude(report: &Report, json: Option<&Path>) -> Result<bool, ScenarioError> {
    println!("{report}");
    if let Some(file) = json {
        report.write_json(file)?;
    }
    Ok(report.is_good())
}
