//! How the application's event handlers are called.

use super::{Default, Entry, Heading, Kind};

/// Time for a call.
pub const HANDLER_TIMEOUT: Entry = Entry {
    flag: "handler-timeout",
    variable: "HUBBUB_HANDLER_TIMEOUT",
    key: "handlerTimeout",
    value: "DURATION",
    help: "Longest time for an event at an event handler, with its repeated attempts; a client who waits \
           for the answer waits that long",
    heading: Heading::Handlers,
    kind: Kind::One,
    default: Default::Text("100s"),
};

/// Calls at a time.
pub const HANDLER_CONCURRENCY: Entry = Entry {
    flag: "handler-concurrency",
    variable: "HUBBUB_HANDLER_CONCURRENCY",
    key: "handlerConcurrency",
    value: "N",
    help: "Most calls at a time to one event handler of one hub; others wait, and fail when too many do",
    heading: Heading::Handlers,
    kind: Kind::One,
    default: Default::Text("1000"),
};

/// Authorities of handlers.
pub const HANDLER_CA_FILE: Entry = Entry {
    flag: "handler-ca-file",
    variable: "HUBBUB_HANDLER_CA_FILE",
    key: "handlerCaFile",
    value: "FILE",
    help: "PEM file with certificate authorities that are believed beside those of the machine when event \
           handlers are called over https",
    heading: Heading::Handlers,
    kind: Kind::One,
    default: Default::Absent,
};

/// Proxy towards handlers.
pub const HANDLER_PROXY: Entry = Entry {
    flag: "handler-proxy",
    variable: "HUBBUB_HANDLER_PROXY",
    key: "handlerProxy",
    value: "URL|off",
    help: "Proxy for calls to event handlers, such as http://proxy.example.com:3128, or off. Without it \
           HTTPS_PROXY, HTTP_PROXY and NO_PROXY hold. It may have a user and a password, so it is never \
           shown",
    heading: Heading::Handlers,
    kind: Kind::Secret,
    default: Default::Absent,
};

/// Who is reached without it.
pub const HANDLER_NO_PROXY: Entry = Entry {
    flag: "handler-no-proxy",
    variable: "HUBBUB_HANDLER_NO_PROXY",
    key: "handlerNoProxies",
    value: "HOST",
    help: "Host, domain or network that is reached without --handler-proxy, such as .example.com or \
           10.0.0.0/8. May be repeated",
    heading: Heading::Handlers,
    kind: Kind::Many,
    default: Default::Absent,
};

/// Private handlers.
pub const REFUSE_PRIVATE_HANDLERS: Entry = Entry {
    flag: "refuse-private-handlers",
    variable: "HUBBUB_REFUSE_PRIVATE_HANDLERS",
    key: "refusePrivateHandlers",
    value: "true|false",
    help: "Do not call event handlers on this machine or in private networks, for nodes whose hub settings \
           are written by others. Addresses of cloud metadata and the like are never called",
    heading: Heading::Handlers,
    kind: Kind::Switch,
    default: Default::Text("false"),
};

/// Networks that are called nevertheless.
pub const ALLOW_HANDLER_NETWORK: Entry = Entry {
    flag: "allow-handler-network",
    variable: "HUBBUB_ALLOW_HANDLER_NETWORK",
    key: "allowHandlerNetworks",
    value: "CIDR",
    help: "Network or address that event handlers may be in although it is private or refused otherwise, \
           such as 10.20.0.0/16. May be repeated",
    heading: Heading::Handlers,
    kind: Kind::Many,
    default: Default::Absent,
};

/// Handlers that speak HTTP/2 only.
pub const HANDLER_H2C: Entry = Entry {
    flag: "handler-h2c",
    variable: "HUBBUB_HANDLER_H2C",
    key: "handlerH2cs",
    value: "ORIGIN",
    help: "Origin of event handlers that speak HTTP/2 without TLS, such as http://127.0.0.1:7070. May be \
           repeated",
    heading: Heading::Handlers,
    kind: Kind::Many,
    default: Default::Absent,
};

/// Token endpoint.
pub const HANDLER_TOKEN_URL: Entry = Entry {
    flag: "handler-token-url",
    variable: "HUBBUB_HANDLER_TOKEN_URL",
    key: "handlerTokenUrl",
    value: "URL",
    help: "OAuth 2.0 token endpoint of the identity provider that gives tokens for event handlers whose \
           auth is ManagedIdentity",
    heading: Heading::Handlers,
    kind: Kind::One,
    default: Default::Absent,
};

/// Client at the token endpoint.
pub const HANDLER_CLIENT_ID: Entry = Entry {
    flag: "handler-client-id",
    variable: "HUBBUB_HANDLER_CLIENT_ID",
    key: "handlerClientId",
    value: "ID",
    help: "Client that the node is at --handler-token-url",
    heading: Heading::Handlers,
    kind: Kind::One,
    default: Default::Absent,
};

/// Its secret.
pub const HANDLER_CLIENT_SECRET: Entry = Entry {
    flag: "handler-client-secret",
    variable: "HUBBUB_HANDLER_CLIENT_SECRET",
    key: "handlerClientSecret",
    value: "SECRET",
    help: "Secret of --handler-client-id. A command line can be read by other programs of this machine: \
           prefer the variable or the file",
    heading: Heading::Handlers,
    kind: Kind::Secret,
    default: Default::Absent,
};

/// How it is shown.
pub const HANDLER_CLIENT_AUTH: Entry = Entry {
    flag: "handler-client-auth",
    variable: "HUBBUB_HANDLER_CLIENT_AUTH",
    key: "handlerClientAuth",
    value: "basic|body",
    help: "How id and secret are shown to --handler-token-url: by HTTP Basic, or in the body of the \
           request",
    heading: Heading::Handlers,
    kind: Kind::One,
    default: Default::Text("basic"),
};

/// Scope of tokens.
pub const HANDLER_TOKEN_SCOPE: Entry = Entry {
    flag: "handler-token-scope",
    variable: "HUBBUB_HANDLER_TOKEN_SCOPE",
    key: "handlerTokenScope",
    value: "SCOPE",
    help: "Scope of the tokens that are asked for; {resource} stands for the handler's resource without a \
           slash at its end",
    heading: Heading::Handlers,
    kind: Kind::One,
    default: Default::Text("{resource}/.default"),
};

/// Resource of handlers that name none.
pub const HANDLER_DEFAULT_RESOURCE: Entry = Entry {
    flag: "handler-default-resource",
    variable: "HUBBUB_HANDLER_DEFAULT_RESOURCE",
    key: "handlerDefaultResource",
    value: "URI",
    help: "Resource of event handlers whose auth is ManagedIdentity without a resource",
    heading: Heading::Handlers,
    kind: Kind::One,
    default: Default::Absent,
};
