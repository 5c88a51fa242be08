//! `hubbub broker`: one node of an installation. It keeps nothing on disk, and everything that it needs is given to it.
//!
//! It joins the parts and does no work of its own: `broker` checks the configuration, runs the node and drains it.

use std::io;
use std::process::ExitCode;

use broker::auth::token::NotSigned;
use broker::config::entry::Program;
use broker::config::{Checked, Config, Kept};
use broker::telemetry::logging::LoggingError;
use broker::{Broker, StartError};
use clap::ArgMatches;
use tracing::field;

use crate::node::{advice, configure, open_log, serve_alone, succeed};
use crate::signals::Signals;

/// For what the internal key is made out of the access key. A part of the contract between nodes: it never changes.
const INTERNAL: &str = "internal";

/// Why the node did not start, or not end well.
#[derive(Debug, thiserror::Error)]
enum BrokerError {
    #[error(transparent)]
    Logging(#[from] LoggingError),
    #[error("{error}{advice}", error = .0, advice = advice(.0))]
    Start(#[from] StartError),
    #[error(transparent)]
    Key(#[from] NotSigned),
    #[error("the operating system refuses what every program gets: {0}")]
    System(#[from] io::Error),
}

/// Runs the subcommand until the node has ended.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    match configure(matches, Program::Broker) {
        Ok(checked) => succeed(start(checked)),
        Err(code) => code,
    }
}

fn start(checked: Checked) -> Result<(), BrokerError> {
    open_log(&checked)?;
    // All nodes must have the same, and know nothing of each other but the access key.
    let internal_key = checked.access_key.derive(INTERNAL).ok_or(NotSigned)?;
    serve_alone(serve(checked.into_config(Kept { internal_key, identity: None })))
}

async fn serve(config: Config) -> Result<(), BrokerError> {
    let signals = Signals::listen()?;
    let node = config.node_id.clone();
    let broker = Broker::bind(config)?;
    signals.reread_on_hangup(broker.reread())?;
    let addresses = broker.addresses();
    let operations = addresses.operations.map(field::display);
    tracing::info!(node = node.as_str(), listen = %addresses.http, operations, "listening");
    Ok(broker.run(signals.first()).await?)
}
