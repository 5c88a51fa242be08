//! Finds out which server owns which partition: asks the servers, or Sentinel and then the server that it names.

use std::time::Duration;

use redis::{Cmd, RedisError, RedisResult, ServerErrorKind, Value, cmd};
use tokio::time::timeout;

use super::config::{RedisConfig, Source};
use super::connection::{Connection, Manner};
use super::slots::{Owners, text};
use super::{Address, LinkError, Partition};

/// Longest time for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// See the module. Keeps the connection over which it got an answer.
pub(super) struct Scout {
    config: RedisConfig,
    kept: Option<(Address, Connection)>,
}

impl Scout {
    /// Nobody has been asked yet.
    pub(super) fn new(config: RedisConfig) -> Self {
        Self { config, kept: None }
    }

    /// Who owns what now, as the first server says that has an answer, and which server that is. `known` are servers that were named before.
    pub(super) async fn look(&mut self, known: &[Address]) -> Result<(Address, Owners), LinkError> {
        if let Some((address, mut connection)) = self.kept.take()
            && !matches!(self.config.source, Source::Sentinel { .. })
            && let Ok(owners) = owners(&address, &mut connection).await
        {
            self.kept = Some((address.clone(), connection));
            return Ok((address, owners));
        }
        let mut fault = None;
        let (candidates, known) = match &self.config.source {
            Source::Servers(seeds) => (seeds.clone(), known),
            Source::Sentinel { .. } => match self.primary().await {
                Ok(primary) => (vec![primary], &[][..]),
                Err(error) => return Err(error),
            },
        };
        for address in known.iter().chain(candidates.iter().filter(|seed| !known.contains(seed))) {
            match self.ask(address).await {
                Ok(owners) => return Ok((address.clone(), owners)),
                // What somebody must mend is worth more than what may pass.
                Err(error) if fault.as_ref().is_none_or(LinkError::may_pass) => fault = Some(error),
                Err(_) => {}
            }
        }
        Err(fault.unwrap_or(LinkError::Patience))
    }

    /// Asks over a new connection next time.
    pub(super) fn forget(&mut self) {
        self.kept = None;
    }

    /// Tries out on the server that has answered what the node will do all the time, so that a missing permission is
    /// told at the start.
    pub(super) async fn try_out(&mut self) -> Result<(), LinkError> {
        let Some((address, connection)) = &mut self.kept else { return Ok(()) };
        let channel = format!("{}:{{{}}}:try", self.config.prefix, Partition(0).0);
        let mut publish = cmd("SPUBLISH");
        publish.arg(&channel).arg("");
        let mut subscribe = cmd("SSUBSCRIBE");
        subscribe.arg(&channel);
        let mut unsubscribe = cmd("SUNSUBSCRIBE");
        unsubscribe.arg(&channel);
        let commands = [
            ("SPUBLISH", publish),
            ("SSUBSCRIBE", subscribe),
            ("SUNSUBSCRIBE", unsubscribe),
            ("PING", cmd("PING")),
        ];
        try_all(address, connection, commands.into()).await?;
        if self.config.keeps {
            let tried = try_all(address, connection, keeping(&channel)).await;
            tried.map_err(|error| match error {
                LinkError::Permission { address, command } => LinkError::Keeping { address, command },
                error => error,
            })?;
        }
        Ok(())
    }

    async fn ask(&mut self, address: &Address) -> Result<Owners, LinkError> {
        let manner = Manner { credentials: &self.config.credentials, tls: self.config.tls.as_ref() };
        let mut connection = Connection::open(address, manner, None).await?;
        let owners = owners(address, &mut connection).await?;
        self.kept = Some((address.clone(), connection));
        Ok(owners)
    }

    /// What the first Sentinel says that has an answer.
    async fn primary(&self) -> Result<Address, LinkError> {
        let Source::Sentinel { sentinels, service, credentials } = &self.config.source else {
            return Err(LinkError::Patience);
        };
        let manner = Manner { credentials, tls: self.config.tls.as_ref() };
        let mut fault = None;
        for address in sentinels {
            match primary(address, manner, service).await {
                Ok(primary) => return Ok(primary),
                Err(error) if fault.as_ref().is_none_or(LinkError::may_pass) => fault = Some(error),
                Err(_) => {}
            }
        }
        Err(fault.unwrap_or(LinkError::Patience))
    }
}

/// What the scripts of the store do, on a key of no use. All but the last steps change nothing.
fn keeping(key: &str) -> Vec<(&'static str, Cmd)> {
    let words = |name: &'static str, first: &[&str], rest: &[&str]| {
        let mut command = cmd(first[0]);
        command.arg(&first[1..]).arg(key).arg(rest);
        (name, command)
    };
    vec![
        ("TIME", cmd("TIME")),
        words("EVAL", &["EVAL", "return 0", "1"], &[]),
        words("EXISTS", &["EXISTS"], &[]),
        words("PEXPIRE", &["PEXPIRE"], &["1000"]),
        words("XADD", &["XADD"], &["NOMKSTREAM", "*", "c", ""]),
        words("XTRIM", &["XTRIM"], &["MAXLEN", "1"]),
        words("XRANGE", &["XRANGE"], &["-", "+", "COUNT", "1"]),
        words("XINFO STREAM", &["XINFO", "STREAM"], &[]),
        words("ZSCORE", &["ZSCORE"], &["c"]),
        words("ZADD", &["ZADD"], &["XX", "0", "c"]),
        words("ZREMRANGEBYSCORE", &["ZREMRANGEBYSCORE"], &["0", "0"]),
        words("HGET", &["HGET"], &["c"]),
        words("HGETALL", &["HGETALL"], &[]),
        words("HSET", &["HSET"], &["c", ""]),
        words("HDEL", &["HDEL"], &["c"]),
        words("DEL", &["DEL"], &[]),
    ]
}

/// Fails with the first command that somebody must permit.
async fn try_all(
    address: &Address,
    connection: &mut Connection,
    commands: Vec<(&'static str, Cmd)>,
) -> Result<(), LinkError> {
    for (name, command) in commands {
        match answer(address, connection, (name, &command)).await {
            Ok(_) => {}
            Err(Trouble::Told(error)) => match told(address, name, &error) {
                // Another server of the cluster has this partition; permission is looked at before that.
                LinkError::Unknown { .. } => {}
                error => return Err(error),
            },
            Err(Trouble::Silent(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Why there is no good answer.
enum Trouble {
    /// The server says so.
    Told(redis::ServerError),
    /// Nothing came.
    Silent(LinkError),
}

async fn primary(address: &Address, manner: Manner<'_>, service: &str) -> Result<Address, LinkError> {
    const NAME: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME";
    let mut connection = Connection::open(address, manner, None).await?;
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
    let answer =
        answer(address, &mut connection, (NAME, &question)).await.map_err(|trouble| match trouble {
            Trouble::Told(error) => told(address, NAME, &error),
            Trouble::Silent(error) => error,
        })?;
    let unknown = || LinkError::Service { address: address.clone(), service: service.to_owned() };
    let Value::Array(fields) = answer else { return Err(unknown()) };
    let [host, port] = fields.as_slice() else { return Err(unknown()) };
    let host = text(host).ok_or_else(unknown)?.to_owned();
    let port = text(port).and_then(|port| port.parse().ok()).ok_or_else(unknown)?;
    Ok(Address { host, port })
}

async fn owners(address: &Address, connection: &mut Connection) -> Result<Owners, LinkError> {
    const NAME: &str = "CLUSTER SLOTS";
    let mut question = cmd("CLUSTER");
    question.arg("SLOTS");
    match answer(address, connection, (NAME, &question)).await {
        Ok(slots) => Owners::from_slots(&slots, address).ok_or_else(|| odd(address, NAME)),
        Err(Trouble::Told(error))
            if error.details().is_some_and(|text| text.contains("cluster support disabled")) =>
        {
            alone(address, connection).await
        }
        Err(Trouble::Told(error)) => Err(told(address, NAME, &error)),
        Err(Trouble::Silent(error)) => Err(error),
    }
}

/// A server outside a cluster owns everything, unless it only follows another.
async fn alone(address: &Address, connection: &mut Connection) -> Result<Owners, LinkError> {
    const NAME: &str = "ROLE";
    match answer(address, connection, (NAME, &cmd(NAME))).await {
        Ok(Value::Array(fields)) => match fields.first().and_then(text) {
            Some("master") => Ok(Owners::single(address)),
            Some("slave") => Err(LinkError::Replica(address.clone())),
            _ => Err(odd(address, NAME)),
        },
        Ok(_) => Err(odd(address, NAME)),
        Err(Trouble::Told(error)) => Err(told(address, NAME, &error)),
        Err(Trouble::Silent(error)) => Err(error),
    }
}

async fn answer(
    address: &Address,
    connection: &mut Connection,
    (name, question): (&'static str, &Cmd),
) -> Result<Value, Trouble> {
    let silent = |reason| Trouble::Silent(LinkError::Unreachable { address: address.clone(), reason });
    let answer: Result<RedisResult<Value>, _> = timeout(ANSWER_TIME, connection.ask(question)).await;
    match answer {
        Ok(Ok(Value::ServerError(error))) => Err(Trouble::Told(error)),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(silent(RedisError::to_string(&error))),
        Err(_) => Err(silent(format!("no answer to {name} in time"))),
    }
}

fn told(address: &Address, command: &'static str, error: &redis::ServerError) -> LinkError {
    let address = address.clone();
    match error.kind() {
        Some(ServerErrorKind::NoPerm) => LinkError::Permission { address, command },
        _ if error.code() == "NOAUTH" => LinkError::Credentials(address),
        _ if error.details().is_some_and(|text| text.contains("unknown command")) => {
            LinkError::TooOld(address)
        }
        _ => LinkError::Unknown { address, command, reason: error.to_string() },
    }
}

fn odd(address: &Address, command: &'static str) -> LinkError {
    LinkError::Unknown { address: address.clone(), command, reason: "it has another shape".to_owned() }
}
