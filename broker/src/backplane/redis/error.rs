//! Why a node's links cannot be made. Sentences for an operator: each says what to change, none shows a password.

use super::Address;

/// What durable hubs need beside what every node needs, as rules of Redis: all that the scripts of the backplane's store
/// call.
const KEEPING: &str = "+eval +time +exists +pexpire +del +xadd +xtrim +xrange +xinfo|stream +zadd +zscore \
                       +zremrangebyscore +hset +hget +hgetall +hdel";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// A text of the configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// Nobody answers there.
    #[error(
        "Redis at {address} cannot be reached: {reason}; check the host and the port, and that Redis runs"
    )]
    Unreachable {
        /// Where.
        address: Address,
        /// What the system says.
        reason: String,
    },
    /// It wants other credentials.
    #[error(
        "Redis at {0} refuses the user name or the password; change them to those of a user of that Redis"
    )]
    Credentials(Address),
    /// The user lacks a permission.
    #[error(
        "Redis at {address} does not allow {command} to its user; allow the commands spublish, ssubscribe, \
         sunsubscribe, ping, role and cluster|slots, and the channels that begin with the prefix"
    )]
    Permission {
        /// Where.
        address: Address,
        /// What is not allowed.
        command: &'static str,
    },
    /// The user lacks a permission that only durable hubs need.
    #[error(
        "Redis at {address} does not allow {command} to its user, or not on the keys that begin with the prefix, and \
         durable hubs need it; allow what stands here to the user, with your prefix in place of hubbub if it is \
         another: {KEEPING} ~hubbub:*"
    )]
    Keeping {
        /// Where.
        address: Address,
        /// What is not allowed.
        command: &'static str,
    },
    /// No secured connection comes about.
    #[error(
        "Redis at {address} and this node agree on no secured connection: {reason}; check that the port speaks \
         TLS, that its certificate names the host, and that the CA file is that of its issuer"
    )]
    Tls {
        /// Where.
        address: Address,
        /// What is at fault.
        reason: String,
    },
    /// Older than sharded channels.
    #[error("Redis at {0} is too old; sharded channels need version 7 or newer")]
    TooOld(Address),
    /// A replica where a primary is needed.
    #[error("Redis at {0} is a replica; give the address of its primary, or that of Sentinel")]
    Replica(Address),
    /// Sentinel knows no such service.
    #[error(
        "Sentinel at {address} knows no service {service:?}; change the name behind the slash of the URL"
    )]
    Service {
        /// Which Sentinel.
        address: Address,
        /// What it was asked for.
        service: String,
    },
    /// Slots that nobody serves.
    #[error(
        "the Redis Cluster at {0} does not serve all of its slots; repair it, or wait until it has formed"
    )]
    Incomplete(Address),
    /// An answer that makes no sense here.
    #[error("Redis at {address} answers {command} in a way that is not known here: {reason}")]
    Unknown {
        /// Where.
        address: Address,
        /// What was asked.
        command: &'static str,
        /// What is odd about the answer.
        reason: String,
    },
    /// The links did not come up in time.
    #[error("not every Redis server was ready for publishing and hearing in time")]
    Patience,
    /// The system gave no thread.
    #[error("no thread for the links to Redis: {0}")]
    Thread(String),
}

impl LinkError {
    /// Whether waiting may mend it, without anybody changing the configuration.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Incomplete(_) | Self::Unknown { .. } | Self::Replica(_) => true,
            Self::Config(_)
            | Self::Credentials(_)
            | Self::Permission { .. }
            | Self::Keeping { .. }
            | Self::Tls { .. }
            | Self::TooOld(_)
            | Self::Service { .. }
            | Self::Patience
            | Self::Thread(_) => false,
        }
    }
}
