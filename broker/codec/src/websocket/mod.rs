//! The frames of RFC 6455 on the server's side: bytes of a client become messages, messages become frames.
//!
//! The decoder works in place on a buffer that the caller lends and keeps bytes only of what is incomplete, so that an
//! idle connection holds none. Extensions are not negotiated, hence reserved bits are errors. Sockets live elsewhere.

mod ahead;
mod decode;
mod frame;

pub use ahead::PingFinder;
pub use decode::{Decoder, FrameError, Item};
pub use frame::{Frame, MAX_CLOSE_REASON, Opcode};
pub(crate) use frame::{header_len, write_header};
