//! The entries of `hubbub broker`: those of a node anywhere, and in place of some those without a default that is only
//! good on the machine of a developer.

use super::*;

/// Every entry of `hubbub broker`, in the order of the help and of the printed configuration.
pub const BROKER: [&Entry; 41] = [
    &BROKER_LISTEN,
    &BROKER_OPERATIONS_LISTEN,
    &BROKER_PUBLIC_ENDPOINTS,
    &TRUSTED_PROXIES,
    &BROKER_ACCESS_KEY,
    &ACCESS_KEY_FILE,
    &SECONDARY_KEY,
    &SECONDARY_KEY_FILE,
    &AUDIENCE_CHECK,
    &ALLOW_UNVALIDATED_ENTRA_TOKENS,
    &CORS_ORIGINS,
    &HUBS,
    &EVENT_HANDLERS,
    &WORKERS,
    &BROKER_NODE_ID,
    &DRAIN_GRACE,
    &REDIS,
    &REDIS_PREFIX,
    &REDIS_USERNAME,
    &REDIS_PASSWORD_FILE,
    &REDIS_CA_FILE,
    &MAX_CONNECTIONS,
    &HANDSHAKE_TIMEOUT,
    &RECONNECT_WINDOW,
    &LEGACY_SLASH_ESCAPE,
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

/// Listener for clients and REST calls.
pub const BROKER_LISTEN: Entry = Entry {
    help: "Address and port for clients and REST calls, such as 0.0.0.0:8080; port 0 takes a free one. Needed",
    default: Default::Absent,
    ..LISTEN
};

/// Operations listener.
pub const BROKER_OPERATIONS_LISTEN: Entry = Entry {
    help: "Address and port for /metrics, /health/live, /health/ready and /health/startup, or off. It has no \
           authentication: open it to monitoring, and keep it away from clients",
    ..OPERATIONS_LISTEN
};

/// Names of the installation towards its callers.
pub const BROKER_PUBLIC_ENDPOINTS: Entry = Entry {
    help: "URL by which applications reach the nodes through a proxy, as in their connection string, such as \
           https://rt.example.com or https://example.com/prefix; tokens made for it are accepted. May be repeated",
    ..PUBLIC_ENDPOINTS
};

/// Primary access key.
pub const BROKER_ACCESS_KEY: Entry = Entry {
    help: "Access key of the connection string: 32 bytes or more, the same on all nodes. Needed, here or in a file. A \
           command line can be read by other programs of this machine: prefer the variable or a file",
    default: Default::Absent,
    ..ACCESS_KEY
};

/// File of the primary access key.
pub const ACCESS_KEY_FILE: Entry = Entry {
    flag: "access-key-file",
    variable: "HUBBUB_ACCESS_KEY_FILE",
    key: "accessKeyFile",
    value: "FILE",
    help: "File that holds nothing but the access key, as Kubernetes mounts secrets; a line feed at its end is no \
           part of the key",
    heading: Heading::Access,
    kind: Kind::One,
    default: Default::Absent,
};

/// File of the secondary access key.
pub const SECONDARY_KEY_FILE: Entry = Entry {
    flag: "secondary-key-file",
    variable: "HUBBUB_SECONDARY_KEY_FILE",
    key: "secondaryKeyFile",
    value: "FILE",
    help: "File that holds nothing but the second access key",
    heading: Heading::Access,
    kind: Kind::One,
    default: Default::Absent,
};

/// Name of the node.
pub const BROKER_NODE_ID: Entry = Entry {
    help: "Short id of this node, the tail of its connection ids, which no other node has: 1 to 32 letters, digits, \
           _ or -, such as the name of its pod",
    default: Default::Fresh("a random one at each start"),
    ..NODE_ID
};

/// Servers that link the nodes.
pub const REDIS: Entry = Entry {
    flag: "redis",
    variable: "HUBBUB_REDIS",
    key: "redis",
    value: "URL",
    help: "URL of the Redis that links the nodes, such as redis://10.0.0.7:6379, or rediss:// with TLS; version 7 or \
           newer. May be repeated for the nodes of a Redis Cluster. Without it the node is alone. URLs with a \
           password are never shown",
    heading: Heading::Backplane,
    kind: Kind::Urls,
    default: Default::Absent,
};

/// What tells installations on one Redis apart.
pub const REDIS_PREFIX: Entry = Entry {
    flag: "redis-prefix",
    variable: "HUBBUB_REDIS_PREFIX",
    key: "redisPrefix",
    value: "TEXT",
    help: "Beginning of every name in Redis, the same on all nodes, so that installations can share a Redis: 1 to 64 \
           letters, digits, _, -, . or :",
    heading: Heading::Backplane,
    kind: Kind::One,
    default: Default::Text("hubbub"),
};

/// User at Redis.
pub const REDIS_USERNAME: Entry = Entry {
    flag: "redis-username",
    variable: "HUBBUB_REDIS_USERNAME",
    key: "redisUsername",
    value: "NAME",
    help: "User at Redis, where a URL names none",
    heading: Heading::Backplane,
    kind: Kind::One,
    default: Default::Absent,
};

/// File of the password at Redis.
pub const REDIS_PASSWORD_FILE: Entry = Entry {
    flag: "redis-password-file",
    variable: "HUBBUB_REDIS_PASSWORD_FILE",
    key: "redisPasswordFile",
    value: "FILE",
    help: "File that holds nothing but the password at Redis, where a URL has none",
    heading: Heading::Backplane,
    kind: Kind::One,
    default: Default::Absent,
};

/// Authorities of Redis.
pub const REDIS_CA_FILE: Entry = Entry {
    flag: "redis-ca-file",
    variable: "HUBBUB_REDIS_CA_FILE",
    key: "redisCaFile",
    value: "FILE",
    help: "PEM file with certificate authorities that are believed in place of those of the machine when Redis is \
           reached over rediss",
    heading: Heading::Backplane,
    kind: Kind::One,
    default: Default::Absent,
};
