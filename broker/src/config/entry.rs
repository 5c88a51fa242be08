//! The table of everything an operator may choose: its names on the command line, in the environment and in the
//! configuration file, its help, and the one default it has.
//!
//! Nothing is read or checked here. The program makes its command line from this table, `raw` its file, `print` its
//! output, so that no entry can be missing in one of them.

mod broker;
mod handlers;

pub use self::broker::*;
pub use self::handlers::*;

/// What is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Program {
    /// `hubbub dev`.
    #[default]
    Dev,
    /// `hubbub broker`.
    Broker,
    /// `hubbub event-handler check`, which understands the files of both.
    Check,
}

impl Program {
    /// Its entries, in the order of the help and of the printed configuration.
    pub const fn entries(self) -> &'static [&'static Entry] {
        match self {
            Self::Dev => &DEV,
            Self::Broker => &BROKER,
            Self::Check => &CHECK,
        }
    }
}

/// Something an operator may choose.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name on the command line, without the dashes.
    pub flag: &'static str,
    /// Name in the environment.
    pub variable: &'static str,
    /// Key in the configuration file.
    pub key: &'static str,
    /// What stands for a value in the help.
    pub value: &'static str,
    /// Help for people who have not read the manual.
    pub help: &'static str,
    /// Under which heading the help shows it.
    pub heading: Heading,
    /// How many values it takes, and of which sort.
    pub kind: Kind,
    /// What holds when nobody chose.
    pub default: Default,
}

/// Sort of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One value.
    One,
    /// One value that is never shown.
    Secret,
    /// Any number of values: the flag repeated, commas in the environment, a list in the file.
    Many,
    /// Any number of values that may hold commas: the flag repeated, lines in the environment, a list in the file.
    Lines,
    /// Any number of URLs that may hold a password, and are not shown then: as `Many`, and in the file a text without a
    /// list is one.
    Urls,
    /// `true` or `false`; the bare flag means `true`.
    Switch,
}

/// Default of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// None; the entry may stay away.
    Absent,
    /// This text, read as if somebody had written it.
    Text(&'static str),
    /// A value that depends on the machine, described for the help.
    Machine(&'static str),
    /// A value that is made anew at each start, described for the help.
    Fresh(&'static str),
}

/// Part of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heading {
    /// Where the node listens.
    Addresses,
    /// Who may do what.
    Access,
    /// What the node keeps and how it is built.
    Node,
    /// What links it to other nodes.
    Backplane,
    /// What clients are granted.
    Clients,
    /// How the application's event handlers are called.
    Handlers,
    /// What is written about it all.
    Logging,
}

/// The access key of the service's own emulator, which everybody knows. It is for development and for nothing else.
pub const PUBLIC_DEVELOPMENT_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH";

impl Heading {
    /// Text of the heading.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Addresses => "Addresses",
            Self::Access => "Access",
            Self::Node => "Node",
            Self::Backplane => "Backplane",
            Self::Clients => "Clients",
            Self::Handlers => "Event handlers",
            Self::Logging => "Logging",
        }
    }
}

/// Every entry of `hubbub dev`, in the order of the help and of the printed configuration.
pub const DEV: [&Entry; 37] = [
    &LISTEN,
    &TLS_LISTEN,
    &OPERATIONS_LISTEN,
    &PUBLIC_ENDPOINTS,
    &TRUSTED_PROXIES,
    &ACCESS_KEY,
    &SECONDARY_KEY,
    &AUDIENCE_CHECK,
    &ALLOW_UNVALIDATED_ENTRA_TOKENS,
    &CORS_ORIGINS,
    &HUBS,
    &EVENT_HANDLERS,
    &DATA_DIR,
    &WORKERS,
    &NODE_ID,
    &DRAIN_GRACE,
    &MAX_CONNECTIONS,
    &HANDSHAKE_TIMEOUT,
    &RECONNECT_WINDOW,
    &LEGACY_SLASH_ESCAPE,
    &PLAYGROUND,
    &HANDLER_TIMEOUT,
    &HANDLER_CONCURRENCY,
    &HANDLER_CA_FILE,
    &HANDLER_PROXY,
    &HANDLER_NO_PROXY,
    &REFUSE_PRIVATE_HANDLERS,
    &ALLOW_HANDLER_NETWORK,
    &HANDLER_H2C,
    &HANDLER_TOKEN_URL,
    &HANDLER_CLIENT_ID,
    &HANDLER_CLIENT_SECRET,
    &HANDLER_CLIENT_AUTH,
    &HANDLER_TOKEN_SCOPE,
    &HANDLER_DEFAULT_RESOURCE,
    &LOG_LEVEL,
    &LOG_FORMAT,
];

/// Entries whose keys may stand in a file that `hubbub event-handler check` reads.
const CHECK: [&Entry; DEV.len() + 7] = {
    let more = [
        &ACCESS_KEY_FILE,
        &SECONDARY_KEY_FILE,
        &REDIS,
        &REDIS_PREFIX,
        &REDIS_USERNAME,
        &REDIS_PASSWORD_FILE,
        &REDIS_CA_FILE,
    ];
    let mut all = [more[0]; DEV.len() + 7];
    let mut index = 0;
    while index < all.len() {
        all[index] = if index < DEV.len() { DEV[index] } else { more[index - DEV.len()] };
        index += 1;
    }
    all
};

/// Plain listener.
pub const LISTEN: Entry = Entry {
    flag: "listen",
    variable: "HUBBUB_LISTEN",
    key: "listen",
    value: "ADDRESS",
    help: "Address and port for clients and REST calls without TLS; port 0 takes a free one",
    heading: Heading::Addresses,
    kind: Kind::One,
    default: Default::Text("127.0.0.1:8080"),
};

/// Listener with TLS.
pub const TLS_LISTEN: Entry = Entry {
    flag: "tls-listen",
    variable: "HUBBUB_TLS_LISTEN",
    key: "tlsListen",
    value: "ADDRESS|off",
    help: "Address and port for clients and REST calls with TLS, by a certificate of a local authority that is made \
           at the first start, or off. The JavaScript service SDK needs it",
    heading: Heading::Addresses,
    kind: Kind::One,
    default: Default::Text("127.0.0.1:8443"),
};

/// Operations listener.
pub const OPERATIONS_LISTEN: Entry = Entry {
    flag: "operations-listen",
    variable: "HUBBUB_OPERATIONS_LISTEN",
    key: "operationsListen",
    value: "ADDRESS|off",
    help: "Address and port for /metrics, /health/live, /health/ready and /health/startup, or off. It has no \
           authentication: keep it away from clients",
    heading: Heading::Addresses,
    kind: Kind::One,
    default: Default::Text("127.0.0.1:8090"),
};

/// Names of the node towards its callers.
pub const PUBLIC_ENDPOINTS: Entry = Entry {
    flag: "public-endpoint",
    variable: "HUBBUB_PUBLIC_ENDPOINT",
    key: "publicEndpoints",
    value: "URL",
    help: "URL by which applications reach this node through a proxy, as in their connection string, such as \
           https://rt.example.com or https://example.com/prefix; tokens made for it are accepted, and the local \
           certificate covers its host. May be repeated",
    heading: Heading::Addresses,
    kind: Kind::Many,
    default: Default::Absent,
};

/// Proxies in front.
pub const TRUSTED_PROXIES: Entry = Entry {
    flag: "trusted-proxy",
    variable: "HUBBUB_TRUSTED_PROXY",
    key: "trustedProxies",
    value: "CIDR",
    help: "Network or address of proxies whose Forwarded and X-Forwarded-* headers are believed, such as 10.0.0.0/8. \
           May be repeated",
    heading: Heading::Addresses,
    kind: Kind::Many,
    default: Default::Absent,
};

/// Primary access key.
pub const ACCESS_KEY: Entry = Entry {
    flag: "access-key",
    variable: "HUBBUB_ACCESS_KEY",
    key: "accessKey",
    value: "KEY",
    help: "Access key of the connection string: 32 characters or more. The default is the public key of the service's \
           emulator, for development only. A command line can be read by other programs of this machine: prefer the \
           variable or the file",
    heading: Heading::Access,
    kind: Kind::Secret,
    default: Default::Text(PUBLIC_DEVELOPMENT_KEY),
};

/// Secondary access key.
pub const SECONDARY_KEY: Entry = Entry {
    flag: "secondary-key",
    variable: "HUBBUB_SECONDARY_KEY",
    key: "secondaryKey",
    value: "KEY",
    help: "Second access key, valid beside the first, so that keys can be changed one after the other",
    heading: Heading::Access,
    kind: Kind::Secret,
    default: Default::Absent,
};

/// How the audience of tokens is checked.
pub const AUDIENCE_CHECK: Entry = Entry {
    flag: "audience-check",
    variable: "HUBBUB_AUDIENCE_CHECK",
    key: "audienceCheck",
    value: "strict|path-only",
    help: "strict: a token must be made for this node's address or a public endpoint. path-only: its host is not \
           looked at, for containers and forwarded ports that go by many names",
    heading: Heading::Access,
    kind: Kind::One,
    default: Default::Text("strict"),
};

/// Tokens of an identity provider.
pub const ALLOW_UNVALIDATED_ENTRA_TOKENS: Entry = Entry {
    flag: "allow-unvalidated-entra-tokens",
    variable: "HUBBUB_ALLOW_UNVALIDATED_ENTRA_TOKENS",
    key: "allowUnvalidatedEntraTokens",
    value: "true|false",
    help: "Accept Entra ID tokens on REST calls without looking at their signature, as the service's emulator can. \
           Whoever can reach this node can then do everything: for development only",
    heading: Heading::Access,
    kind: Kind::Switch,
    default: Default::Text("false"),
};

/// Web pages that may call.
pub const CORS_ORIGINS: Entry = Entry {
    flag: "cors-origin",
    variable: "HUBBUB_CORS_ORIGIN",
    key: "corsOrigins",
    value: "ORIGIN",
    help: "Origin of web pages that may make REST calls, such as https://app.example.com, or * for all. May be \
           repeated",
    heading: Heading::Access,
    kind: Kind::Many,
    default: Default::Text("*"),
};

/// Settings of hubs.
pub const HUBS: Entry = Entry {
    flag: "hubs",
    variable: "HUBBUB_HUBS",
    key: "hubs",
    value: "FILE",
    help: "YAML file with settings of hubs (hubs: {chat: {anonymousConnectPolicy: allow}}). It is followed while the \
           node runs. Every hub works without settings too",
    heading: Heading::Node,
    kind: Kind::One,
    default: Default::Absent,
};

/// Who takes the events of hubs.
pub const EVENT_HANDLERS: Entry = Entry {
    flag: "event-handler",
    variable: "HUBBUB_EVENT_HANDLER",
    key: "eventHandlers",
    value: "WORDS",
    help: "Event handler of a hub, in the words of az webpubsub hub create: 'hub=chat \
           url-template=http://127.0.0.1:7070/{event} user-event-pattern=* system-event=connect \
           system-event=connected', and auth-type and auth-resource. May be repeated, and the first that matches gets \
           an event; one on each line of the variable. A hub that the hubs file names has its handlers there",
    heading: Heading::Node,
    kind: Kind::Lines,
    default: Default::Absent,
};

/// What the node keeps.
pub const DATA_DIR: Entry = Entry {
    flag: "data-dir",
    variable: "HUBBUB_DATA_DIR",
    key: "dataDir",
    value: "DIR",
    help: "Directory for the local certificate authority and the internal signing key; made if it is not there",
    heading: Heading::Node,
    kind: Kind::One,
    default: Default::Machine("$XDG_DATA_HOME/hubbub, or ~/.local/share/hubbub"),
};

/// Threads.
pub const WORKERS: Entry = Entry {
    flag: "workers",
    variable: "HUBBUB_WORKERS",
    key: "workers",
    value: "N",
    help: "Threads that hold connections, 1 to 64",
    heading: Heading::Node,
    kind: Kind::One,
    default: Default::Machine("one for each processor"),
};

/// Name of the node.
pub const NODE_ID: Entry = Entry {
    flag: "node-id",
    variable: "HUBBUB_NODE_ID",
    key: "nodeId",
    value: "ID",
    help: "Short id of this node, the tail of its connection ids: 1 to 32 letters, digits, _ or -",
    heading: Heading::Node,
    kind: Kind::One,
    default: Default::Text("dev"),
};

/// Time to stop.
pub const DRAIN_GRACE: Entry = Entry {
    flag: "drain-grace",
    variable: "HUBBUB_DRAIN_GRACE",
    key: "drainGrace",
    value: "DURATION",
    help: "Longest time from SIGTERM or Ctrl-C to the end of the process; clients are sent away in waves meanwhile",
    heading: Heading::Node,
    kind: Kind::One,
    default: Default::Text("30s"),
};

/// Cap of connections.
pub const MAX_CONNECTIONS: Entry = Entry {
    flag: "max-connections",
    variable: "HUBBUB_MAX_CONNECTIONS",
    key: "maxConnections",
    value: "N",
    help: "Most client connections at a time; the next is answered 429",
    heading: Heading::Clients,
    kind: Kind::One,
    default: Default::Text("100000"),
};

/// Time to connect.
pub const HANDSHAKE_TIMEOUT: Entry = Entry {
    flag: "handshake-timeout",
    variable: "HUBBUB_HANDSHAKE_TIMEOUT",
    key: "handshakeTimeout",
    value: "DURATION",
    help: "Longest time from the first byte of a socket to the end of its request to connect, such as 10s or 500ms",
    heading: Heading::Clients,
    kind: Kind::One,
    default: Default::Text("10s"),
};

/// Time to come back.
pub const RECONNECT_WINDOW: Entry = Entry {
    flag: "reconnect-window",
    variable: "HUBBUB_RECONNECT_WINDOW",
    key: "reconnectWindow",
    value: "DURATION",
    help: "How long a client of a reliable protocol may stay away after it has lost its socket, in whole seconds. It \
           keeps its groups, and gets what was sent to it meanwhile",
    heading: Heading::Clients,
    kind: Kind::One,
    default: Default::Text("30s"),
};

/// Old meaning of an escaped slash.
pub const LEGACY_SLASH_ESCAPE: Entry = Entry {
    flag: "legacy-slash-escape",
    variable: "HUBBUB_LEGACY_SLASH_ESCAPE",
    key: "legacySlashEscape",
    value: "true|false",
    help: "Keep %2F in the path of a REST call as the three characters %2F, as the service does, instead of reading \
           it as a slash",
    heading: Heading::Clients,
    kind: Kind::Switch,
    default: Default::Text("false"),
};

/// The page for trying things out.
pub const PLAYGROUND: Entry = Entry {
    flag: "playground",
    variable: "HUBBUB_PLAYGROUND",
    key: "playground",
    value: "true|false",
    help: "Serve a page at / on which a person connects clients, sends, and watches what happens. Whatever it does needs \
           the access key",
    heading: Heading::Clients,
    kind: Kind::Switch,
    default: Default::Text("true"),
};

/// How much is logged.
pub const LOG_LEVEL: Entry = Entry {
    flag: "log-level",
    variable: "HUBBUB_LOG_LEVEL",
    key: "logLevel",
    value: "off|error|warn|info|debug|trace",
    help: "How much is written to standard error",
    heading: Heading::Logging,
    kind: Kind::One,
    default: Default::Text("info"),
};

/// Form of the log.
pub const LOG_FORMAT: Entry = Entry {
    flag: "log-format",
    variable: "HUBBUB_LOG_FORMAT",
    key: "logFormat",
    value: "text|json",
    help: "Form of a line of the log",
    heading: Heading::Logging,
    kind: Kind::One,
    default: Default::Text("text"),
};
