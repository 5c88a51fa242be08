//! The options of `hubbub event-handler check`. What they mean is understood by `plan`.

use broker::config::entry::{
    ACCESS_KEY, DEV, EVENT_HANDLERS, Entry, HANDLER_CONCURRENCY, HANDLER_TIMEOUT, HUBS, Heading,
    SECONDARY_KEY,
};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::report::Report;
use crate::args;

pub(super) const CHECK: &str = "check";

/// Entries of the configuration that matter here: who has event handlers, how they are called, and with which keys.
/// Not how long a call may take, since people wait here.
pub(super) fn entries() -> Vec<&'static Entry> {
    let named = [&HUBS, &EVENT_HANDLERS, &ACCESS_KEY, &SECONDARY_KEY];
    let is_of_calls = |entry: &&Entry| {
        entry.heading == Heading::Handlers && **entry != HANDLER_TIMEOUT && **entry != HANDLER_CONCURRENCY
    };
    named.into_iter().chain(DEV.into_iter().filter(is_of_calls)).collect()
}

pub(super) const URL: &str = "url";
pub(super) const HUB: &str = "hub";
pub(super) const ORIGIN: &str = "origin";
pub(super) const EVENT: &str = "event";
pub(super) const NO_EVENT: &str = "no-event";
pub(super) const COUNT: &str = "count";
pub(super) const TIMEOUT: &str = "timeout";
const JSON: &str = "json";

const ABOUT: &str = "\
Call an event handler step by step, as a node would, and say in plain words what is wrong with it.

The steps are: settings, name, connection, TLS, the validation by which an application agrees to get events, a test \
event, its signature, the reply, and the time that it takes. Each is a line with ok or failed, and what to do.

The application cannot tell the test event from another one and will act on it. Its connection id begins with \
hubbub-check-, and no client has that id. --no-event leaves it out.

The exit code is 0 when all is well, 1 when a step failed, 2 when the command line or a file is at fault.";

const EXAMPLES: &str = "\
Examples:
  hubbub event-handler check --url http://127.0.0.1:7070/eventhandler/{event} --no-event
      Find out whether an application can be reached and agrees to get events.
  hubbub event-handler check --hubs hubs.yaml --hub chat
      Check every event handler of a hub, each with a test event.
  HUBBUB_ACCESS_KEY=... hubbub event-handler check --url https://app.example.com/api/webpubsub/hubs/chat/ \\
      --origin rt.example.com --event order.created --json
      As a node with this host name and key, with the outcome for a program.";

/// The subcommand.
pub(super) fn check() -> Command {
    let command = Command::new(CHECK)
        .about("Say what is wrong with an event handler, step by step")
        .long_about(ABOUT)
        .after_long_help(EXAMPLES)
        .arg(
            value(URL, "TEMPLATE").help("URL of one event handler, with {hub} and {event} where it has them"),
        )
        .arg(value(HUB, "NAME").help(
            "Hub whose event handlers are checked [default: every hub of --hubs; with --url, the hub chat]",
        ));
    entries()
        .into_iter()
        .fold(command, |command, entry| command.arg(args::arg(entry)))
        .arg(args::config())
        .arg(
            value(ORIGIN, "HOST")
                .default_value("localhost")
                .help("Host name of the node, without port, which the application must allow"),
        )
        .arg(
            value(EVENT, "NAME")
                .default_value("message")
                .help("Name of the test event, a user event with text"),
        )
        .arg(flag(NO_EVENT).help("Send no test event, so that the application does nothing"))
        .arg(
            value(COUNT, "N")
                .default_value("3")
                .value_parser(value_parser!(u32).range(1..=1000))
                .help("How many test events to send, one after the other, to see how long they take"),
        )
        .arg(
            value(TIMEOUT, "SECONDS")
                .default_value("10")
                .value_parser(value_parser!(u64).range(1..=100))
                .help("Longest time for each step"),
        )
        .arg(flag(JSON).help("Print the outcome as JSON"))
}

/// The report that is wanted.
pub(super) fn report(matches: &ArgMatches) -> Report {
    if matches.get_flag(JSON) { Report::json() } else { Report::text() }
}

fn value(name: &'static str, shown: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(shown)
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}
