//! One caller: its socket, how far its handshake and its events have come. `callers` owns it and tells it of readiness.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use codec::websocket::Opcode;
use mio::net::TcpStream;

use super::ClientError;
use super::calls::{Calls, Course, Step};
use super::frame::{Header, masked};
use super::handshake;
use super::member::{closed, open_socket};
use super::phase::Schedule;
use super::wording::Wording;
use crate::arguments::Protocol;

/// Bytes that may wait for a socket. A caller whose server does not read raises no more events.
const MOST_WAITING: usize = 64 * 1024;

/// A connection that raises user events.
pub(super) struct Caller {
    pub(super) stream: TcpStream,
    pub(super) stage: Stage,
    /// Which of all callers this is.
    number: u32,
    course: Course,
    /// Number of its first event in this stretch.
    first: u32,
    /// When the last event left.
    sent_at: Instant,
    /// Bytes of a frame that is not whole yet.
    tail: Vec<u8>,
    /// Bytes that the socket has not taken.
    waiting: Vec<u8>,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The socket is not connected yet.
    Connecting,
    /// The upgrade was asked for.
    Upgrading,
    /// The WebSocket is open; `connected` has not come.
    Greeting,
    /// It may raise events.
    Ready,
}

/// What all callers share.
pub(super) struct Shared {
    pub(super) protocol: Protocol,
    pub(super) wording: Wording,
    pub(super) calls: Calls,
    /// Present when events are due at a fixed rate.
    pub(super) schedule: Option<Schedule>,
    pub(super) buffer: Vec<u8>,
}

/// Events of a caller that came to their end in one read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended(pub(super) u32);

impl Caller {
    /// Starts to connect.
    ///
    /// # Errors
    /// [`ClientError::Socket`] when there is no socket.
    pub(super) fn connect(address: SocketAddr, number: u32) -> Result<Self, ClientError> {
        Ok(Self {
            stream: open_socket(address, None)?,
            stage: Stage::Connecting,
            number,
            course: Course::default(),
            first: 0,
            sent_at: Instant::now(),
            tail: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// The socket is connected: asks for the upgrade.
    ///
    /// # Errors
    /// [`ClientError::Socket`] when it is not connected after all.
    pub(super) fn upgrade(&mut self, request: &[u8]) -> Result<(), ClientError> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error.into());
        }
        self.stream.write_all(request)?;
        self.stage = Stage::Upgrading;
        Ok(())
    }

    /// A stretch begins: its first event is the next one.
    pub(super) fn begin(&mut self) {
        self.first = self.course.next;
    }

    /// Raises its next event, unless too many of them wait for the socket.
    ///
    /// # Errors
    /// [`ClientError::Socket`] when the connection has ended.
    pub(super) fn raise(&mut self, shared: &mut Shared) -> Result<(), ClientError> {
        if self.waiting.len() > MOST_WAITING {
            return Ok(());
        }
        shared.wording.append_event(self.course.next, &mut self.waiting);
        self.course.next += 1;
        shared.calls.sent += 1;
        self.sent_at = Instant::now();
        self.flush()
    }

    /// Sends what waits, as far as the socket takes it.
    ///
    /// # Errors
    /// [`ClientError::Socket`] when the connection has ended.
    pub(super) fn flush(&mut self) -> Result<(), ClientError> {
        while !self.waiting.is_empty() {
            match self.stream.write(&self.waiting) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads all that the socket has.
    ///
    /// # Errors
    /// Any [`ClientError`] ends the connection.
    pub(super) fn read(&mut self, shared: &mut Shared) -> Result<Ended, ClientError> {
        let mut ended = Ended::default();
        // The buffer is lent to the loop below, which needs what is shared too.
        let mut buffer = std::mem::take(&mut shared.buffer);
        let outcome = self.read_into(&mut buffer, shared, &mut ended);
        shared.buffer = buffer;
        outcome.map(|()| ended)
    }

    fn read_into(
        &mut self,
        buffer: &mut [u8],
        shared: &mut Shared,
        ended: &mut Ended,
    ) -> Result<(), ClientError> {
        loop {
            let kept = self.tail.len();
            buffer[..kept].copy_from_slice(&self.tail);
            let room = buffer.len() - kept;
            let read = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Err(ClientError::Ended),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let available = kept + read;
            let used = self.take(&buffer[..available], shared, ended)?;
            if used == 0 && available == buffer.len() {
                return Err(ClientError::Unexpected {
                    expected: "a frame of ordinary size",
                    got: "an overlong or masked one".to_owned(),
                });
            }
            self.tail.clear();
            self.tail.extend_from_slice(&buffer[used..available]);
            // A read that leaves room has emptied the socket; the next bytes raise a new event.
            if read < room {
                return Ok(());
            }
        }
    }

    /// Takes what is whole from the front and returns its length.
    fn take(&mut self, bytes: &[u8], shared: &mut Shared, ended: &mut Ended) -> Result<usize, ClientError> {
        let mut used = 0;
        if self.stage == Stage::Upgrading {
            let Some(len) = handshake::check_upgrade(bytes, shared.protocol.subprotocol())? else {
                return Ok(0);
            };
            // Nobody greets a simple client.
            self.stage = if shared.protocol == Protocol::Raw { Stage::Ready } else { Stage::Greeting };
            used = len;
        }
        let now = Instant::now();
        while let Some(header) = Header::parse(&bytes[used..]) {
            let start = used + header.len;
            let end = start.saturating_add(header.content_len);
            let Some(content) = bytes.get(start..end) else {
                break;
            };
            self.take_frame(header.first, content, shared).map(|step| self.note(step, now, shared, ended))?;
            used = end;
        }
        Ok(used)
    }

    fn take_frame(&mut self, first: u8, content: &[u8], shared: &mut Shared) -> Result<Step, ClientError> {
        const TEXT: u8 = Header::whole(Opcode::Text);
        const PING: u8 = Header::whole(Opcode::Ping);
        const PONG: u8 = Header::whole(Opcode::Pong);
        const CLOSE: u8 = Header::whole(Opcode::Close);
        match (first, self.stage) {
            (TEXT, Stage::Ready) => {
                let heard = shared.wording.hear(content);
                return Ok(self.course.take(shared.protocol, heard, &mut shared.calls));
            }
            (TEXT, Stage::Greeting) => {
                handshake::check_connected(content)?;
                self.stage = Stage::Ready;
            }
            (CLOSE, _) => return Err(closed(content)),
            (PING, _) => {
                self.waiting.extend_from_slice(&masked(Opcode::Pong, content).0);
                self.flush()?;
            }
            (PONG, _) => {}
            _ => shared.calls.foreign += 1,
        }
        Ok(Step::Nothing)
    }

    /// Notes how long a reply took, and which events are over.
    fn note(&self, step: Step, now: Instant, shared: &mut Shared, ended: &mut Ended) {
        match step {
            Step::Replied(number) => shared.calls.latencies.push(self.latency(number, now, shared)),
            Step::RepliedAndDone(number) => {
                shared.calls.latencies.push(self.latency(number, now, shared));
                ended.0 += 1;
            }
            Step::Done => ended.0 += 1,
            Step::Nothing => {}
        }
    }

    /// Microseconds since the event was due; with one event on its way at a time, since it left.
    fn latency(&self, number: u32, now: Instant, shared: &Shared) -> u32 {
        match &shared.schedule {
            Some(schedule) => schedule.latency(self.number, number.saturating_sub(self.first), now),
            None => {
                let latency = now.saturating_duration_since(self.sent_at);
                u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)
            }
        }
    }
}
