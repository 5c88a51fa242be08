//! `hubbub dev`: one complete node for development, with everything that it needs made at its start.
//!
//! It joins the parts and does no work of its own: `broker` checks the configuration, runs the node and drains it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker::auth::audience::Endpoint;
use broker::auth::key::AccessKey;
use broker::auth::token::{self, Minting, NotSigned};
use broker::config::entry::Program;
use broker::config::{Checked, Config, Kept};
use broker::telemetry::logging::LoggingError;
use broker::{Broker, StartError};
use clap::ArgMatches;

use crate::banner::{self, Banner, Tls};
use crate::data_dir::{DataDir, DataDirError};
use crate::local_ca::{self, Issued, LocalCaError};
use crate::node::{advice, configure, open_log, say, serve_alone, succeed};
use crate::signals::Signals;

const TOKEN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
const TOKEN_ROLES: [&str; 2] = ["webpubsub.sendToGroup", "webpubsub.joinLeaveGroup"];

/// Why the node did not start, or not end well.
#[derive(Debug, thiserror::Error)]
enum DevError {
    #[error(transparent)]
    Logging(#[from] LoggingError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    LocalCa(#[from] LocalCaError),
    #[error("{error}{advice}", error = .0, advice = advice(.0))]
    Start(#[from] StartError),
    #[error(transparent)]
    Token(#[from] NotSigned),
    #[error("the operating system refuses what every program gets: {0}")]
    System(#[from] io::Error),
}

/// What the banner needs beside the addresses.
struct Shown {
    access_key: AccessKey,
    public_endpoints: Vec<Endpoint>,
    authority: Option<PathBuf>,
}

/// Runs the subcommand until the node has ended.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    match configure(matches, Program::Dev) {
        Ok(checked) => succeed(start(checked)),
        Err(code) => code,
    }
}

fn start(checked: Checked) -> Result<(), DevError> {
    open_log(&checked)?;
    let dir = DataDir::open(checked.data_dir.as_deref().unwrap_or(Path::new("")))?;
    let internal_key = dir.internal_key()?;
    let issued = issue(&dir, &checked)?;
    drop(dir);
    let (identity, authority) = issued.map(|issued| (issued.identity, issued.authority)).unzip();
    let shown = Shown {
        access_key: checked.access_key.clone(),
        public_endpoints: checked.public_endpoints.clone(),
        authority,
    };
    let playground = checked.playground;
    let config = Config { playground, ..checked.into_config(Kept { internal_key, identity }) };
    serve_alone(serve(config, shown))
}

/// The certificate, if there is a TLS listener to show it on.
fn issue(dir: &DataDir, checked: &Checked) -> Result<Option<Issued>, LocalCaError> {
    let Some(listen) = checked.tls_listen else {
        return Ok(None);
    };
    let bare = |endpoint: &Endpoint| endpoint.host().trim_matches(['[', ']']).to_owned();
    let mut hosts: Vec<String> = checked.public_endpoints.iter().map(bare).collect();
    if !listen.ip().is_unspecified() {
        hosts.push(listen.ip().to_string());
    }
    local_ca::issue(dir, &hosts, SystemTime::now()).map(Some)
}

async fn serve(config: Config, shown: Shown) -> Result<(), DevError> {
    let signals = Signals::listen()?;
    let playground = config.playground;
    let broker = Broker::bind(config)?;
    signals.reread_on_hangup(broker.reread())?;
    let addresses = broker.addresses();
    let banner = Banner {
        token: example_token(&shown.access_key, &banner::audience(addresses.http))?,
        access_key: shown.access_key,
        http: addresses.http,
        tls: addresses.https.zip(shown.authority).map(|(address, authority)| Tls { address, authority }),
        operations: addresses.operations,
        public_endpoints: shown.public_endpoints,
        playground,
    };
    say(&banner.to_string());
    Ok(broker.run(signals.first()).await?)
}

fn example_token(key: &AccessKey, audience: &str) -> Result<String, NotSigned> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let minting = Minting {
        audience,
        user_id: None,
        roles: &TOKEN_ROLES,
        groups: &[],
        issued_at: now.as_secs(),
        expires_at: (now + TOKEN_LIFE).as_secs(),
    };
    token::mint_client(&minting, key)
}
