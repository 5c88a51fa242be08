//! Why a connection ends: the table of close codes and reasons that a client sees.
//!
//! One of the three tables that translate errors at the edge. Source: `client-protocols.md` 4.1; the categories are
//! those of `limits.md` 7.

/// Why the broker ends a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// The client sent a close frame.
    ClientClosed {
        /// Its code, if it had one.
        code: Option<u16>,
        /// Its reason, often empty.
        reason: String,
    },
    /// The socket broke, or the client left without a close frame.
    ConnectionLost,
    /// The application closed it over REST, for a reason of its own.
    ClosedByApplication(Option<String>),
    /// A message over 1 MiB.
    MessageTooLarge,
    /// A frame that RFC 6455 forbids.
    InvalidFrame,
    /// Text, or the reason of a close frame, that is not UTF-8.
    InvalidText,
    /// A binary message on a JSON connection.
    TextRequired,
    /// A text message on a protobuf connection.
    BinaryRequired,
    /// A message that the JSON protocol does not know.
    InvalidJsonMessage,
    /// A message that the protobuf protocol does not know.
    InvalidProtobufMessage,
    /// A simple client published without permission.
    RawSendForbidden,
    /// A simple client's message has no event handler.
    EventHandlerNotFound,
    /// The event handler of a simple client's message failed.
    EventHandlerFailed,
    /// The broker could not take a simple client's message to the other nodes.
    ServiceFault,
    /// The client does not read what is sent to it.
    SlowClient,
    /// The client does not answer pings.
    PingTimeout,
    /// A reliable client does not acknowledge what is sent to it.
    WindowFull,
    /// Its client has come back to another node, which has a reliable connection from now on.
    MovedAway,
    /// Messages to a reliable connection were lost between two nodes.
    MessagesLost,
    /// Nobody took a reliable connection up again in time.
    RecoveryExpired,
    /// The node is being stopped.
    NodeStopping,
    /// The connection could not be made visible.
    NotActivated,
    /// The client wants to take up a connection that there is not.
    NotRecovered,
}

/// How a socket ends on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    /// A close frame with this code and reason, after what is queued.
    Close(u16, &'static str),
    /// The client's own close frame is answered in kind.
    Echo(Option<u16>, &'a str),
    /// No close frame: the socket is dropped.
    Abort,
}

impl CloseReason {
    /// How the socket ends.
    pub fn ending(&self) -> Ending<'_> {
        match self {
            Self::ClientClosed { code, reason } => Ending::Echo(*code, reason),
            Self::ConnectionLost
            | Self::SlowClient
            | Self::WindowFull
            | Self::MessagesLost
            | Self::MovedAway
            | Self::RecoveryExpired
            | Self::PingTimeout => Ending::Abort,
            Self::ClosedByApplication(_) => Ending::Close(1000, ""),
            Self::NodeStopping => Ending::Close(1001, ""),
            Self::InvalidFrame => Ending::Close(1002, "The client frame is invalid."),
            Self::TextRequired => Ending::Close(1003, "The JSON subprotocol requires text messages."),
            Self::BinaryRequired => {
                Ending::Close(1003, "The protobuf.webpubsub.azure.v1 subprotocol requires binary messages.")
            }
            Self::InvalidText => Ending::Close(1007, "The client message is not valid UTF-8."),
            Self::InvalidJsonMessage => {
                Ending::Close(1007, "The client message is not a valid JSON protocol message.")
            }
            Self::InvalidProtobufMessage => Ending::Close(
                1007,
                "The client message is not a valid protobuf.webpubsub.azure.v1 protocol message.",
            ),
            Self::RawSendForbidden => {
                Ending::Close(1008, "The connection is not authorized for raw sendToGroup mode.")
            }
            Self::NotActivated => Ending::Close(1008, "The connection could not be activated."),
            Self::NotRecovered => Ending::Close(1008, "The connection could not be recovered."),
            Self::MessageTooLarge => Ending::Close(1009, "The client message is too large."),
            Self::EventHandlerNotFound | Self::EventHandlerFailed | Self::ServiceFault => {
                Ending::Close(1011, "Internal server error")
            }
        }
    }

    /// Whether it is only the socket that ends, if the connection is reliable.
    pub fn is_recoverable(&self) -> bool {
        match self {
            Self::ClientClosed { code, .. } => *code != Some(1000),
            Self::ConnectionLost | Self::PingTimeout => true,
            _ => false,
        }
    }

    /// What a client whose protocol has system messages is told before the socket ends.
    pub fn farewell(&self) -> Option<String> {
        let Self::ClosedByApplication(reason) = self else {
            return None;
        };
        let mut text = String::from("Application server closed the connection.");
        if let Some(reason) = reason {
            text.push_str(" Reason: ");
            text.push_str(reason);
        }
        Some(text)
    }

    /// What the application is told of the end.
    pub fn told(&self) -> String {
        match self {
            Self::ClientClosed { code: Some(1000), reason } => reason.clone(),
            Self::ClosedByApplication(_) => self.farewell().unwrap_or_default(),
            Self::SlowClient => "The outbound message queue is full.".to_owned(),
            Self::WindowFull => "The reliable message buffer is full.".to_owned(),
            Self::MessagesLost => "Messages to the connection were lost.".to_owned(),
            Self::RecoveryExpired => "The connection recovery timeout expired.".to_owned(),
            Self::ClientClosed { .. } | Self::ConnectionLost | Self::PingTimeout | Self::NodeStopping => {
                "The connection ended.".to_owned()
            }
            other => match other.ending() {
                Ending::Close(_, text) => text.to_owned(),
                Ending::Echo(..) | Ending::Abort => String::new(),
            },
        }
    }

    /// Category for metrics and logs, from a closed set.
    pub fn category(&self) -> &'static str {
        match self {
            Self::ClientClosed { .. } | Self::ConnectionLost | Self::RecoveryExpired => "Normal",
            Self::ClosedByApplication(_) => "ClosedByAppServer",
            Self::MessageTooLarge
            | Self::InvalidFrame
            | Self::InvalidText
            | Self::TextRequired
            | Self::BinaryRequired
            | Self::InvalidJsonMessage
            | Self::InvalidProtobufMessage
            | Self::NotRecovered => "BadRequest",
            Self::RawSendForbidden => "Unauthorized",
            Self::EventHandlerNotFound => "EventHandlerNotFound",
            Self::EventHandlerFailed => "SendEventFailed",
            Self::ServiceFault | Self::NotActivated | Self::MessagesLost => "ServiceTransientError",
            Self::SlowClient | Self::WindowFull => "SlowClient",
            Self::PingTimeout => "PingTimeout",
            Self::MovedAway => "Moved",
            Self::NodeStopping => "ServiceReload",
        }
    }
}
