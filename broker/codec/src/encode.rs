//! From a message to the frame of each encoding: the one place where the encodings meet.

use crate::message::{Downstream, FrameKind};
use crate::subprotocol::Encoding;
use crate::websocket::{Frame, Opcode};
use crate::{json, protobuf, simple};

/// Encodes a message as the bytes that a socket of this encoding needs; `None` when the encoding has no form for it,
/// as simple clients know payloads only.
pub fn encode(encoding: Encoding, message: &Downstream) -> Option<Frame> {
    match encoding {
        Encoding::Json => Some(Frame::build(Opcode::Text, |out| json::encode(message, out))),
        Encoding::Protobuf => Some(Frame::build(Opcode::Binary, |out| protobuf::encode(message, out))),
        Encoding::Simple => {
            let (kind, content) = simple::encode(message)?;
            let opcode = match kind {
                FrameKind::Text => Opcode::Text,
                FrameKind::Binary => Opcode::Binary,
            };
            Some(Frame::new(opcode, content))
        }
    }
}
