//! The command line: made from the table of configuration entries, and read into a raw configuration.
//!
//! No value is understood here; a flag and its variable are texts until `broker::config` checks them.

use std::path::PathBuf;

use broker::config::entry::{Default as EntryDefault, Entry, Kind, Program};
use broker::config::{Given, Machine, Place, Raw};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::event_handler;

/// Name of the subcommand that runs everything in one process.
pub(crate) const DEV: &str = "dev";

/// Name of the subcommand that runs one node of an installation.
pub(crate) const BROKER: &str = "broker";

const CONFIG: &str = "config";
const PRINT_CONFIG: &str = "print-config";

const DEV_ABOUT: &str = "\
Run a complete node for development and tests, in one process with nothing else installed.

Applications use it like the service: put the connection string that it prints where yours was. Every hub name works \
at once. Stop it with Ctrl-C; a second Ctrl-C ends it without waiting for clients. The hubs file is followed while the \
node runs, and SIGHUP has it read at once.

Every option can also be an environment variable, whose name stands beside it, or a key of a YAML file given with \
--config. The key is the option in camel case, in the plural where it may be repeated: --tls-listen is tlsListen, \
--cors-origin is corsOrigins. A flag wins over a variable, a variable over the file, the file over the default.";

const DEV_EXAMPLES: &str = "\
Examples:
  hubbub dev
      Listen on 127.0.0.1:8080, with TLS on 127.0.0.1:8443, with the public development key.
  hubbub dev --listen 127.0.0.1:0 --tls-listen off --operations-listen off
      Take a free port and open no other, for a test that reads the port from the output.
  HUBBUB_ACCESS_KEY=$(openssl rand -base64 32) hubbub dev --listen 0.0.0.0:8080
      Let other machines connect, with a key of your own.
  hubbub dev --public-endpoint https://rt.example.com --trusted-proxy 10.0.0.0/8
      Stand behind a proxy that clients know as rt.example.com.
  hubbub dev --event-handler 'hub=chat url-template=http://127.0.0.1:7070/{event} user-event-pattern=* system-event=connect'
      Ask an application about clients of hub chat, and send it their events.
  hubbub dev --workers 2 --print-config > hubbub.yaml && hubbub dev --config hubbub.yaml
      Keep the configuration in a file.";

const BROKER_ABOUT: &str = "\
Run one node of an installation. Start as many as you like behind a load balancer, all with the same access keys, hubs \
file and Redis, each with a node id of its own. Without --redis the node is alone.

It needs --listen and an access key, keeps nothing on disk, and speaks without TLS: leave certificates to the load \
balancer, and name it with --trusted-proxy and --public-endpoint. SIGTERM and Ctrl-C send clients away in waves and \
end the node within --drain-grace; a second one ends it without waiting. The hubs file is followed while the node \
runs, and SIGHUP has it read at once.

Every option can also be an environment variable, whose name stands beside it, or a key of a YAML file given with \
--config. The key is the option in camel case, in the plural where it may be repeated: --drain-grace is drainGrace, \
--cors-origin is corsOrigins, --redis is redis. A flag wins over a variable, a variable over the file, the file over \
the default.";

const BROKER_EXAMPLES: &str = "\
Examples:
  HUBBUB_ACCESS_KEY=$(openssl rand -base64 32) hubbub broker --listen 0.0.0.0:8080
      A node alone, with a key of its own.
  hubbub broker --listen 0.0.0.0:8080 --operations-listen 0.0.0.0:8090 --access-key-file /run/secrets/access-key \\
      --hubs /etc/hubbub/hubs.yaml --redis redis://redis:6379 --node-id \"$POD_NAME\" \\
      --public-endpoint https://rt.example.com --trusted-proxy 10.0.0.0/8
      One of many nodes behind an ingress that clients know as rt.example.com.
  hubbub broker --config hubbub.yaml --print-config
      What is in force, and where each value comes from; no keys and no passwords.";

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("hubbub")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A self-hosted server that speaks Azure Web PubSub")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(dev())
        .subcommand(broker())
        .subcommand(event_handler::command())
}

/// Says whether only the configuration is wanted.
pub(crate) fn only_print(matches: &ArgMatches) -> bool {
    matches.get_flag(PRINT_CONFIG)
}

/// Collects what was written for `entries` on the command line and in the environment, for all entries of `program` in
/// the file, and the defaults.
pub(crate) fn raw(
    matches: &ArgMatches,
    program: Program,
    entries: &[&'static Entry],
    machine: &Machine,
) -> Raw {
    let mut raw = Raw::new(program);
    for &entry in entries {
        if let Some(given) = given(matches, entry) {
            raw.give(entry, given);
        }
    }
    if let Some(path) = matches.get_one::<PathBuf>(CONFIG).filter(|path| !path.as_os_str().is_empty()) {
        raw.read_file(path);
    }
    raw.fill(machine);
    raw
}

fn given(matches: &ArgMatches, entry: &'static Entry) -> Option<Given> {
    let place = match matches.value_source(entry.flag)? {
        ValueSource::EnvVariable => Place::Variable(entry),
        _ => Place::Flag(entry),
    };
    let mut texts: Vec<String> = matches.get_many::<String>(entry.flag)?.cloned().collect();
    if entry.kind == Kind::Lines {
        // Blocks of text end with a line feed.
        texts.retain(|text| !text.trim().is_empty());
    }
    // Compose files and charts set variables to nothing when they mean to leave them out.
    let left_out = matches!(place, Place::Variable(_)) && texts.iter().all(String::is_empty);
    (!left_out).then_some(Given { texts, place })
}

fn dev() -> Command {
    let command = Command::new(DEV)
        .about("Run a complete node for development and tests")
        .long_about(DEV_ABOUT)
        .after_long_help(DEV_EXAMPLES);
    with_options(command, Program::Dev)
}

fn broker() -> Command {
    let command = Command::new(BROKER)
        .about("Run one node of an installation")
        .long_about(BROKER_ABOUT)
        .after_long_help(BROKER_EXAMPLES);
    with_options(command, Program::Broker)
}

fn with_options(command: Command, program: Program) -> Command {
    let command = program.entries().iter().fold(command, |command, entry| command.arg(arg(entry)));
    command.arg(config()).arg(print_config())
}

/// The option of an entry.
pub(crate) fn arg(entry: &'static Entry) -> Arg {
    let arg = Arg::new(entry.flag)
        .long(entry.flag)
        .env(entry.variable)
        .hide_env_values(true)
        .value_name(entry.value)
        .help(help(entry))
        .help_heading(entry.heading.text());
    match entry.kind {
        Kind::One => arg,
        // A key may begin with a dash.
        Kind::Secret => arg.allow_hyphen_values(true),
        Kind::Many | Kind::Urls => arg.action(ArgAction::Append).value_delimiter(','),
        Kind::Lines => arg.action(ArgAction::Append).value_delimiter('\n'),
        Kind::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
    }
}

fn help(entry: &Entry) -> String {
    let default = match (entry.kind, entry.default) {
        (_, EntryDefault::Absent) => return entry.help.to_owned(),
        (Kind::Secret, _) => "the public development key",
        (_, EntryDefault::Text(text) | EntryDefault::Machine(text) | EntryDefault::Fresh(text)) => text,
    };
    format!("{} [default: {default}]", entry.help)
}

/// The option that names the configuration file.
pub(crate) fn config() -> Arg {
    Arg::new(CONFIG)
        .long(CONFIG)
        .env("HUBBUB_CONFIG")
        .hide_env_values(true)
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("YAML file with any of these options; unknown keys are refused")
}

fn print_config() -> Arg {
    Arg::new(PRINT_CONFIG)
        .long(PRINT_CONFIG)
        .action(ArgAction::SetTrue)
        .help("Print the configuration in force as such a file, without keys, and end")
}
