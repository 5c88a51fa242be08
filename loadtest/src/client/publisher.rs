//! The publisher: one connection that sends, at a fixed rate or as fast as a window allows.
//!
//! It is no member, so nothing that it publishes comes back. It runs on the thread that calls it, so that its clock
//! does not depend on what the members have to read.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use codec::websocket::Opcode;

use super::ClientError;
use super::frame::{Header, MASK, masked};
use super::handshake::{self, JSON, MARK, NUMBER_DIGITS};
use super::member::closed;
use super::phase::{Schedule, Window};
use crate::access::Access;

/// How long the handshake may take.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);
/// How long the server may refuse to read before the phase is given up.
const BLOCKED_DEADLINE: Duration = Duration::from_secs(10);
/// Pause before a blocked socket is tried again.
const RETRY_PAUSE: Duration = Duration::from_micros(50);
/// How often the publisher looks for pings.
const LISTEN_INTERVAL: Duration = Duration::from_millis(100);

/// How to publish.
pub(crate) enum PublishPlan {
    /// Each message when it is due, whatever the server does.
    Paced {
        schedule: Schedule,
        /// Messages in all.
        count: u64,
    },
    /// A batch for each group that has received one.
    Saturating {
        window: Window,
        /// Groups that have received a batch.
        ready: Receiver<u32>,
        duration: Duration,
    },
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    /// Messages that left.
    pub(crate) publishes: u64,
    /// How long after it was due the latest one left.
    pub(crate) latest: Duration,
}

/// A connection that publishes.
pub(crate) struct Publisher {
    stream: TcpStream,
    /// Bytes that came and are not whole.
    incoming: Vec<u8>,
    listened: Instant,
    groups: Vec<GroupFrame>,
    outgoing: Vec<u8>,
}

/// The frame for one group, masked ahead; only the digits of its number change.
struct GroupFrame {
    bytes: Vec<u8>,
    digits_at: usize,
    /// Mask of the first digit and its followers.
    digits_mask: [u8; 4],
    next: u32,
}

impl Publisher {
    /// Connects and prepares the frames of all groups. Blocks until the server has greeted.
    ///
    /// # Errors
    /// [`ClientError`] when the server refuses, is silent for ten seconds, or a group cannot be named.
    pub(crate) fn connect(access: &Access, groups: u32, payload: u32) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(access.address())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(OPEN_DEADLINE))?;
        let groups = (0..groups).map(|group| GroupFrame::new(group, payload as usize));
        let mut publisher = Self {
            stream,
            incoming: Vec::new(),
            listened: Instant::now(),
            groups: groups.collect::<Result<_, _>>()?,
            outgoing: Vec::new(),
        };
        // A number of its own, far from those of the members.
        let token = access.token(u32::MAX, None)?;
        publisher.stream.write_all(&handshake::upgrade_request(access, &token, JSON))?;
        publisher.await_greeting()?;
        publisher.stream.set_nonblocking(true)?;
        Ok(publisher)
    }

    fn await_greeting(&mut self) -> Result<(), ClientError> {
        let head = loop {
            self.read_some()?;
            if let Some(len) = handshake::check_upgrade(&self.incoming, JSON)? {
                break len;
            }
        };
        self.incoming.drain(..head);
        loop {
            if let Some((_, content)) = self.take_frame() {
                return handshake::check_connected(&content);
            }
            self.read_some()?;
        }
    }

    fn read_some(&mut self) -> std::io::Result<()> {
        let mut buffer = [0; 4096];
        let read = self.stream.read(&mut buffer)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.incoming.extend_from_slice(&buffer[..read]);
        Ok(())
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let header = Header::parse(&self.incoming)?;
        let content = self.incoming.get(header.len..header.len.saturating_add(header.content_len))?.to_vec();
        self.incoming.drain(..header.len + content.len());
        Some((header.first, content))
    }

    /// Publishes; numbers of each group start at 0.
    ///
    /// # Errors
    /// [`ClientError`] when the connection ends or the server does not read for ten seconds.
    pub(crate) fn publish(mut self, plan: &PublishPlan) -> Result<Sent, ClientError> {
        match plan {
            PublishPlan::Paced { schedule, count } => self.publish_paced(schedule, *count),
            PublishPlan::Saturating { window, ready, duration } => {
                self.publish_saturating(*window, ready, *duration)
            }
        }
    }

    fn publish_paced(&mut self, schedule: &Schedule, count: u64) -> Result<Sent, ClientError> {
        let mut sent = Sent::default();
        for place in 0..count {
            let due = schedule.due(place);
            self.sleep_until(due)?;
            self.append((place % u64::from(schedule.groups)) as u32, 1);
            self.flush()?;
            sent.publishes += 1;
            sent.latest = sent.latest.max(due.elapsed());
        }
        Ok(sent)
    }

    fn publish_saturating(
        &mut self,
        window: Window,
        ready: &Receiver<u32>,
        duration: Duration,
    ) -> Result<Sent, ClientError> {
        let end = Instant::now() + duration;
        let groups = self.groups.len() as u32;
        let mut sent = Sent::default();
        for group in (0..window.depth).flat_map(|_| 0..groups) {
            self.append(group, window.batch);
            sent.publishes += u64::from(window.batch);
        }
        loop {
            self.flush()?;
            self.listen()?;
            let now = Instant::now();
            if now >= end {
                return Ok(sent);
            }
            let first = match ready.recv_timeout(LISTEN_INTERVAL.min(end - now)) {
                Ok(group) => group,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Err(ClientError::ThreadEnded),
            };
            for group in std::iter::once(first).chain(ready.try_iter()) {
                self.append(group, window.batch);
                sent.publishes += u64::from(window.batch);
            }
        }
    }

    /// Queues the next `count` messages of a group.
    fn append(&mut self, group: u32, count: u32) {
        if let Some(frame) = self.groups.get_mut(group as usize) {
            (0..count).for_each(|_| frame.append_next(&mut self.outgoing));
        }
    }

    /// Sends what is queued.
    fn flush(&mut self) -> Result<(), ClientError> {
        let (mut from, mut since) = (0, Instant::now());
        while from < self.outgoing.len() {
            match self.stream.write(&self.outgoing[from..]) {
                Ok(written) => {
                    from += written;
                    since = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if since.elapsed() > BLOCKED_DEADLINE {
                        return Err(ClientError::Blocked(BLOCKED_DEADLINE.as_secs()));
                    }
                    std::thread::sleep(RETRY_PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.outgoing.clear();
        Ok(())
    }

    fn sleep_until(&mut self, due: Instant) -> Result<(), ClientError> {
        loop {
            self.listen()?;
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LISTEN_INTERVAL));
        }
    }

    /// Answers pings, at most once in a while.
    fn listen(&mut self) -> Result<(), ClientError> {
        if self.listened.elapsed() < LISTEN_INTERVAL {
            return Ok(());
        }
        self.listened = Instant::now();
        match self.read_some() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            _ => {}
        }
        while let Some((first, content)) = self.take_frame() {
            if first == Header::whole(Opcode::Ping) {
                self.outgoing.extend(masked(Opcode::Pong, &content).0);
            } else if first == Header::whole(Opcode::Close) {
                return Err(closed(&content));
            }
        }
        self.flush()
    }
}

impl GroupFrame {
    fn new(group: u32, payload: usize) -> Result<Self, ClientError> {
        let text = handshake::send_text(&handshake::group_name(group)?, payload);
        let mark = text.as_bytes().windows(MARK.len()).position(|window| window == MARK);
        let in_content = mark.unwrap_or_default() + MARK.len();
        let (bytes, content_at) = masked(Opcode::Text, text.as_bytes());
        let mut digits_mask = MASK;
        digits_mask.rotate_left(in_content % MASK.len());
        Ok(Self { bytes, digits_at: content_at + in_content, digits_mask, next: 0 })
    }

    fn append_next(&mut self, out: &mut Vec<u8>) {
        let at = out.len() + self.digits_at;
        out.extend_from_slice(&self.bytes);
        let mut rest = self.next;
        for place in (0..NUMBER_DIGITS).rev() {
            out[at + place] = (b'0' + (rest % 10) as u8) ^ self.digits_mask[place % MASK.len()];
            rest /= 10;
        }
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::websocket::{Decoder, Item};

    #[test]
    fn only_the_number_changes_under_the_mask() {
        let mut frame = GroupFrame::new(7, 128).unwrap();
        frame.next = 12_345_678;
        let mut out = Vec::new();
        frame.append_next(&mut out);
        frame.append_next(&mut out);
        let (mut decoder, mut input) = (Decoder::default(), out.as_mut_slice());
        for number in ["12345678", "12345679"] {
            let expected = handshake::send_text(&handshake::group_name(7).unwrap(), 128)
                .replace("number:00000000", &format!("number:{number}"));
            let got = decoder.next(&mut input, usize::MAX).unwrap();
            assert_eq!(got, Some(Item::Text(expected.into())));
        }
    }
}
