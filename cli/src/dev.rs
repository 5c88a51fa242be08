//! `hubbub dev`: one complete node for development, with everything that it needs made at its start.
//!
//! It joins the parts and does no work of its own: `broker` checks the configuration, runs the node and drains it.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker::auth::audience::Endpoint;
use broker::auth::key::AccessKey;
use broker::auth::token::{self, Minting, NotSigned};
use broker::config::entry::{self, ENTRIES};
use broker::config::{self, Checked, Config, Kept, Machine};
use broker::telemetry::logging::{self, LoggingError};
use broker::{Broker, ListenerKind, StartError};
use clap::ArgMatches;

use crate::WRONG_USAGE;
use crate::args;
use crate::banner::{self, Banner, Tls};
use crate::data_dir::{DataDir, DataDirError};
use crate::local_ca::{self, Issued, LocalCaError};
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
    let raw = args::raw(matches, &ENTRIES, &machine());
    let checked = match config::check(&raw) {
        Ok(checked) => checked,
        Err(faults) => {
            faults.to_string().lines().for_each(complain);
            return ExitCode::from(WRONG_USAGE);
        }
    };
    if args::only_print(matches) {
        say(&config::print(&raw));
        return ExitCode::SUCCESS;
    }
    match start(checked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn start(checked: Checked) -> Result<(), DevError> {
    logging::start(checked.log)?;
    checked.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let dir = DataDir::open(&checked.data_dir)?;
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(config, shown));
    // A file system that does not answer shall not hold up the end.
    runtime.shutdown_background();
    ended
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

/// Which flag helps.
fn advice(error: &StartError) -> String {
    let StartError::Bind { listener, .. } = error else {
        return String::new();
    };
    let entry = match listener {
        ListenerKind::Http => &entry::LISTEN,
        ListenerKind::Https => &entry::TLS_LISTEN,
        ListenerKind::Operations => &entry::OPERATIONS_LISTEN,
    };
    format!("; choose another address with --{}", entry.flag)
}

/// What the machine and the environment decide.
pub(crate) fn machine() -> Machine {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data_home = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
    Machine {
        processors: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        data_dir: data_home.map(|home| home.join("hubbub")),
    }
}

/// Writes to standard output. Whoever closed it does not want to hear.
pub(crate) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a fault to standard error.
pub(crate) fn complain(fault: &str) {
    let _ = writeln!(io::stderr(), "error: {fault}");
}
