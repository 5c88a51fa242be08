//! What can be asked for on the command line, with every default. Nothing is decided here; `main` and `scenario` read it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use codec::subprotocol::Subprotocol;

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
    /// Clients raise user events and wait for the handler's replies, through HTTP/1.1 and HTTP/2
    Echo(EchoArguments),
    /// One publisher to one group, its members plain and reliable in turn: what a reliable delivery costs in plain ones
    Reliable(ReliableArguments),
    /// A group's traffic while another hub's event handler hangs, and while it is dead
    Isolation(IsolationArguments),
    /// Members on the publisher's own node and on others, linked by Redis: latency, and what a message costs Redis and
    /// the nodes
    Nodes(NodesArguments),
    /// A hub that is durable and one that is not, over several nodes: acknowledged publishes, deliveries, latency, and what
    /// Redis keeps for each message
    Durable(DurableArguments),
    /// All scenarios but `nodes` and `durable` in a small form within a few seconds; checks deliveries, never speed
    Smoke(SmokeArguments),
    /// Run the limit of the machine as a server: a bare loop that writes one prebuilt frame to every socket
    LimitServer(LimitArguments),
    /// Run the limit of echoes as a server: hands each event to a handler and its reply back, and does nothing else
    LimitProxy(ProxyArguments),
    /// Run an event handler that echoes each event
    Handler(HandlerArguments),
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
    #[command(flatten)]
    pub(crate) report: ReportArguments,
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

/// How often everything is measured, and where to write what came of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArguments {
    /// How often everything is measured; the report shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Write the report to this file as JSON too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl ReportArguments {
    /// One run, and nothing is written.
    pub(crate) const ONCE: Self = Self { runs: 1, json: None };
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
    /// What the connections speak; limit servers are always spoken to in JSON
    #[arg(long, value_enum, default_value_t = MemberProtocol::Json)]
    pub(crate) protocol: MemberProtocol,
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
    /// (with more than one group 128,000) divided by all members, within 4 and 256; for `reliable` and `durable` 128 and for `nodes` 256.
    /// Keep it below the server's bound for slow clients
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

/// What is sent to one group by one publisher, how often that is measured, and where to write what came of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct GroupTraffic {
    /// Messages per second of the phase with a fixed rate
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    #[command(flatten)]
    pub(crate) publish: PublishArguments,
    #[command(flatten)]
    pub(crate) report: ReportArguments,
}

/// Arguments of `reliable`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReliableArguments {
    /// Start this server once for all rounds; it must print a line "Connection string: Endpoint=..." and must be the
    /// server itself, not a program that starts it
    #[arg(long, value_name = "COMMAND")]
    pub(crate) server_command: String,
    /// Encodings whose plain and reliable protocols are compared
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., default_values_t = MemberEncoding::BOTH)]
    pub(crate) encodings: Vec<MemberEncoding>,
    /// Members of the group
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) members: u32,
    /// How many different sequence ids a message has among the reliable members, one after the other in turn
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) numberings: u32,
    #[command(flatten)]
    pub(crate) traffic: GroupTraffic,
}

/// Arguments of `echo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct EchoArguments {
    /// Start this server for each part of a run, with the handler's settings appended; it must print a line
    /// "Connection string: Endpoint=..." and must be the server itself, not a program that starts it
    #[arg(long, value_name = "COMMAND")]
    pub(crate) server_command: Option<String>,
    /// Measure no limit proxy; the report has no ratios then
    #[arg(long)]
    pub(crate) without_limits: bool,
    /// Clients that raise events
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=25_000))]
    pub(crate) clients: u32,
    /// What the clients speak
    #[arg(long, value_enum, default_value_t = Protocol::Json)]
    pub(crate) protocol: Protocol,
    /// How the handler is asked
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., default_values_t = HttpVersion::BOTH)]
    pub(crate) http_versions: Vec<HttpVersion>,
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1.., default_values_t = EchoPhase::BOTH)]
    pub(crate) phases: Vec<EchoPhase>,
    /// Events per second of the open loop, over all clients
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// Bytes of text in each event
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(16..=60_000))]
    pub(crate) payload: u32,
    /// Seconds for which each phase raises events
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) seconds: u32,
    #[command(flatten)]
    pub(crate) report: ReportArguments,
}

/// Arguments of `isolation`.
#[derive(Debug, Clone, Args)]
pub(crate) struct IsolationArguments {
    /// Start this server for each round, with the handler's settings appended; as that of `echo`
    #[arg(long, value_name = "COMMAND")]
    pub(crate) server_command: String,
    /// Members of the group whose traffic is watched
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) members: u32,
    /// Messages per second to the group
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// Clients of the hub whose handler hangs
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=25_000))]
    pub(crate) clients: u32,
    /// Events per second that they raise together
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) events: u32,
    /// What they speak
    #[arg(long, value_enum, default_value_t = Protocol::Json)]
    pub(crate) protocol: Protocol,
    /// How their handler is asked
    #[arg(long, value_enum, default_value_t = HttpVersion::Http1)]
    pub(crate) http_version: HttpVersion,
    /// Bytes of text in each message and event
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(16..=60_000))]
    pub(crate) payload: u32,
    /// Seconds of each phase
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) seconds: u32,
    /// Rounds, each with a server of its own and all phases; the report shows medians of ratios within a round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Write the report to this file as JSON too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// From what nodes that Redis links are started.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClusterArguments {
    /// Program whose subcommand `broker` is a node
    #[arg(long, value_name = "FILE", default_value = "target/release/hubbub")]
    pub(crate) hubbub: PathBuf,
    /// Program of the Redis that links the nodes
    #[arg(long, value_name = "FILE", default_value = "redis-server")]
    pub(crate) redis_server: PathBuf,
    /// Threads of each node that hold connections
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: u32,
}

/// Arguments of `nodes`.
#[derive(Debug, Clone, Args)]
pub(crate) struct NodesArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// How many nodes to start, up to 8, with a Redis of their own each time
    #[arg(long, value_delimiter = ',', num_args = 1.., default_values_t = [1, 2, 4],
          value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) nodes: Vec<u8>,
    /// Members of the group on each node
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) members: u32,
    #[command(flatten)]
    pub(crate) traffic: GroupTraffic,
}

/// Arguments of `durable`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DurableArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// How many nodes to start, with a Redis of their own for each of the two hubs
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) nodes: u8,
    /// Reliable members of the group on each node
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) members: u32,
    /// Reliable clients of the first node that publish, each when its last message has been acknowledged
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=25_000))]
    pub(crate) publishers: u32,
    #[command(flatten)]
    pub(crate) traffic: GroupTraffic,
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

/// Arguments of `limit-proxy`.
#[derive(Debug, Args)]
pub(crate) struct ProxyArguments {
    /// URL of the handler, without a path
    #[arg(long, value_name = "URL")]
    pub(crate) handler: String,
    /// How the handler is asked
    #[arg(long, value_enum, default_value_t = HttpVersion::Http1)]
    pub(crate) http_version: HttpVersion,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
}

/// Arguments of `handler`.
#[derive(Debug, Args)]
pub(crate) struct HandlerArguments {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// How it is asked; HTTP/2 comes without TLS and without an upgrade
    #[arg(long, value_enum, default_value_t = HttpVersion::Http1)]
    pub(crate) http_version: HttpVersion,
    /// What becomes of an event
    #[arg(long, value_enum, default_value_t = HandlerMode::Echo)]
    pub(crate) mode: HandlerMode,
}

/// What a caller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// `json.webpubsub.azure.v1`, each event with an ack id
    Json,
    /// No subprotocol: each frame is an event, each reply a frame
    Raw,
    /// `json.reliable.webpubsub.azure.v1`, each message to a group that nobody is in, with an ack id; nothing comes but acks
    #[value(skip)]
    Publish,
}

impl Protocol {
    /// What the client asks for.
    pub(crate) const fn subprotocol(self) -> Option<Subprotocol> {
        match self {
            Self::Json => Some(Subprotocol::Json),
            Self::Raw => None,
            Self::Publish => Some(Subprotocol::JsonReliable),
        }
    }
}

/// What a member speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemberProtocol {
    /// `json.webpubsub.azure.v1`
    Json,
    /// `json.reliable.webpubsub.azure.v1`
    JsonReliable,
    /// `protobuf.webpubsub.azure.v1`
    Protobuf,
    /// `protobuf.reliable.webpubsub.azure.v1`
    ProtobufReliable,
}

impl MemberProtocol {
    /// What the member asks for.
    pub(crate) const fn subprotocol(self) -> Subprotocol {
        match self {
            Self::Json => Subprotocol::Json,
            Self::JsonReliable => Subprotocol::JsonReliable,
            Self::Protobuf => Subprotocol::Protobuf,
            Self::ProtobufReliable => Subprotocol::ProtobufReliable,
        }
    }

    /// The plain protocol that a reliable one is compared with.
    pub(crate) const fn plain(self) -> Option<Self> {
        match self {
            Self::Json | Self::Protobuf => None,
            Self::JsonReliable => Some(Self::Json),
            Self::ProtobufReliable => Some(Self::Protobuf),
        }
    }
}

/// An encoding that a plain and a reliable protocol share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MemberEncoding {
    /// JSON
    Json,
    /// Protobuf
    Protobuf,
}

impl MemberEncoding {
    pub(crate) const BOTH: [Self; 2] = [Self::Json, Self::Protobuf];

    /// The plain protocol and the reliable one.
    pub(crate) const fn protocols(self) -> [MemberProtocol; 2] {
        match self {
            Self::Json => [MemberProtocol::Json, MemberProtocol::JsonReliable],
            Self::Protobuf => [MemberProtocol::Protobuf, MemberProtocol::ProtobufReliable],
        }
    }
}

/// How a handler is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HttpVersion {
    /// HTTP/1.1
    Http1,
    /// HTTP/2 without TLS, known ahead
    Http2,
}

impl HttpVersion {
    pub(crate) const BOTH: [Self; 2] = [Self::Http1, Self::Http2];

    /// The word of the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
        }
    }
}

/// One kind of load with echoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EchoPhase {
    /// Each client has one event on its way
    Closed,
    /// Events leave at a fixed rate, whatever the server does
    Open,
}

impl EchoPhase {
    pub(crate) const BOTH: [Self; 2] = [Self::Closed, Self::Open];
}

/// What a handler does with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HandlerMode {
    /// Answers with the event's own body and content type
    Echo,
    /// Never answers
    Hang,
}

impl HandlerMode {
    /// The word of the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Hang => "hang",
        }
    }
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
