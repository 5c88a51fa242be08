//! One connection of the limit server: handshake, what it asks, and how many deliveries wait for it.

use std::io::{Error, ErrorKind, Read, Write};

use codec::subprotocol::Subprotocol;
use codec::websocket::{Decoder, Frame, Item, Opcode};
use mio::net::TcpStream;

use super::Prebuilt;
use crate::client::{ACCEPTED_KEY, Wish, group_of};

/// Longest message that is read.
const MAX_MESSAGE: usize = 1 << 20;
const CONNECTED: &[u8] = br#"{"type":"system","event":"connected","userId":null,"connectionId":"limit"}"#;
const ACK: &[u8] = br#"{"type":"ack","ackId":1,"success":true}"#;

/// A connection. As small as it can be, since its size is part of the limit.
pub(super) struct LimitSocket {
    stream: TcpStream,
    phase: Phase,
    /// Deliveries that are not wholly sent.
    waiting: u32,
    /// Bytes of the first of them that are sent.
    sent: u32,
}

/// How far the connection has come.
enum Phase {
    /// Bytes of the request so far.
    Request(Vec<u8>),
    Open(Decoder),
    Member(u32, Decoder),
}

/// What a client wants.
pub(super) enum Asked {
    Join(u32),
    Deliver(u32),
    Nothing,
    Close,
}

impl LimitSocket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, phase: Phase::Request(Vec::new()), waiting: 0, sent: 0 }
    }

    /// The group that it is a member of.
    pub(super) fn group(&self) -> Option<u32> {
        match self.phase {
            Phase::Member(group, _) => Some(group),
            _ => None,
        }
    }

    /// Reads once; 0 bytes mean that there are none now.
    ///
    /// # Errors
    /// Any error, and the end of the stream.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        match self.stream.read(buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            outcome => outcome,
        }
    }

    /// Takes the next wish off the front of `bytes`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// Any error ends the connection.
    pub(super) fn next(&mut self, bytes: &mut &mut [u8]) -> Result<Option<Asked>, Error> {
        let decoder = match &mut self.phase {
            Phase::Request(request) => {
                request.extend_from_slice(bytes);
                *bytes = &mut [];
                if !request.ends_with(b"\r\n\r\n") {
                    return Ok(None);
                }
                self.phase = Phase::Open(Decoder::default());
                self.greet()?;
                return Ok(None);
            }
            Phase::Open(decoder) | Phase::Member(_, decoder) => decoder,
        };
        let item = decoder.next(bytes, MAX_MESSAGE).map_err(|_| Error::from(ErrorKind::InvalidData))?;
        Ok(match item {
            None => None,
            Some(Item::Close(..)) => {
                // The client may be gone already.
                let _ = self.stream.write_all(Frame::close(Some(1000), "").bytes());
                Some(Asked::Close)
            }
            Some(Item::Text(text)) => match group_of(&text) {
                Some((Wish::Join, group)) => Some(Asked::Join(group)),
                Some((Wish::Send, group)) => Some(Asked::Deliver(group)),
                None => return Err(ErrorKind::InvalidData.into()),
            },
            Some(_) => Some(Asked::Nothing),
        })
    }

    fn greet(&mut self) -> Result<(), Error> {
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {ACCEPTED_KEY}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
            Subprotocol::Json.name()
        )
        .into_bytes();
        answer.extend_from_slice(Frame::new(Opcode::Text, CONNECTED).bytes());
        self.stream.write_all(&answer)
    }

    /// Makes it a member and says so.
    ///
    /// # Errors
    /// Any error ends the connection.
    pub(super) fn join(&mut self, group: u32) -> Result<(), Error> {
        self.phase = Phase::Member(group, Decoder::default());
        self.stream.write_all(Frame::new(Opcode::Text, ACK).bytes())
    }

    /// Adds a delivery; whether others wait already.
    pub(super) fn add_delivery(&mut self) -> bool {
        self.waiting += 1;
        self.waiting > 1
    }

    /// Sends what waits until nothing does or the socket is full.
    ///
    /// # Errors
    /// Any error but that of a full socket.
    pub(super) fn flush(&mut self, prebuilt: &Prebuilt) -> Result<(), Error> {
        let frame_len = prebuilt.frame_len;
        while self.waiting > 0 {
            let from = self.sent as usize;
            let to = (self.waiting as usize).min(prebuilt.burst) * frame_len;
            match self.stream.write(&prebuilt.bytes[from..to]) {
                Ok(written) => {
                    let sent = from + written;
                    self.waiting -= (sent / frame_len) as u32;
                    self.sent = (sent % frame_len) as u32;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
