//! The closed sets that labels are taken from. Adding a word here adds time series on every node.

/// Application protocol of a connection, as metrics tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// No subprotocol.
    Simple,
    /// `json.webpubsub.azure.v1`
    Json,
    /// `protobuf.webpubsub.azure.v1`
    Protobuf,
    /// `json.reliable.webpubsub.azure.v1`
    JsonReliable,
    /// `protobuf.reliable.webpubsub.azure.v1`
    ProtobufReliable,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 5] =
        [Self::Simple, Self::Json, Self::Protobuf, Self::JsonReliable, Self::ProtobufReliable];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    pub(super) fn index(self) -> usize {
        self as usize
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Json => "json",
            Self::Protobuf => "protobuf",
            Self::JsonReliable => "json_reliable",
            Self::ProtobufReliable => "protobuf_reliable",
        }
    }
}

/// What came of a client's wish to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectOutcome {
    /// It is connected.
    Accepted,
    /// It has taken its connection up again.
    Recovered,
    /// Its connection has come from the node that had it; it is taken up again next.
    Moved,
    /// There is no connection that it could take up again.
    NotRecovered,
    /// Its request is not one for a WebSocket, or names something impossible: 400.
    BadRequest,
    /// Its token was refused, or it has none and needs one: 401.
    Unauthorized,
    /// The node has as many connections as it may have: 429.
    TooManyConnections,
    /// It did not finish its request in time.
    HandshakeTimeout,
    /// Its application refuses it, with a status of its own.
    Rejected,
    /// Its application could not be asked: 500.
    EventHandlerFailed,
    /// The node is being stopped: 503.
    NodeStopping,
    /// The broker is at fault: 500 or 503.
    ServiceFault,
}

impl ConnectOutcome {
    pub(super) const ALL: [Self; 12] = [
        Self::Accepted,
        Self::Recovered,
        Self::Moved,
        Self::NotRecovered,
        Self::BadRequest,
        Self::Unauthorized,
        Self::TooManyConnections,
        Self::HandshakeTimeout,
        Self::Rejected,
        Self::EventHandlerFailed,
        Self::NodeStopping,
        Self::ServiceFault,
    ];

    pub(super) fn result(self) -> &'static str {
        match self {
            Self::Accepted | Self::Recovered | Self::Moved => "accepted",
            _ => "refused",
        }
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Accepted => "none",
            Self::Recovered => "recovered",
            Self::Moved => "moved",
            Self::NotRecovered => "not_recovered",
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::TooManyConnections => "too_many_connections",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Rejected => "rejected",
            Self::EventHandlerFailed => "event_handler_failed",
            Self::NodeStopping => "node_stopping",
            Self::ServiceFault => "service_fault",
        }
    }
}

/// What came of reading the settings again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// They are in force.
    Applied,
    /// They have faults, and the last good ones stay in force.
    Refused,
}

impl Reload {
    pub(super) const ALL: [Self; 2] = [Self::Applied, Self::Refused];

    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }
}

/// Who ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiator {
    /// The client, or the network between.
    Client,
    /// The application, over REST.
    Application,
    /// The broker.
    Broker,
}

impl Initiator {
    pub(super) const ALL: [Self; 3] = [Self::Client, Self::Application, Self::Broker];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Application => "application",
            Self::Broker => "broker",
        }
    }
}

/// Categories of closed connections, in the service's spelling. `Moved` is ours: the connection goes on at another node.
pub const CLOSE_CATEGORIES: [&str; 12] = [
    "Normal",
    "Throttled",
    "SendEventFailed",
    "EventHandlerNotFound",
    "SlowClient",
    "ServiceTransientError",
    "BadRequest",
    "ServiceReload",
    "Unauthorized",
    "ClosedByAppServer",
    "PingTimeout",
    "Moved",
];

/// Why a token was refused.
pub const AUTH_FAILURES: [&str; 11] = [
    "missing",
    "too_long",
    "malformed",
    "algorithm",
    "signature",
    "no_expiry",
    "expired",
    "not_yet_valid",
    "audience",
    "identity_provider",
    "group",
];

/// Why a call to an event handler failed; `abandoned` when nobody waited for its end.
pub const CALL_FAILURES: [&str; 11] = [
    "status",
    "unreachable",
    "timed_out",
    "not_validated",
    "address_refused",
    "answer_too_large",
    "overloaded",
    "circuit_open",
    "no_token",
    "invalid_request",
    "abandoned",
];
