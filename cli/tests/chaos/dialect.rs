//! The subprotocols of clients: what they say and hear here, and the form in which it passes. Reliable clients speak JSON
//! or protobuf, half of them each, so that one run shows that both get the same.

mod json;
mod protobuf;

use tokio_tungstenite::tungstenite::Message;

use crate::record::Kind;
use crate::socket::Heard;
use crate::support::{JSON, JSON_RELIABLE, PROTOBUF, PROTOBUF_RELIABLE};

/// The form of a client's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Json,
    Protobuf,
}

/// What clients say.
#[derive(Debug)]
pub(crate) enum Said {
    Join {
        group: String,
        ack: u64,
    },
    Send {
        group: String,
        ack: u64,
        text: String,
    },
    /// All up to this number has come.
    SequenceAck(u64),
    Ping,
}

impl Dialect {
    /// What a client speaks. `id` tells it from all others; nothing is drawn, so that all else of a seed is as it was when
    /// all spoke JSON.
    pub(crate) fn of(kind: Kind, id: u64) -> Self {
        match kind {
            Kind::Reliable if id % 2 == 1 => Self::Protobuf,
            Kind::Reliable | Kind::Plain => Self::Json,
        }
    }

    /// What a client of this kind offers.
    pub(crate) fn subprotocol(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Json, Kind::Plain) => JSON,
            (Self::Json, Kind::Reliable) => JSON_RELIABLE,
            (Self::Protobuf, Kind::Plain) => PROTOBUF,
            (Self::Protobuf, Kind::Reliable) => PROTOBUF_RELIABLE,
        }
    }

    pub(crate) fn write(self, said: Said) -> Message {
        match self {
            Self::Json => Message::text(json::write(&said)),
            Self::Protobuf => Message::binary(protobuf::write(said)),
        }
    }

    /// # Panics
    /// When it is nothing that this subprotocol has.
    pub(crate) fn read(self, message: &Message) -> Heard {
        match (self, message) {
            (Self::Json, Message::Text(text)) => json::read(text),
            (Self::Protobuf, Message::Binary(bytes)) => protobuf::read(bytes),
            (_, Message::Text(_) | Message::Binary(_)) => panic!("not in {self:?}: {message:?}"),
            (_, Message::Close(frame)) => {
                Heard::Closed(frame.as_ref().map_or(1005, |frame| frame.code.into()))
            }
            (_, Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Heard::Other,
        }
    }
}
