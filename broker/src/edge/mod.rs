//! Sockets in, and the way from a URL to the room that answers it. No message is seen here.

pub mod listener;
pub mod operations;
pub mod routes;
pub mod tls;
