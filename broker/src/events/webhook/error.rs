//! Why a call to an event handler failed, in words for the log and in one word for metrics.

use std::sync::Arc;

use http::StatusCode;

/// Why an event handler's answer was not had. None of the texts holds a query, a token or a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It answered with another status than 2xx, at the last attempt if there was more than one.
    #[error(
        "the event handler answered {0}; it must answer 2xx, without a redirect, to accept an event: see its own log"
    )]
    Status(StatusCode),
    /// No connection, or one that was lost before the answer was whole. The text says what the system says.
    #[error("the event handler cannot be reached ({0}); check that it runs and that its URL is right")]
    Unreachable(Arc<str>),
    /// The time for a call was over.
    #[error("the event handler did not answer in time; make it answer sooner or raise --handler-timeout")]
    TimedOut,
    /// It has not agreed to get events, or could not be asked. The text says how it answered.
    #[error(
        "the event handler has not agreed to get events ({0}); let it answer OPTIONS with 2xx and the header \
         WebHook-Allowed-Origin"
    )]
    NotValidated(Arc<str>),
    /// Its address is one that events must not be sent to.
    #[error(
        "the event handler's address must not be called; use another, or allow its network with \
         --allow-handler-network"
    )]
    AddressRefused,
    /// Its answer is longer than an answer may be.
    #[error("the event handler's answer is too large; it may have up to {0} bytes")]
    AnswerTooLarge(usize),
    /// Too many calls to it are under way, and too many wait.
    #[error(
        "too many events wait for the event handler; make it faster, run more of it or raise --handler-concurrency"
    )]
    Overloaded,
    /// It failed many times in a row and is left alone for a moment.
    #[error(
        "the event handler failed too often in a row and is not called for a few seconds; check that it runs"
    )]
    CircuitOpen,
    /// The identity provider gave no token for it. The text says why.
    #[error(
        "there is no token for the event handler ({0}); check the --handler-token-* and --handler-client-* options"
    )]
    NoToken(Arc<str>),
    /// The request cannot be sent as HTTP. The text says which part of it.
    #[error("the request for the event handler is not one that HTTP can carry ({0})")]
    InvalidRequest(&'static str),
}

impl CallError {
    /// One word for metrics, one of [`CALL_FAILURES`](crate::telemetry::metrics::CALL_FAILURES).
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Unreachable(_) => "unreachable",
            Self::TimedOut => "timed_out",
            Self::NotValidated(_) => "not_validated",
            Self::AddressRefused => "address_refused",
            Self::AnswerTooLarge(_) => "answer_too_large",
            Self::Overloaded => "overloaded",
            Self::CircuitOpen => "circuit_open",
            Self::NoToken(_) => "no_token",
            Self::InvalidRequest(_) => "invalid_request",
        }
    }
}

/// Why nobody can be called at all.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The authorities that certificates are checked against are unusable.
    #[error("TLS towards event handlers cannot be set up: {0}")]
    Tls(#[source] tokio_rustls::rustls::Error),
    /// The client cannot be made.
    #[error("the HTTP client for event handlers cannot be set up: {0}")]
    Client(#[source] reqwest::Error),
}
