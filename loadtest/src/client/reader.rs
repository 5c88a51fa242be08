//! A reading thread: one event loop for its share of the members.
//!
//! Connects them a few at a time, reads until told to stop, and counts. Talks to `members` through two channels.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Instant;

use mio::{Events, Interest, Poll, Token};

use super::ClientError;
use super::acknowledging::Clock;
use super::handshake::upgrade_request;
use super::member::{Member, Shared, Stage};
use super::members::Plan;
use super::phase::Phase;
use super::tally::{Layout, Tally};

/// Token of the waker.
pub(super) const WAKE: Token = Token(usize::MAX);
/// Connections that a thread opens at the same time.
const OPENING: usize = 64;
/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;
/// Connections from one source address: Linux has some 28,000 ports for each.
const PER_SOURCE: u32 = 25_000;

/// What a reading thread is told.
pub(super) enum Order {
    /// A phase begins: numbers start anew. Answered by [`Answer::Begun`].
    Begin(Arc<Phase>),
    /// Answered by [`Answer::Tally`].
    Report,
    /// All members leave. Answered by [`Answer::Left`] when they have.
    Leave,
}

/// What a reading thread says.
pub(super) enum Answer {
    Joined,
    Begun,
    Tally(Tally),
    Left,
    Failed(ClientError),
}

/// What a reading thread is made of.
pub(super) struct ReaderParts {
    pub(super) poll: Poll,
    pub(super) plan: Arc<Plan>,
    /// Which of the plan's threads this is.
    pub(super) thread: u32,
    pub(super) orders: Receiver<Order>,
    pub(super) answers: Sender<Answer>,
    /// Deliveries so far, for who waits for them.
    pub(super) deliveries: Arc<AtomicU64>,
}

/// The thread's state.
pub(super) struct Reader {
    parts: ReaderParts,
    members: Vec<Option<Member>>,
    /// Number, among all connections, of the one to be opened next.
    next: u32,
    opening: usize,
    open: usize,
    leaving: bool,
    /// Says which members are to acknowledge, if they are reliable.
    clock: Option<Clock>,
    phase: Arc<Phase>,
    layout: Layout,
    tally: Tally,
    buffer: Vec<u8>,
}

impl Reader {
    pub(super) fn new(parts: ReaderParts) -> Self {
        Self {
            members: Vec::new(),
            next: parts.thread,
            opening: 0,
            open: 0,
            leaving: false,
            clock: parts.plan.subprotocol.is_reliable().then(|| Clock::new(Instant::now())),
            phase: Arc::default(),
            layout: Layout::default(),
            tally: Tally::default(),
            buffer: vec![0; BUFFER],
            parts,
        }
    }

    /// Runs until the other side of the channels is gone.
    pub(super) fn run(mut self) {
        if let Err(error) = self.serve() {
            // Nobody may be waiting any more.
            let _ = self.parts.answers.send(Answer::Failed(error));
        }
    }

    fn serve(&mut self) -> Result<(), ClientError> {
        let mut events = Events::with_capacity(1024);
        self.open_more()?;
        loop {
            let timeout = self.clock.as_ref().map(|clock| clock.left(Instant::now()));
            if let Err(error) = self.parts.poll.poll(&mut events, timeout)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                return Err(error.into());
            }
            for event in &events {
                if event.token() == WAKE {
                    if self.take_orders()? == Next::Stop {
                        return Ok(());
                    }
                } else {
                    self.take_event(event.token().0)?;
                }
            }
            self.acknowledge()?;
        }
    }

    fn take_orders(&mut self) -> Result<Next, ClientError> {
        loop {
            match self.parts.orders.try_recv() {
                Ok(Order::Begin(phase)) => {
                    self.phase = phase;
                    self.parts.deliveries.store(0, Ordering::Release);
                    // Connections that were lost before the phase count as lost in it.
                    let Tally { lost, first_loss, .. } = std::mem::take(&mut self.tally);
                    self.tally = Tally { lost, first_loss, ..Tally::default() };
                    self.members.iter_mut().flatten().for_each(Member::begin_phase);
                    self.answer(Answer::Begun);
                }
                Ok(Order::Report) => {
                    let tally = std::mem::take(&mut self.tally);
                    self.answer(Answer::Tally(tally));
                }
                Ok(Order::Leave) => self.leave(),
                Err(TryRecvError::Empty) => return Ok(Next::GoOn),
                Err(TryRecvError::Disconnected) => return Ok(Next::Stop),
            }
        }
    }

    fn answer(&self, answer: Answer) {
        // Nobody may be waiting any more.
        let _ = self.parts.answers.send(answer);
    }

    /// Opens connections until enough are on their way or all are open.
    fn open_more(&mut self) -> Result<(), ClientError> {
        let plan = Arc::clone(&self.parts.plan);
        while self.opening < OPENING && self.next < plan.connections {
            let group = self.next % plan.groups;
            let address = plan.access.address();
            let source = source_address(self.next).filter(|_| address.ip().is_loopback());
            let before = (plan.groups + self.next, self.next % plan.numberings);
            let mut member = Member::connect(address, source, group, plan.subprotocol, before)?;
            let token = Token(self.members.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.parts.poll.registry().register(&mut member.stream, token, interest)?;
            self.members.push(Some(member));
            self.next += plan.threads;
            self.opening += 1;
            self.open += 1;
        }
        if self.opening == 0 && self.next >= plan.connections {
            self.answer(Answer::Joined);
        }
        Ok(())
    }

    fn take_event(&mut self, index: usize) -> Result<(), ClientError> {
        let Some(member) = self.members.get_mut(index).and_then(Option::as_mut) else {
            return Ok(());
        };
        let before = member.stage;
        if before == Stage::Connecting {
            let plan = &self.parts.plan;
            let number = index as u32 * plan.threads + self.parts.thread;
            let user = plan.users.then(|| format!("user{number}"));
            let token = plan.access.token(number, user)?;
            return member.upgrade(&upgrade_request(&plan.access, &token, Some(plan.subprotocol)));
        }
        let mut shared = Shared {
            phase: &self.phase,
            layout: &mut self.layout,
            tally: &mut self.tally,
            buffer: &mut self.buffer,
        };
        let outcome = member.read(&mut shared);
        let after = member.stage;
        if before == Stage::Joined {
            self.parts.deliveries.store(self.tally.deliveries, Ordering::Release);
        }
        match outcome {
            Err(error) => self.ended(index, error),
            Ok(()) if before != Stage::Joined && after == Stage::Joined => {
                self.opening -= 1;
                self.open_more()
            }
            Ok(()) => Ok(()),
        }
    }

    /// Lets those members acknowledge whose turn it is.
    fn acknowledge(&mut self) -> Result<(), ClientError> {
        let Some(turn) = self.clock.as_mut().and_then(|clock| clock.turn(Instant::now())) else {
            return Ok(());
        };
        for index in turn.indices(self.members.len()) {
            let Some(member) = self.members[index].as_mut().filter(|member| member.stage == Stage::Joined)
            else {
                continue;
            };
            match member.acknowledge() {
                Ok(count) => self.tally.acknowledgements += count,
                Err(error) => self.ended(index, error)?,
            }
        }
        Ok(())
    }

    /// A connection is over. Before it is a member that is fatal, while it leaves it is what was asked for.
    fn ended(&mut self, index: usize, error: ClientError) -> Result<(), ClientError> {
        let Some(member) = self.members[index].take() else {
            return Ok(());
        };
        self.open -= 1;
        match member.stage {
            Stage::Leaving => self.check_left(),
            Stage::Joined => {
                self.tally.lost += 1;
                self.tally.first_loss.get_or_insert_with(|| error.to_string());
            }
            _ => return Err(error),
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.leaving = true;
        for slot in &mut self.members {
            let Some(member) = slot else { continue };
            if member.leave().is_err() {
                *slot = None;
                self.open -= 1;
            }
        }
        self.check_left();
    }

    fn check_left(&self) {
        if self.leaving && self.open == 0 {
            self.answer(Answer::Left);
        }
    }
}

/// Whether the loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

/// Where connection `number` comes from; the first ones leave that to the kernel.
fn source_address(number: u32) -> Option<IpAddr> {
    let block = number / PER_SOURCE;
    let last = u8::try_from(block + 1).ok()?;
    (block > 0).then_some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_address_has_ports_for_its_connections() {
        let check = |number, expected: Option<[u8; 4]>| {
            assert_eq!(source_address(number), expected.map(IpAddr::from), "{number}");
        };
        check(24_999, None);
        check(25_000, Some([127, 0, 0, 2]));
        check(75_000, Some([127, 0, 0, 4]));
    }
}
