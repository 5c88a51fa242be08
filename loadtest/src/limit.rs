//! The limit of the machine as a server: a bare event loop that writes one prebuilt frame to every member of a group.
//!
//! It checks no token, decodes no JSON and keeps nothing but a socket and a counter for each connection, so no broker
//! on the same kernel calls can be cheaper. It understands what our own clients say and nothing else. Two kinds: one
//! send per delivery, and all deliveries that wait for a socket in one send at the end of the loop's turn.

use std::io::Write;
use std::net::SocketAddr;

use codec::ids::InvalidName;
use codec::message::{Content, Downstream, Origin, Payload};
use codec::subprotocol::Encoding;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use self::socket::{Asked, LimitSocket};
use crate::arguments::{LimitArguments, LimitKind};
use crate::client::{group_name, payload_text};
use crate::process::{ProcessError, allow_connections};

mod socket;

const LISTENER: Token = Token(usize::MAX);
/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;
/// Frames that one send can hold.
const LONGEST_BURST: usize = 512;

/// Why the limit server ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LimitError {
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    #[error("event loop: {0}")]
    Loop(#[from] std::io::Error),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Group(#[from] InvalidName),
    #[error("the codec has no frame for a message to a group")]
    NoFrame,
}

/// The frame that everybody gets, many times in a row.
struct Prebuilt {
    bytes: Vec<u8>,
    frame_len: usize,
    /// Frames in one send.
    burst: usize,
}

struct LimitServer {
    poll: Poll,
    listener: TcpListener,
    kind: LimitKind,
    prebuilt: Prebuilt,
    sockets: Vec<Option<LimitSocket>>,
    free: Vec<usize>,
    /// Places of the members of each group.
    groups: Vec<Vec<usize>>,
    /// Places of sockets for which deliveries wait.
    dirty: Vec<usize>,
    buffer: Vec<u8>,
}

/// Listens, prints a connection string as a broker does, and serves until the process is ended.
///
/// # Errors
/// [`LimitError`] when the address cannot be had or the event loop fails.
pub(crate) fn run(arguments: &LimitArguments) -> Result<(), LimitError> {
    allow_connections(0)?;
    let mut listener =
        TcpListener::bind(arguments.listen).map_err(|error| LimitError::Listen(arguments.listen, error))?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let address = listener.local_addr()?;
    let mut output = std::io::stdout();
    writeln!(output, "Connection string:        Endpoint=http://{address};AccessKey=limit;Version=1.0;")?;
    output.flush()?;
    let server = LimitServer {
        poll,
        listener,
        kind: arguments.kind,
        prebuilt: Prebuilt::new(arguments.kind, arguments.payload as usize)?,
        sockets: Vec::new(),
        free: Vec::new(),
        groups: Vec::new(),
        dirty: Vec::new(),
        buffer: vec![0; BUFFER],
    };
    server.serve()
}

impl Prebuilt {
    /// The same bytes as a broker's delivery, so that both write frames of one length.
    fn new(kind: LimitKind, payload: usize) -> Result<Self, LimitError> {
        let origin = Origin::Group { group: group_name(0)?, from_user_id: None };
        let content = Content { payload: Payload::text(payload_text(payload)), metadata: None };
        let frame = codec::encode(Encoding::Json, &Downstream::Message { origin, content, stream: None });
        let frame = frame.ok_or(LimitError::NoFrame)?;
        let burst = match kind {
            LimitKind::Single => 1,
            LimitKind::Coalescing => LONGEST_BURST,
        };
        Ok(Self { bytes: frame.bytes().repeat(burst), frame_len: frame.bytes().len(), burst })
    }
}

impl LimitServer {
    fn serve(mut self) -> Result<(), LimitError> {
        let mut events = Events::with_capacity(1024);
        loop {
            if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                return Err(error.into());
            }
            for event in &events {
                let Token(place) = event.token();
                if event.token() == LISTENER {
                    self.accept()?;
                    continue;
                }
                if event.is_writable() {
                    self.resume(place);
                }
                if event.is_readable() {
                    self.read(place);
                }
            }
            self.end_turn();
        }
    }

    fn accept(&mut self) -> Result<(), LimitError> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let place = self.free.pop().unwrap_or(self.sockets.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(place), interest)?;
            if place == self.sockets.len() {
                self.sockets.push(None);
            }
            self.sockets[place] = Some(LimitSocket::new(stream));
        }
    }

    /// Reads all that a socket has and does what it asks.
    fn read(&mut self, place: usize) {
        loop {
            let Some(socket) = self.sockets.get_mut(place).and_then(Option::as_mut) else {
                return;
            };
            let Ok(read) = socket.read(&mut self.buffer) else {
                return self.remove(place);
            };
            let emptied = read < self.buffer.len();
            // The buffer is lent to the loop below, which needs the server too.
            let mut buffer = std::mem::take(&mut self.buffer);
            let outcome = self.take(place, &mut buffer[..read]);
            self.buffer = buffer;
            match outcome {
                Ok(()) if emptied => return,
                Ok(()) => {}
                Err(Closed) => return self.remove(place),
            }
        }
    }

    fn take(&mut self, place: usize, mut bytes: &mut [u8]) -> Result<(), Closed> {
        loop {
            let Some(socket) = self.sockets.get_mut(place).and_then(Option::as_mut) else {
                return Ok(());
            };
            match socket.next(&mut bytes) {
                Ok(None) => return Ok(()),
                Ok(Some(Asked::Join(group))) => {
                    socket.join(group).map_err(|_| Closed)?;
                    self.join(place, group as usize);
                }
                Ok(Some(Asked::Deliver(group))) => self.deliver(group as usize),
                Ok(Some(Asked::Nothing)) => {}
                Ok(Some(Asked::Close)) | Err(_) => return Err(Closed),
            }
        }
    }

    fn join(&mut self, place: usize, group: usize) {
        if group >= self.groups.len() {
            self.groups.resize_with(group + 1, Vec::new);
        }
        self.groups[group].push(place);
    }

    fn deliver(&mut self, group: usize) {
        for &place in self.groups.get(group).map_or(&[][..], Vec::as_slice) {
            let Some(socket) = self.sockets[place].as_mut() else { continue };
            let was_waiting = socket.add_delivery();
            match self.kind {
                LimitKind::Single if was_waiting => {}
                // A socket that fails here is removed when its end is read.
                LimitKind::Single => drop(socket.flush(&self.prebuilt)),
                LimitKind::Coalescing if was_waiting => {}
                LimitKind::Coalescing => self.dirty.push(place),
            }
        }
    }

    fn resume(&mut self, place: usize) {
        if let Some(socket) = self.sockets.get_mut(place).and_then(Option::as_mut) {
            drop(socket.flush(&self.prebuilt));
        }
    }

    fn end_turn(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.drain(..).for_each(|place| self.resume(place));
        // Its memory serves the next turn.
        self.dirty = dirty;
    }

    fn remove(&mut self, place: usize) {
        let Some(socket) = self.sockets[place].take() else { return };
        self.free.push(place);
        let Some(group) = socket.group() else { return };
        let members = &mut self.groups[group as usize];
        if let Some(at) = members.iter().position(|member| *member == place) {
            members.swap_remove(at);
        }
    }
}

/// The connection is over.
struct Closed;
