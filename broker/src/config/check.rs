//! From texts to a [`Config`]: every value is understood, every fault is found, in one go.
//!
//! The one file read here is the one with the settings of hubs, so that its faults are told with the others, and with
//! it the files of secrets that it names. Nothing is made or opened beside them: what the node keeps on disk is brought by the program, as [`Kept`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codec::ids::{HubName, NodeId};
use tracing::level_filters::LevelFilter;

use super::entry::{self, Entry, PUBLIC_DEVELOPMENT_KEY, Program};
use super::fault::{Fault, Faults, Place};
use super::parse::{self, Parsed};
use super::raw::Raw;
use super::{Config, DrainConfig, MAX_WORKERS, TlsListener};
use crate::auth::audience::{AudienceCheck, Endpoint, Origins};
use crate::auth::key::{AccessKey, Keys};
use crate::auth::token::EntraTokens;
use crate::backplane::redis::RedisConfig;
use crate::client::ClientConfig;
use crate::edge::tls::Identity;
use crate::events::webhook::{TokenConfig, WebhookConfig};
use crate::rest::{CorsOrigins, RestConfig};
use crate::settings::file::{self, Hubs};
use crate::settings::follow::{self, HubsSource};
use crate::settings::handler::{EventHandler, HandlerTokens, words};
use crate::settings::yaml;
use crate::settings::{HubSettings, Settings};
use crate::telemetry::logging::{LogConfig, LogFormat};

/// Longest message of a client, after reassembly.
const MESSAGE_BYTES: usize = 1024 * 1024;
/// Most messages that wait for one socket.
const OUTBOX_MESSAGES: usize = 1000;
/// Most bytes that wait for one socket.
const OUTBOX_BYTES: usize = 16 * 1024 * 1024;
/// Most messages that a reliable client may leave unacknowledged.
const WINDOW_MESSAGES: usize = 1000;
/// Most bytes that a reliable client may leave unacknowledged.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;
/// Connections of a worker that leave in one tenth of a second: 100,000 on two workers are gone in 20 seconds.
const DRAIN_WAVE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(249);

const GRACE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
const HANDSHAKE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
const RECONNECT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
const CONNECTIONS: RangeInclusive<usize> = 1..=10_000_000;
const AUDIENCE_CHECKS: [(&str, AudienceCheck); 2] =
    [("strict", AudienceCheck::Strict), ("path-only", AudienceCheck::PathOnly)];
const LOG_LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// A configuration without a fault, before anything on disk was made or opened.
#[derive(Debug)]
pub struct Checked {
    /// How the log is written.
    pub log: LogConfig,
    /// Where the node keeps what it must remember, if it keeps anything.
    pub data_dir: Option<PathBuf>,
    /// Where to listen with TLS, if anywhere.
    pub tls_listen: Option<SocketAddr>,
    /// URLs by which callers know this node.
    pub public_endpoints: Vec<Endpoint>,
    /// The primary access key.
    pub access_key: AccessKey,
    /// What links the node to others, if anything.
    pub redis: Option<RedisConfig>,
    /// Whether the playground is wanted. It is up to the program: only one for development switches it on in its
    /// [`Config`].
    pub playground: bool,
    /// What is allowed but unwise, in whole sentences.
    pub warnings: Vec<String>,
    node: Node,
}

/// What the program found or made in the data directory.
#[derive(Debug)]
pub struct Kept {
    /// Signs what the node gives out itself.
    pub internal_key: AccessKey,
    /// What it shows on its TLS listener. Without one it does not listen with TLS.
    pub identity: Option<Identity>,
}

/// Parts of a [`Config`] that need nothing else.
#[derive(Debug)]
struct Node {
    node_id: NodeId,
    workers: NonZeroUsize,
    listen: SocketAddr,
    operations_listen: Option<SocketAddr>,
    origins: Origins,
    secondary_key: Option<AccessKey>,
    hubs: HubsAtStart,
    client: ClientConfig,
    rest: RestConfig,
    webhooks: WebhookConfig,
    drain: DrainConfig,
}

/// Settings of hubs to start with, and where they come from.
#[derive(Debug)]
struct HubsAtStart {
    settings: BTreeMap<HubName, Arc<HubSettings>>,
    source: HubsSource,
    warnings: Vec<String>,
}

impl Checked {
    /// Joins what was written with what is kept on disk.
    pub fn into_config(self, kept: Kept) -> Config {
        let node = self.node;
        let keys =
            Keys { primary: self.access_key, secondary: node.secondary_key, internal: kept.internal_key };
        let tls = self.tls_listen.zip(kept.identity);
        Config {
            node_id: node.node_id,
            workers: node.workers,
            listen: node.listen,
            tls: tls.map(|(listen, identity)| TlsListener { listen, identity }),
            operations_listen: node.operations_listen,
            origins: node.origins,
            settings: Settings { keys, hubs: node.hubs.settings },
            hubs: node.hubs.source,
            client: node.client,
            rest: node.rest,
            webhooks: node.webhooks,
            redis: self.redis,
            drain: node.drain,
            playground: false,
        }
    }
}

/// Understands a configuration whose defaults are filled in.
///
/// # Errors
/// Every fault of the configuration and of the hub settings that it names.
pub fn check(raw: &Raw) -> Result<Checked, Faults> {
    let mut checker = Checker { raw, faults: raw.faults.clone() };
    let checked = checker.everything();
    match checked {
        Some(checked) if checker.faults.is_empty() => Ok(checked),
        _ => Err(Faults(checker.faults)),
    }
}

/// For which event handlers there are tokens. Options that are at fault must not seem to be at fault in the file too.
fn handler_tokens(webhooks: Option<&WebhookConfig>) -> HandlerTokens {
    let Some(webhooks) = webhooks else {
        return HandlerTokens::ForAll;
    };
    match &webhooks.tokens {
        None => HandlerTokens::Unavailable,
        Some(TokenConfig { default_resource: None, .. }) => HandlerTokens::ForNamedResources,
        Some(_) => HandlerTokens::ForAll,
    }
}

/// Looks at one entry after the other, and gathers what is wrong with them.
pub(super) struct Checker<'a> {
    raw: &'a Raw,
    pub(super) faults: Vec<Fault>,
}

impl Checker<'_> {
    /// Every entry is looked at before the first `?`, so that none hides the fault of another.
    fn everything(&mut self) -> Option<Checked> {
        let listen = self.listen();
        let tls_listen = self.maybe(&entry::TLS_LISTEN, parse::address_or_off).map(Option::flatten);
        let operations_listen = self.one(&entry::OPERATIONS_LISTEN, parse::address_or_off);
        self.distinct([
            (&entry::LISTEN, listen),
            (&entry::TLS_LISTEN, tls_listen.flatten()),
            (&entry::OPERATIONS_LISTEN, operations_listen.flatten()),
        ]);
        let public_endpoints = self.many(&entry::PUBLIC_ENDPOINTS, parse::endpoint);
        let trusted_proxies = self.many(&entry::TRUSTED_PROXIES, parse::network);
        let access_key = self.access_key();
        let secondary_key = self.secondary_key();
        let audience_check = self.one(&entry::AUDIENCE_CHECK, |text| parse::word(text, &AUDIENCE_CHECKS));
        let data_dir = self.data_dir();
        let webhooks = self.webhooks();
        let hubs = self.hubs(handler_tokens(webhooks.as_ref()));
        let workers = self.one(&entry::WORKERS, |text| parse::count(text, 1..=MAX_WORKERS));
        let node_id = self.one(&entry::NODE_ID, node_id);
        let redis = self.redis();
        let playground = self.maybe(&entry::PLAYGROUND, parse::switch);
        let grace = self.one(&entry::DRAIN_GRACE, |text| parse::duration(text, GRACE));
        let (client, rest, log) = (self.client(), self.rest(), self.log());
        self.handlers(webhooks.as_ref(), hubs.as_ref().map(|hubs| &hubs.settings));
        if let (Some(hubs), Some(None)) = (&hubs, &redis) {
            self.durable_without_redis(hubs);
        }

        let (access_key, public_endpoints, rest, mut hubs) = (access_key?, public_endpoints?, rest?, hubs?);
        let listeners = [listen, tls_listen.flatten()];
        let mut warnings = warnings(&listeners, &access_key, rest.entra_tokens);
        warnings.append(&mut hubs.warnings);
        let redis = match hubs.source.durable.is_empty() {
            true => redis?,
            false => redis?.map(RedisConfig::keeping),
        };
        Some(Checked {
            log: log?,
            data_dir: data_dir?,
            tls_listen: tls_listen?,
            warnings,
            access_key,
            redis,
            playground: playground?.unwrap_or_default(),
            node: Node {
                node_id: node_id?,
                workers: NonZeroUsize::new(workers?)?,
                listen: listen?,
                operations_listen: operations_listen?,
                origins: Origins {
                    public_endpoints: public_endpoints.clone(),
                    trusted_proxies: trusted_proxies?,
                    check: audience_check?,
                },
                secondary_key: secondary_key?,
                hubs,
                client: client?,
                rest,
                webhooks: webhooks?,
                drain: DrainConfig { grace: grace?, wave: DRAIN_WAVE },
            },
            public_endpoints,
        })
    }

    fn client(&mut self) -> Option<ClientConfig> {
        let max_connections = self.one(&entry::MAX_CONNECTIONS, |text| parse::count(text, CONNECTIONS));
        let handshake_timeout = self.one(&entry::HANDSHAKE_TIMEOUT, |text| parse::duration(text, HANDSHAKE));
        let reconnect_window = self.one(&entry::RECONNECT_WINDOW, |text| parse::duration(text, RECONNECT));
        Some(ClientConfig {
            max_connections: max_connections?,
            handshake_timeout: handshake_timeout?,
            reconnect_window: reconnect_window?,
            message_bytes: MESSAGE_BYTES,
            outbox_messages: OUTBOX_MESSAGES,
            outbox_bytes: OUTBOX_BYTES,
            window_messages: WINDOW_MESSAGES,
            window_bytes: WINDOW_BYTES,
        })
    }

    fn rest(&mut self) -> Option<RestConfig> {
        let legacy_slash_escape = self.one(&entry::LEGACY_SLASH_ESCAPE, parse::switch);
        let unvalidated = self.one(&entry::ALLOW_UNVALIDATED_ENTRA_TOKENS, parse::switch);
        let origins = self.many(&entry::CORS_ORIGINS, |text| match text {
            "*" => Ok(None),
            _ => parse::web_origin(text).map(Some),
        });
        let listed: Option<Vec<String>> = origins?.into_iter().collect();
        Some(RestConfig {
            legacy_slash_escape: legacy_slash_escape?,
            cors_origins: listed.map_or(CorsOrigins::Any, CorsOrigins::List),
            entra_tokens: match unvalidated? {
                true => EntraTokens::Unvalidated,
                false => EntraTokens::Refused,
            },
        })
    }

    fn log(&mut self) -> Option<LogConfig> {
        let level = self.one(&entry::LOG_LEVEL, |text| parse::word(text, &LOG_LEVELS));
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let format = self.one(&entry::LOG_FORMAT, |text| parse::word(text, &formats));
        Some(LogConfig { level: level?, format: format? })
    }

    fn listen(&mut self) -> Option<SocketAddr> {
        let listen = self.maybe(&entry::LISTEN, parse::address)?;
        if listen.is_none() {
            let reason = "say where to listen for clients and REST calls, such as 0.0.0.0:8080".to_owned();
            self.faults.push(Fault { place: Place::Flag(&entry::BROKER_LISTEN), reason });
        }
        listen
    }

    /// The outer option is empty at a fault, the inner one for a program that keeps nothing.
    fn data_dir(&mut self) -> Option<Option<PathBuf>> {
        let dir = self.maybe(&entry::DATA_DIR, path)?;
        if dir.is_none() && self.program() != Program::Broker {
            let reason =
                "neither HOME nor XDG_DATA_HOME is set, so say where to keep the node's data".to_owned();
            self.faults.push(Fault { place: Place::Flag(&entry::DATA_DIR), reason });
        }
        Some(dir)
    }

    fn hubs(&mut self, tokens: HandlerTokens) -> Option<HubsAtStart> {
        let path = self.maybe(&entry::HUBS, path);
        let file = path.as_ref().and_then(|path| match path {
            Some(path) => self.hubs_file(path, tokens),
            None => Some(Hubs::default()),
        });
        let handlers = self.event_handlers(tokens);
        let (path, file, mut given) = (path?, file?, BTreeMap::<HubName, HubSettings>::new());
        let mut warnings: Vec<String> = Vec::new();
        if let Some(path) = &path {
            let place = |line| follow::place(path, line);
            warnings.extend(
                file.warnings.iter().map(|warning| format!("{}: {}", place(warning.line), warning.reason)),
            );
        }
        for (hub, handler) in handlers? {
            if let (Some(path), Some(line)) = (&path, file.lines.get(&hub)) {
                let place = follow::place(path, Some(*line));
                let reason =
                    format!("hub \"{hub}\" is named in {place}, and the file wins; write the handler there");
                self.refuse::<()>(&entry::EVENT_HANDLERS, reason);
                continue;
            }
            if handler.takes_nothing() {
                warnings.push(format!(
                    "An event handler of hub \"{hub}\" takes no event: give it user-event-pattern or system-event."
                ));
            }
            given.entry(hub).or_default().event_handlers.push(Arc::new(handler));
        }
        let given: BTreeMap<_, _> =
            given.into_iter().map(|(hub, settings)| (hub, Arc::new(settings))).collect();
        let mut settings = file.settings;
        settings.extend(given.clone());
        let durable =
            settings.iter().filter(|(_, hub)| hub.is_durable).map(|(name, _)| name.clone()).collect();
        Some(HubsAtStart { settings, source: HubsSource { file: path, given, tokens, durable }, warnings })
    }

    /// Nothing outlives a node that is alone.
    fn durable_without_redis(&mut self, hubs: &HubsAtStart) {
        for hub in &hubs.source.durable {
            let reason = format!(
                "hub \"{hub}\" is durable, which needs Redis to keep what is sent: run hubbub broker with --redis, \
                 or remove durable from that hub"
            );
            self.refuse::<()>(&entry::HUBS, reason);
        }
    }

    fn hubs_file(&mut self, path: &Path, tokens: HandlerTokens) -> Option<Hubs> {
        match follow::read_text(path) {
            Ok(text) => file::parse(&text, tokens).map_err(|faults| self.refuse_lines(path, faults)).ok(),
            Err(error) => {
                let reason = format!("cannot read the hub settings in {}: {error}", path.display());
                self.refuse(&entry::HUBS, reason)
            }
        }
    }

    /// Every fault of every line is told, and which line it is.
    fn event_handlers(&mut self, tokens: HandlerTokens) -> Option<Vec<(HubName, EventHandler)>> {
        let raw = self.raw;
        let lines = raw.get(&entry::EVENT_HANDLERS).map_or(&[][..], |given| &given.texts);
        let mut handlers = Some(Vec::new());
        for (index, line) in lines.iter().enumerate() {
            match words::parse(line, tokens) {
                Ok(handler) => {
                    if let Some(handlers) = &mut handlers {
                        handlers.push(handler);
                    }
                }
                Err(faults) => {
                    handlers = None;
                    for fault in faults {
                        let number =
                            if lines.len() > 1 { format!("number {}: ", index + 1) } else { String::new() };
                        self.refuse::<()>(&entry::EVENT_HANDLERS, format!("{number}{fault}"));
                    }
                }
            }
        }
        handlers
    }

    /// The value of an entry that always has one.
    pub(super) fn one<T>(&mut self, entry: &'static Entry, parse: impl Fn(&str) -> Parsed<T>) -> Option<T> {
        self.maybe(entry, parse)?
    }

    /// The outer option is empty at a fault, the inner one where nobody wrote anything.
    pub(super) fn maybe<T>(
        &mut self,
        entry: &'static Entry,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<Option<T>> {
        Some(self.many(entry, parse)?.pop())
    }

    /// The values of an entry that may have any number.
    pub(super) fn many<T>(
        &mut self,
        entry: &'static Entry,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<Vec<T>> {
        let texts = self.raw.get(entry).map_or(&[][..], |given| &given.texts);
        match texts.iter().map(|text| parse(text)).collect() {
            Ok(values) => Some(values),
            Err(reason) => self.refuse(entry, reason),
        }
    }

    /// Says what is wrong with an entry.
    pub(super) fn refuse<T>(&mut self, entry: &'static Entry, reason: String) -> Option<T> {
        let place = self.raw.get(entry).map_or(Place::Default(entry), |given| given.place.clone());
        let reason = match place {
            Place::File { .. } => format!("{}: {reason}", entry.key),
            _ => reason,
        };
        self.faults.push(Fault { place, reason });
        None
    }

    pub(super) fn program(&self) -> Program {
        self.raw.program
    }

    /// Whether somebody wrote an entry.
    pub(super) fn was_written(&self, entry: &Entry) -> bool {
        self.raw.get(entry).is_some_and(|given| !matches!(given.place, Place::Default(_)))
    }

    /// Whether an entry was written or has a default.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        self.raw.get(entry).is_some()
    }

    fn refuse_lines(&mut self, path: &Path, faults: Vec<yaml::Fault>) {
        let place = |line| Place::File { path: path.to_owned(), line };
        self.faults
            .extend(faults.into_iter().map(|fault| Fault { place: place(fault.line), reason: fault.reason }));
    }

    /// Two listeners on one address would fail later, and less plainly.
    fn distinct(&mut self, listeners: [(&'static Entry, Option<SocketAddr>); 3]) {
        for (index, (entry, address)) in listeners.iter().enumerate() {
            let Some(address) = address.filter(|address| address.port() != 0) else {
                continue;
            };
            if let Some((other, _)) = listeners[..index].iter().find(|(_, taken)| *taken == Some(address)) {
                let reason =
                    format!("{address} is the address of --{} already; choose another port", other.flag);
                self.refuse::<()>(entry, reason);
            }
        }
    }
}

fn node_id(text: &str) -> Parsed<NodeId> {
    NodeId::new(text).map_err(|invalid| invalid.to_string())
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() { Err("the path is empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn warnings(
    listeners: &[Option<SocketAddr>],
    access_key: &AccessKey,
    entra_tokens: EntraTokens,
) -> Vec<String> {
    let Some(open) = listeners.iter().flatten().find(|address| !address.ip().is_loopback()) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    if access_key.expose() == PUBLIC_DEVELOPMENT_KEY {
        warnings.push(format!(
            "The node listens on {open} with the public development key: whoever can reach it can do everything. \
             Set --access-key to a secret of your own."
        ));
    }
    if entra_tokens == EntraTokens::Unvalidated {
        warnings.push(format!(
            "The node listens on {open} and believes Entra ID tokens unseen: whoever can reach it can do everything. \
             Leave --allow-unvalidated-entra-tokens to development on one machine."
        ));
    }
    warnings
}
