//! How large a run is, from the environment. Without any, it is the short form.

use std::env;
use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use crate::audit::Accepted;

/// See the module. Each field names its variable.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// `CHAOS_SEED`: one seed, or several parted by commas.
    pub(crate) seeds: Vec<u64>,
    /// `CHAOS_SECONDS`: how long faults happen.
    pub(crate) length: Duration,
    /// `CHAOS_BROKERS`
    pub(crate) brokers: usize,
    /// `CHAOS_RELIABLE`: reliable clients.
    pub(crate) reliable: usize,
    /// `CHAOS_PLAIN`: plain clients.
    pub(crate) plain: usize,
    /// `CHAOS_GROUPS`: each client is a member of one or two.
    pub(crate) groups: usize,
    /// `CHAOS_PUBLISHERS`: clients that publish.
    pub(crate) publishers: usize,
    /// `CHAOS_CALLERS`: callers of the REST API.
    pub(crate) callers: usize,
    /// `CHAOS_RATE`: messages that each of both publishes in a second.
    pub(crate) rate: u32,
    /// `CHAOS_DURABLE=1`: the hub is durable, and Redis has everything again when it is started again.
    pub(crate) durable: bool,
    /// `CHAOS_WINDOW`: seconds for which a session is kept. Those of a durable hub are to last, and faults come so close that
    /// a client now and then finds no node for half a minute that can go on with it.
    pub(crate) window: Duration,
    /// `CHAOS_ACCEPT`: what may end a session, see [`Accepted`].
    pub(crate) accepted: Accepted,
}

impl Setup {
    /// Reads the environment.
    pub(crate) fn from_environment() -> Self {
        let seeds: String = variable("CHAOS_SEED", "170,277,291".to_owned());
        let durable = variable("CHAOS_DURABLE", 0) == 1;
        let accepted = if durable { "late" } else { "killed,stopped,gap,slow,unsent" };
        Self {
            seeds: seeds.split(',').map(|seed| seed.parse().expect("CHAOS_SEED is a number")).collect(),
            length: Duration::from_secs(variable("CHAOS_SECONDS", 8)),
            brokers: variable("CHAOS_BROKERS", 3),
            reliable: variable("CHAOS_RELIABLE", 60),
            plain: variable("CHAOS_PLAIN", 60),
            groups: variable("CHAOS_GROUPS", 12),
            publishers: variable("CHAOS_PUBLISHERS", 12),
            callers: variable("CHAOS_CALLERS", 4),
            rate: variable("CHAOS_RATE", 10),
            durable,
            window: Duration::from_secs(variable("CHAOS_WINDOW", if durable { 90 } else { 30 })),
            accepted: variable("CHAOS_ACCEPT", accepted.parse().unwrap()),
        }
    }
}

fn variable<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error:?}")),
        Err(_) => default,
    }
}
