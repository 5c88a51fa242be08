//! What can be asked for on the command line, with every default. Nothing is decided here; `main` and `scenario` read it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures a broker beside the limit of this machine.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, about, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connect many clients that then stay silent: memory of each, processor time of each connect
    Idle(IdleArguments),
    /// One publisher to one group with many members, at a fixed rate and at saturation
    Fanout(FanoutArguments),
    /// One publisher to many small groups, at a fixed rate and at saturation
    Groups(GroupsArguments),
    /// All scenarios in a small form within a few seconds; checks deliveries, never speed
    Smoke(SmokeArguments),
    /// Run the limit of the machine as a server: a bare loop that writes one prebuilt frame to every socket
    LimitServer(LimitArguments),
}

/// Which servers are measured and how often.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Start this server for each run; it must print a line "Connection string: Endpoint=..." and must be the server
    /// itself, not a program that starts it
    #[arg(long, value_name = "COMMAND", conflicts_with = "connection_string")]
    pub(crate) server_command: Option<String>,
    /// Measure a server that runs already
    #[arg(long, value_name = "TEXT", requires = "server_pid")]
    pub(crate) connection_string: Option<String>,
    /// Process id of the server that runs already
    #[arg(long, value_name = "PID", requires = "connection_string")]
    pub(crate) server_pid: Option<u32>,
    /// Limit servers to measure in the same run
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., default_values_t = LimitKind::BOTH)]
    pub(crate) limits: Vec<LimitKind>,
    /// Measure no limit server; the report has no ratios then
    #[arg(long, conflicts_with = "limits")]
    pub(crate) without_limits: bool,
    /// How often everything is measured; the report shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Write the report to this file as JSON too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Hub that the clients connect to
    #[arg(long, default_value = "loadtest")]
    pub(crate) hub: String,
    /// Threads that read what the members receive
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) threads: u32,
    /// Give each connection a user id of its own
    #[arg(long)]
    pub(crate) users: bool,
}

/// Arguments of `idle`.
#[derive(Debug, Args)]
pub(crate) struct IdleArguments {
    /// Connections that stay silent
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
    /// Seconds to hold the silent connections and measure the processor time of doing nothing; 0 skips this
    #[arg(long, default_value_t = 0)]
    pub(crate) hold: u32,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// How a publisher behaves.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublishArguments {
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., default_values_t = PhaseKind::BOTH)]
    pub(crate) phases: Vec<PhaseKind>,
    /// Seconds for which each phase publishes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) seconds: u32,
    /// Bytes of text in each message
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(16..=60_000))]
    pub(crate) payload: u32,
    /// Saturation: most messages of one group that are not yet delivered to all its members; by default 512,000
    /// (with more than one group 128,000) divided by all members, within 4 and 256. Keep it below the server's bound
    /// for slow clients
    #[arg(long, value_parser = clap::value_parser!(u32).range(4..=100_000))]
    pub(crate) window: Option<u32>,
}

/// Arguments of `fanout`.
#[derive(Debug, Args)]
pub(crate) struct FanoutArguments {
    /// Members of the group
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) members: u32,
    /// Messages per second of the phase with a fixed rate
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    #[command(flatten)]
    pub(crate) publish: PublishArguments,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Arguments of `groups`.
#[derive(Debug, Args)]
pub(crate) struct GroupsArguments {
    /// Groups
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) groups: u32,
    /// Members of each group
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) members: u32,
    /// Messages per second of the phase with a fixed rate, over all groups in turn
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    #[command(flatten)]
    pub(crate) publish: PublishArguments,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Arguments of `smoke`.
#[derive(Debug, Args)]
pub(crate) struct SmokeArguments {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Arguments of `limit-server`.
#[derive(Debug, Args)]
pub(crate) struct LimitArguments {
    /// How deliveries are sent
    #[arg(long, value_enum)]
    pub(crate) kind: LimitKind,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Bytes of text in each message
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(16..=60_000))]
    pub(crate) payload: u32,
}

/// How the limit server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LimitKind {
    /// One send per delivery
    Single,
    /// All deliveries that wait for a socket in one send
    Coalescing,
}

impl LimitKind {
    pub(crate) const BOTH: [Self; 2] = [Self::Single, Self::Coalescing];

    /// The word of the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Coalescing => "coalescing",
        }
    }
}

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhaseKind {
    /// Messages leave at a fixed rate, whatever the server does
    Paced,
    /// As many messages as the window allows
    Saturation,
}

impl PhaseKind {
    pub(crate) const BOTH: [Self; 2] = [Self::Paced, Self::Saturation];
}
