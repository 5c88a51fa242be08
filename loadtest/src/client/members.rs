//! All members together: starts the reading threads, gives them orders and waits for their answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use codec::subprotocol::Subprotocol;
use mio::{Poll, Waker};

use super::ClientError;
use super::phase::Phase;
use super::reader::{Answer, Order, Reader, ReaderParts, WAKE};
use super::tally::Tally;
use crate::access::Access;

/// How long all connections together may take to join, or to leave.
const MOVE_DEADLINE: Duration = Duration::from_secs(120);
/// How long deliveries may stand still before the rest counts as lost.
const STALL_DEADLINE: Duration = Duration::from_secs(5);
/// How often the count of deliveries is looked at while the last ones arrive.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Which members there are. Member number `n` is in group `n % groups`.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) access: Access,
    pub(crate) connections: u32,
    pub(crate) groups: u32,
    /// What all of them speak.
    pub(crate) subprotocol: Subprotocol,
    /// Threads that read.
    pub(crate) threads: u32,
    /// Whether each connection has a user id of its own.
    pub(crate) users: bool,
    /// How many different sequence ids one message has among reliable members, in turn; 1 when it has the same for all.
    pub(crate) numberings: u32,
}

/// Connections that have joined their groups. They end without a word when this is dropped.
pub(crate) struct Members {
    readers: Vec<Handle>,
    connections: u32,
}

struct Handle {
    /// Taken when the thread is to end.
    orders: Option<Sender<Order>>,
    answers: Receiver<Answer>,
    waker: Waker,
    deliveries: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Members {
    /// Connects all and waits until each is a member.
    ///
    /// # Errors
    /// The first [`ClientError`] of any of them, or [`ClientError::Slow`] after two minutes.
    pub(crate) fn connect(plan: &Plan) -> Result<Self, ClientError> {
        let shared = Arc::new(plan.clone());
        let readers = (0..plan.threads).map(|thread| Handle::start(&shared, thread));
        let members = Self { readers: readers.collect::<Result<_, _>>()?, connections: plan.connections };
        members.wait("joined", |answer| matches!(answer, Answer::Joined).then_some(()))?;
        Ok(members)
    }

    /// Begins a phase, which several sets of members may share; returns when every member knows of it.
    ///
    /// # Errors
    /// [`ClientError::ThreadEnded`] or what ended the thread.
    pub(crate) fn begin(&self, phase: impl Into<Arc<Phase>>) -> Result<(), ClientError> {
        let phase = phase.into();
        self.order(|| Order::Begin(Arc::clone(&phase)))?;
        self.wait("told of the phase", |answer| matches!(answer, Answer::Begun).then_some(()))?;
        Ok(())
    }

    /// Waits until this many messages of the phase were delivered, or no more come.
    pub(crate) fn await_deliveries(&self, expected: u64) {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let deliveries = self.deliveries();
            if deliveries >= expected {
                return;
            }
            if deliveries != last {
                (last, since) = (deliveries, Instant::now());
            }
            if since.elapsed() > STALL_DEADLINE {
                return;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn deliveries(&self) -> u64 {
        self.readers.iter().map(|reader| reader.deliveries.load(Ordering::Acquire)).sum()
    }

    /// What the members received since the phase began.
    ///
    /// # Errors
    /// As [`Members::begin`].
    pub(crate) fn tally(&self) -> Result<Tally, ClientError> {
        self.order(|| Order::Report)?;
        let tallies = self.wait("counted", |answer| match answer {
            Answer::Tally(tally) => Some(tally),
            _ => None,
        })?;
        Ok(Tally::sum(tallies))
    }

    /// All members close their WebSockets; returns when the server has closed them too.
    ///
    /// # Errors
    /// As [`Members::connect`].
    pub(crate) fn leave(self) -> Result<(), ClientError> {
        self.order(|| Order::Leave)?;
        self.wait("closed", |answer| matches!(answer, Answer::Left).then_some(()))?;
        Ok(())
    }

    fn order(&self, order: impl Fn() -> Order) -> Result<(), ClientError> {
        for reader in &self.readers {
            let orders = reader.orders.as_ref().ok_or(ClientError::ThreadEnded)?;
            // A thread that has ended says why in its answer.
            let _ = orders.send(order());
            reader.waker.wake()?;
        }
        Ok(())
    }

    /// Waits for one answer of each thread.
    fn wait<T>(&self, what: &'static str, take: impl Fn(Answer) -> Option<T>) -> Result<Vec<T>, ClientError> {
        let deadline = Instant::now() + MOVE_DEADLINE;
        let mut taken = Vec::new();
        for reader in &self.readers {
            let left = deadline.saturating_duration_since(Instant::now());
            match reader.answers.recv_timeout(left) {
                Ok(Answer::Failed(error)) => return Err(error),
                Ok(answer) => taken.push(take(answer).ok_or(ClientError::ThreadEnded)?),
                Err(RecvTimeoutError::Disconnected) => return Err(ClientError::ThreadEnded),
                Err(RecvTimeoutError::Timeout) => {
                    let share = self.connections as usize / self.readers.len();
                    let (seconds, done) = (MOVE_DEADLINE.as_secs(), taken.len() * share);
                    let wanted = self.connections as usize;
                    return Err(ClientError::Slow { seconds, done, wanted, what });
                }
            }
        }
        Ok(taken)
    }
}

impl Handle {
    fn start(plan: &Arc<Plan>, thread: u32) -> Result<Self, ClientError> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (orders, taken_orders) = mpsc::channel();
        let (given_answers, answers) = mpsc::channel();
        let deliveries = Arc::new(AtomicU64::new(0));
        let parts = ReaderParts {
            poll,
            plan: Arc::clone(plan),
            thread,
            orders: taken_orders,
            answers: given_answers,
            deliveries: Arc::clone(&deliveries),
        };
        let name = format!("reader-{thread}");
        let thread = std::thread::Builder::new().name(name).spawn(move || Reader::new(parts).run())?;
        Ok(Self { orders: Some(orders), answers, waker, deliveries, thread: Some(thread) })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.orders = None;
        if self.waker.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}
