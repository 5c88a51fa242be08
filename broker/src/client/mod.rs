//! The clients' side: who is admitted, what their sockets bring and take, how they end. The only room that does
//! WebSocket I/O.

mod admission;
mod asking;
mod closing;
mod connection;
mod connections;
mod flush;
mod group_state;
mod handshake;
mod invoking;
mod keep_alive;
mod letters;
mod moving;
mod pacing;
mod raising;
mod records;
mod recovery;
mod socket;
mod streaming;

use std::time::Duration;

pub use connections::{Capacity, Connections, ConnectionsParts};
pub use handshake::Handshake;
pub use recovery::{Desk, Desks};
pub use socket::Socket;

use crate::hub::{OutboxLimits, QueueLimits, WindowLimits};

/// What clients are granted. Sizes are in bytes.
#[derive(Debug, Clone, Copy)]
pub struct ClientConfig {
    /// Most connections of the node; further ones are answered 429.
    pub max_connections: usize,
    /// Longest time from a socket's first byte until its first request is whole.
    pub handshake_timeout: Duration,
    /// How long a reliable connection that has lost its socket is kept. Counted in whole seconds.
    pub reconnect_window: Duration,
    /// Longest message, fragments added up.
    pub message_bytes: usize,
    /// Most messages that may wait for a socket.
    pub outbox_messages: usize,
    /// Most bytes that may wait for a socket.
    pub outbox_bytes: usize,
    /// Most messages that a reliable connection may leave unacknowledged.
    pub window_messages: usize,
    /// Most bytes that a reliable connection may leave unacknowledged.
    pub window_bytes: usize,
}

impl ClientConfig {
    /// What may wait for a connection.
    pub fn queue_limits(&self) -> QueueLimits {
        QueueLimits {
            outbox: OutboxLimits { messages: self.outbox_messages, bytes: self.outbox_bytes },
            window: WindowLimits { messages: self.window_messages, bytes: self.window_bytes },
        }
    }
}
