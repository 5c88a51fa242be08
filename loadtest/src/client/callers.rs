//! All callers together: one event loop that connects them and drives them through one load after the other.
//!
//! It runs on the thread that calls it, so that a load needs no orders and no answers. `scenario` is the caller.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::ClientError;
use super::caller::{Caller, Ended, Shared, Stage};
use super::calls::Calls;
use super::handshake::upgrade_request;
use super::phase::Schedule;
use super::wording::Wording;
use crate::access::Access;
use crate::arguments::Protocol;

/// Token of the timer.
const TIMER: Token = Token(usize::MAX);
/// Connections that are opened at the same time.
const OPENING: usize = 64;
/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;
/// How long all connections together may take to be ready.
const OPEN_DEADLINE: Duration = Duration::from_secs(60);
/// How long nothing may come to its end before the rest counts as lost.
const STALL_DEADLINE: Duration = Duration::from_secs(5);
/// Longest wait for readiness.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// The timer does not wake more often; events that are due by then leave together.
const SHORTEST_TICK: Duration = Duration::from_micros(200);
/// Tokens of callers have numbers far from those of members.
const FIRST_TOKEN: u32 = 1 << 30;

/// Which callers there are.
pub(crate) struct CallPlan {
    pub(crate) access: Access,
    pub(crate) clients: u32,
    pub(crate) protocol: Protocol,
    /// Bytes of text in each event.
    pub(crate) payload: u32,
}

/// What callers do for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// Each raises its next event when the last one is over; the load ends when all are.
    Closed,
    /// Events leave at a fixed rate over all callers in turn; the load ends when all are over.
    Open {
        /// Events per second.
        rate: u32,
    },
    /// Events leave at a fixed rate, and nobody waits for what becomes of them.
    Storm {
        /// Events per second.
        rate: u32,
    },
    /// Callers only answer pings.
    Silent,
}

/// Connections that are ready to raise events. They end without a word when this is dropped.
pub(crate) struct Callers {
    poll: Poll,
    timer: std::fs::File,
    callers: Vec<Option<Caller>>,
    shared: Shared,
}

impl Load {
    const fn rate(self) -> Option<u32> {
        match self {
            Self::Open { rate } | Self::Storm { rate } => Some(rate),
            Self::Closed | Self::Silent => None,
        }
    }

    const fn awaits_its_events(self) -> bool {
        matches!(self, Self::Closed | Self::Open { .. })
    }
}

impl Callers {
    /// Connects all and waits until each is ready.
    ///
    /// # Errors
    /// The first [`ClientError`] of any of them, or [`ClientError::Slow`] after a minute.
    pub(crate) fn connect(plan: &CallPlan) -> Result<Self, ClientError> {
        let poll = Poll::new()?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK);
        let timer = std::fs::File::from(timer.map_err(std::io::Error::from)?);
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let shared = Shared {
            protocol: plan.protocol,
            wording: Wording::new(plan.protocol, plan.payload),
            calls: Calls::default(),
            schedule: None,
            buffer: vec![0; BUFFER],
        };
        let mut callers = Self { poll, timer, callers: Vec::new(), shared };
        callers.open_all(plan)?;
        Ok(callers)
    }

    fn open_all(&mut self, plan: &CallPlan) -> Result<(), ClientError> {
        let (deadline, mut events) = (Instant::now() + OPEN_DEADLINE, Events::with_capacity(1024));
        let mut ready = 0;
        while ready < plan.clients as usize {
            while self.callers.len() < plan.clients as usize && self.callers.len() - ready < OPENING {
                let number = self.callers.len();
                let mut caller = Caller::connect(plan.access.address(), number as u32)?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().register(&mut caller.stream, Token(number), interest)?;
                self.callers.push(Some(caller));
            }
            if Instant::now() > deadline {
                let (seconds, wanted) = (OPEN_DEADLINE.as_secs(), plan.clients as usize);
                return Err(ClientError::Slow { seconds, done: ready, wanted, what: "ready" });
            }
            self.wait(&mut events, LONGEST_WAIT)?;
            for event in &events {
                let Some(caller) = self.callers.get_mut(event.token().0).and_then(Option::as_mut) else {
                    continue;
                };
                let before = caller.stage;
                if before == Stage::Connecting {
                    let token = plan.access.token(FIRST_TOKEN + event.token().0 as u32, None)?;
                    let subprotocol = plan.protocol.subprotocol();
                    caller.upgrade(&upgrade_request(&plan.access, &token, subprotocol))?;
                    continue;
                }
                caller.read(&mut self.shared)?;
                ready += usize::from(before != Stage::Ready && caller.stage == Stage::Ready);
            }
        }
        Ok(())
    }

    /// Puts the callers under a load for this long and says what came of it.
    ///
    /// # Errors
    /// [`ClientError::Socket`] when the event loop fails. Connections that end are counted.
    pub(crate) fn run(&mut self, load: Load, duration: Duration) -> Result<Calls, ClientError> {
        self.shared.calls = Calls::default();
        let start = Instant::now();
        self.shared.schedule = load.rate().map(|rate| Schedule {
            start,
            interval: Duration::from_secs(1) / rate,
            groups: self.callers.len() as u32,
        });
        let count = load.rate().map_or(0.0, |rate| duration.as_secs_f64() * f64::from(rate)) as u64;
        self.set_timer(self.shared.schedule.map(|schedule| schedule.interval.max(SHORTEST_TICK)))?;
        self.callers.iter_mut().flatten().for_each(Caller::begin);
        if matches!(load, Load::Closed) {
            (0..self.callers.len()).for_each(|index| self.raise(index));
        }
        self.drive(load, start + duration, count)?;
        self.set_timer(None)?;
        Ok(std::mem::take(&mut self.shared.calls))
    }

    fn drive(&mut self, load: Load, end: Instant, count: u64) -> Result<(), ClientError> {
        let mut events = Events::with_capacity(1024);
        let (mut due, mut last, mut since) = (0, 0, Instant::now());
        loop {
            let now = Instant::now();
            let is_over = now >= end && due >= count;
            if is_over && (!load.awaits_its_events() || self.shared.calls.done >= self.shared.calls.sent) {
                return Ok(());
            }
            if self.shared.calls.done != last || !is_over {
                (last, since) = (self.shared.calls.done, now);
            }
            if since.elapsed() > STALL_DEADLINE {
                return Ok(());
            }
            self.wait(&mut events, LONGEST_WAIT)?;
            for event in &events {
                if event.token() == TIMER {
                    // What it counts is not needed: the schedule says what is due.
                    let _ = self.timer.read(&mut [0; 8]);
                } else {
                    self.take_event(event.token().0, load, end);
                }
            }
            while let Some(late) = self.lateness(due).filter(|_| due < count) {
                self.shared.calls.latest = self.shared.calls.latest.max(late);
                self.raise((due % self.callers.len() as u64) as usize);
                due += 1;
            }
        }
    }

    /// How long ago this event was due; `None` when it is not due yet.
    fn lateness(&self, place: u64) -> Option<Duration> {
        Instant::now().checked_duration_since(self.shared.schedule.as_ref()?.due(place))
    }

    fn take_event(&mut self, index: usize, load: Load, end: Instant) {
        let Some(caller) = self.callers.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let outcome = caller.flush().and_then(|()| caller.read(&mut self.shared));
        match outcome {
            Err(error) => self.lose(index, &error),
            Ok(Ended(ended)) if matches!(load, Load::Closed) && Instant::now() < end => {
                (0..ended).for_each(|_| self.raise(index));
            }
            Ok(_) => {}
        }
    }

    fn raise(&mut self, index: usize) {
        let caller = self.callers.get_mut(index).and_then(Option::as_mut);
        let outcome = caller.map_or(Ok(()), |caller| caller.raise(&mut self.shared));
        if let Err(error) = outcome {
            self.lose(index, &error);
        }
    }

    fn lose(&mut self, index: usize, error: &ClientError) {
        self.callers[index] = None;
        self.shared.calls.lost += 1;
        self.shared.calls.first_loss.get_or_insert_with(|| error.to_string());
    }

    fn wait(&mut self, events: &mut Events, longest: Duration) -> Result<(), ClientError> {
        match self.poll.poll(events, Some(longest)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Wakes the event loop at this interval, or no more.
    fn set_timer(&self, interval: Option<Duration>) -> Result<(), ClientError> {
        let interval = interval.unwrap_or_default();
        let interval =
            Timespec { tv_sec: interval.as_secs().cast_signed(), tv_nsec: interval.subsec_nanos().into() };
        let setting = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting).map_err(std::io::Error::from)?;
        Ok(())
    }
}
