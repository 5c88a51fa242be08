//! One member: its socket, how far it has come, and what it does with the bytes that it is given.
//!
//! Its reading thread owns it, tells it of readiness and lends it the buffer.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use codec::subprotocol::Subprotocol;
use codec::websocket::Opcode;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::ClientError;
use super::acknowledging::Sequence;
use super::frame::{Header, masked};
use super::handshake;
use super::phase::Phase;
use super::speech::Speech;
use super::tally::{Delivery, Layout, Tally};

/// A connection on its way to membership, or a member.
pub(super) struct Member {
    pub(super) stream: TcpStream,
    pub(super) stage: Stage,
    group: u32,
    speech: Speech,
    /// Number of the message that comes next.
    expected: u32,
    /// What has come and what was acknowledged, if the member is reliable.
    sequence: Option<Sequence>,
    /// A group of its own, to which it publishes so many messages before it joins that of the others.
    before: (u32, u32),
    /// Bytes of a frame that is not whole yet.
    tail: Vec<u8>,
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
    /// Membership was asked for.
    Joining,
    /// It is a member.
    Joined,
    /// It has sent its close frame.
    Leaving,
}

/// What the members of a reading thread share.
pub(super) struct Shared<'a> {
    pub(super) phase: &'a Phase,
    pub(super) layout: &'a mut Layout,
    pub(super) tally: &'a mut Tally,
    pub(super) buffer: &'a mut [u8],
}

impl Member {
    /// Starts to connect. If it is reliable, it publishes `before` it joins so many messages to this group, of which nobody
    /// else is a member, so that its sequence ids are others.
    ///
    /// # Errors
    /// [`ClientError::Socket`] when there is no socket or the source address cannot be had.
    pub(super) fn connect(
        address: SocketAddr,
        source: Option<IpAddr>,
        group: u32,
        subprotocol: Subprotocol,
        before: (u32, u32),
    ) -> Result<Self, ClientError> {
        Ok(Self {
            stream: open_socket(address, source)?,
            stage: Stage::Connecting,
            group,
            speech: Speech::of(subprotocol),
            expected: 0,
            sequence: subprotocol.is_reliable().then(Sequence::default),
            before,
            tail: Vec::new(),
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

    /// Says that this connection ends.
    ///
    /// # Errors
    /// [`ClientError::Socket`] when it has ended already.
    pub(super) fn leave(&mut self) -> Result<(), ClientError> {
        self.stage = Stage::Leaving;
        let (frame, _) = masked(Opcode::Close, &1000_u16.to_be_bytes());
        Ok(self.stream.write_all(&frame)?)
    }

    /// Acknowledges what has come since the last time, as clients do each second. Gives how many acknowledgements that
    /// took.
    ///
    /// # Errors
    /// [`ClientError::Socket`] when the connection has ended.
    pub(super) fn acknowledge(&mut self) -> Result<u64, ClientError> {
        let due = self.sequence.as_mut().and_then(Sequence::due);
        if let Some(id) = due {
            self.stream.write_all(&self.speech.acknowledge(id))?;
        }
        Ok(u64::from(due.is_some()))
    }

    /// Numbers of messages start anew; sequence ids go on.
    pub(super) fn begin_phase(&mut self) {
        self.expected = 0;
    }

    /// Reads all that the socket has.
    ///
    /// # Errors
    /// Any [`ClientError`] ends the connection; while it leaves, that is what it waits for.
    pub(super) fn read(&mut self, shared: &mut Shared<'_>) -> Result<(), ClientError> {
        loop {
            let kept = self.tail.len();
            shared.buffer[..kept].copy_from_slice(&self.tail);
            let room = shared.buffer.len() - kept;
            let read = match self.stream.read(&mut shared.buffer[kept..]) {
                Ok(0) => return Err(ClientError::Ended),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let available = kept + read;
            let used = self.take(available, shared)?;
            if used == 0 && available == shared.buffer.len() {
                return Err(ClientError::Unexpected {
                    expected: "a frame of ordinary size",
                    got: "an overlong or masked one".to_owned(),
                });
            }
            self.tail.clear();
            self.tail.extend_from_slice(&shared.buffer[used..available]);
            // A read that leaves room has emptied the socket; the next bytes raise a new event.
            if read < room {
                return Ok(());
            }
        }
    }

    /// Takes what is whole from the front of the buffer and returns its length.
    fn take(&mut self, available: usize, shared: &mut Shared<'_>) -> Result<usize, ClientError> {
        let bytes = &shared.buffer[..available];
        let mut used = 0;
        if self.stage == Stage::Upgrading {
            let Some(len) = handshake::check_upgrade(bytes, Some(self.speech.subprotocol()))? else {
                return Ok(0);
            };
            self.stage = Stage::Greeting;
            used = len;
        }
        let now = Instant::now();
        while let Some(header) = Header::parse(&bytes[used..]) {
            let start = used + header.len;
            let end = start.saturating_add(header.content_len);
            let Some(content) = bytes.get(start..end) else {
                break;
            };
            if header.first == self.speech.first_byte() && self.stage == Stage::Joined {
                self.take_sequence_id(content, shared.tally)?;
                let delivery = Delivery { phase: shared.phase, group: self.group, content, now };
                shared.tally.deliver(&delivery, shared.layout, &mut self.expected);
            } else if !self.take_other(header.first, content)? {
                shared.tally.foreign += 1;
            }
            used = end;
        }
        Ok(used)
    }

    /// Checks that the sequence id of a delivery follows the one before, and acknowledges when too much has come since
    /// the last time.
    fn take_sequence_id(&mut self, content: &[u8], tally: &mut Tally) -> Result<(), ClientError> {
        let Some(sequence) = self.sequence.as_mut() else {
            return Ok(());
        };
        let follows = self.speech.sequence_id(content).is_some_and(|id| sequence.take(id));
        tally.out_of_sequence += u64::from(!follows);
        if let Some(id) = sequence.due_at_once() {
            self.stream.write_all(&self.speech.acknowledge(id))?;
            tally.acknowledgements += 1;
        }
        Ok(())
    }

    /// All that it says before it is a member.
    fn ask_to_join(&self) -> Result<Vec<u8>, ClientError> {
        let mut said = Vec::new();
        if let (own, times @ 1..) = self.before
            && self.sequence.is_some()
        {
            let own = handshake::group_name(own)?;
            said.extend(self.speech.join_quietly(&own));
            (0..times).for_each(|_| said.extend(self.speech.publish(&own)));
        }
        said.extend(self.speech.join(&handshake::group_name(self.group)?));
        Ok(said)
    }

    /// Takes one of the messages that it has published before it joined.
    fn takes_its_own(&mut self, content: &[u8]) -> bool {
        let id = self.speech.sequence_id(content);
        self.sequence.as_mut().zip(id).is_some_and(|(sequence, id)| sequence.take(id))
    }

    /// Takes a frame that is no delivery; false when it belongs to nothing that is known here.
    fn take_other(&mut self, first: u8, content: &[u8]) -> Result<bool, ClientError> {
        const PING: u8 = Header::whole(Opcode::Ping);
        const PONG: u8 = Header::whole(Opcode::Pong);
        const CLOSE: u8 = Header::whole(Opcode::Close);
        let is_message = first == self.speech.first_byte();
        match (first, self.stage) {
            (CLOSE, _) => return Err(closed(content)),
            (_, Stage::Leaving) | (PONG, _) => {}
            (PING, _) => self.stream.write_all(&masked(Opcode::Pong, content).0)?,
            (_, Stage::Greeting) if is_message => {
                self.speech.check_connected(content)?;
                self.stream.write_all(&self.ask_to_join()?)?;
                self.stage = Stage::Joining;
            }
            (_, Stage::Joining) if is_message && self.takes_its_own(content) => {}
            (_, Stage::Joining) if is_message => {
                self.speech.check_joined(content)?;
                self.stage = Stage::Joined;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A socket that connects in the background, from this address if one is given.
///
/// # Errors
/// [`ClientError::Socket`] when there is no socket or the source address cannot be had.
pub(super) fn open_socket(address: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream, ClientError> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => return Err(error.into()),
        _ => {}
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// `EINPROGRESS` of Linux, for which the standard library has no name.
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

/// What a close frame says.
pub(super) fn closed(content: &[u8]) -> ClientError {
    let got = match content {
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            format!("a close frame, {code} {}", String::from_utf8_lossy(reason))
        }
        _ => "a close frame without a code".to_owned(),
    };
    ClientError::Unexpected { expected: "a message", got }
}
