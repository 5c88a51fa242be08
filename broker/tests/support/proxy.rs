//! A TCP proxy that breaks as networks do: at random times it kills, half-closes, stalls and delays what passes through
//! it. A seed determines what happens to whom; it knows nothing of what it carries.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

/// How many of the ends meet the oldest link, so that all clients soon have their turn. The others meet any.
const IN_TURN: f64 = 0.75;
/// Time for which a new link does not have its turn.
const SPARED: Duration = Duration::from_secs(2);
/// Milliseconds between two faults.
const PAUSE: Range<u64> = 10..90;
/// Milliseconds for which nothing passes. Far below the time for which the broker keeps a connection.
const STALL: Range<u64> = 100..1000;
/// Milliseconds that each piece is late.
const LATENCY: Range<u64> = 5..80;
/// Milliseconds for which pieces are late.
const LATE_FOR: Range<u64> = 200..1500;

/// See the module. It carries until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    links: Links,
    faults: Arc<Faults>,
    accepting: tokio::task::JoinHandle<()>,
}

type Links = Arc<Mutex<Vec<Weak<Link>>>>;

/// The two directions between a client and the broker.
struct Link {
    since: Instant,
    is_doomed: AtomicBool,
    up: Mutex<Trouble>,
    down: Mutex<Trouble>,
}

/// What is wrong with one direction.
#[derive(Default)]
struct Trouble {
    stall: Option<Hindrance>,
    delay: Option<Hindrance>,
    end: Option<End>,
}

/// What holds pieces back for a time.
struct Hindrance {
    until: Instant,
    /// By how much each piece is late; if nothing is said, it waits until the end.
    latency: Option<Duration>,
    has_met: bool,
}

const KINDS: [Kind; 4] = [Kind::End(EndKind::Kill), Kind::End(EndKind::HalfClose), Kind::Stall, Kind::Delay];

/// What can happen to a link.
#[derive(Clone, Copy)]
enum Kind {
    End(EndKind),
    Stall,
    Delay,
}

/// How a direction ends, once a part of what comes next has passed.
#[derive(Clone, Copy)]
struct End {
    /// How much of it passes, 0 to 1.
    part: f64,
    kind: EndKind,
}

#[derive(Clone, Copy)]
enum EndKind {
    /// Both sockets are reset.
    Kill,
    /// The other side is told that nothing more comes; the other direction goes on.
    HalfClose,
}

/// How many faults of each kind have met something that was on its way; one that nothing came to meet is not counted.
#[derive(Debug, Default)]
pub struct Faults {
    pub kills: AtomicU32,
    pub half_closes: AtomicU32,
    pub stalls: AtomicU32,
    pub delays: AtomicU32,
}

impl Proxy {
    /// A proxy before `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let links = Links::default();
        let faults = Arc::<Faults>::default();
        let (known, met) = (Arc::clone(&links), Arc::clone(&faults));
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let link = Arc::new(Link::new());
                known.lock().unwrap().push(Arc::downgrade(&link));
                let met = Arc::clone(&met);
                tokio::spawn(async move {
                    if let Ok(far) = TcpStream::connect(target).await {
                        carry_both(near, far, &link, &met).await;
                    }
                });
            }
        });
        Self { address, links, faults, accepting }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets one fault after the other happen, until `done` is ready.
    pub async fn suffer(&self, seed: u64, done: impl Future<Output = ()>) -> &Faults {
        let mut random = StdRng::seed_from_u64(seed);
        tokio::pin!(done);
        loop {
            let pause = Duration::from_millis(random.random_range(PAUSE));
            // Always as many draws, so that the sequence is the same however many links there are.
            let (victim, direction, part) = (random.random::<f64>(), random.random(), random.random());
            let (kind, in_turn) = (KINDS[random.random_range(0..KINDS.len())], random.random_bool(IN_TURN));
            let [stall, latency, late_for] =
                [STALL, LATENCY, LATE_FOR].map(|range| Duration::from_millis(random.random_range(range)));
            tokio::select! {
                () = sleep(pause) => {}
                () = &mut done => return &self.faults,
            }
            let link = if kind.is_end() && in_turn { self.oldest() } else { self.choose(victim) };
            let Some(link) = link else {
                continue;
            };
            let mut trouble = if direction { &link.up } else { &link.down }.lock().unwrap();
            let now = Instant::now();
            match kind {
                Kind::End(kind) => {
                    link.is_doomed.store(true, Ordering::Relaxed);
                    trouble.end = Some(End { part, kind });
                }
                Kind::Stall => {
                    let until = now + stall;
                    trouble.stall = Some(Hindrance { until, latency: None, has_met: false });
                }
                Kind::Delay => {
                    let until = now + late_for;
                    trouble.delay = Some(Hindrance { until, latency: Some(latency), has_met: false });
                }
            }
        }
    }

    fn choose(&self, victim: f64) -> Option<Arc<Link>> {
        let mut links = self.links.lock().unwrap();
        links.retain(|link| link.strong_count() > 0);
        let index = (victim * links.len() as f64) as usize;
        links.get(index).and_then(Weak::upgrade)
    }

    /// The oldest link that is due for an end.
    fn oldest(&self) -> Option<Arc<Link>> {
        self.links.lock().unwrap().iter().filter_map(Weak::upgrade).find(|link| link.is_due())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry_both(mut near: TcpStream, mut far: TcpStream, link: &Link, faults: &Faults) {
    for socket in [&near, &far] {
        let _ = socket.set_nodelay(true);
    }
    let ((near_read, near_write), (far_read, far_write)) = (near.split(), far.split());
    let carried = tokio::try_join!(
        carry(near_read, far_write, &link.up, faults),
        carry(far_read, near_write, &link.down, faults)
    );
    if carried.is_err() {
        for socket in [&near, &far] {
            let _ = socket.set_zero_linger();
        }
    }
}

/// Carries one direction until it ends. An error breaks the other one too.
async fn carry(
    mut source: ReadHalf<'_>,
    mut sink: WriteHalf<'_>,
    trouble: &Mutex<Trouble>,
    faults: &Faults,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = source.read(&mut buffer).await?;
        let due = trouble.lock().unwrap().due(faults);
        if let Some(due) = due {
            sleep_until(due).await;
        }
        if len == 0 {
            return sink.shutdown().await;
        }
        let end = trouble.lock().unwrap().end.take();
        let Some(End { part, kind }) = end else {
            sink.write_all(&buffer[..len]).await?;
            continue;
        };
        sink.write_all(&buffer[..(part * len as f64) as usize]).await?;
        return match kind {
            EndKind::Kill => {
                count(&faults.kills);
                Err(io::ErrorKind::ConnectionReset.into())
            }
            EndKind::HalfClose => {
                count(&faults.half_closes);
                sink.shutdown().await
            }
        };
    }
}

impl Link {
    fn new() -> Self {
        let (up, down) = (Mutex::default(), Mutex::default());
        Self { since: Instant::now(), is_doomed: AtomicBool::new(false), up, down }
    }

    /// Whether it may have its turn: it is to end once, and not so soon that its client never acknowledges anything.
    fn is_due(&self) -> bool {
        !self.is_doomed.load(Ordering::Relaxed) && self.since.elapsed() > SPARED
    }
}

impl Kind {
    fn is_end(self) -> bool {
        matches!(self, Self::End(_))
    }
}

impl Trouble {
    /// When a piece that has come now may pass; nothing if at once.
    fn due(&mut self, faults: &Faults) -> Option<Instant> {
        let now = Instant::now();
        let stall = self.stall.as_mut().and_then(|stall| stall.due(now, &faults.stalls));
        let delay = self.delay.as_mut().and_then(|delay| delay.due(now, &faults.delays));
        stall.max(delay)
    }
}

impl Hindrance {
    /// The same for this alone, which counts itself in `met` when it holds something back for the first time.
    fn due(&mut self, now: Instant, met: &AtomicU32) -> Option<Instant> {
        if self.until <= now {
            return None;
        }
        if !std::mem::replace(&mut self.has_met, true) {
            count(met);
        }
        Some(self.latency.map_or(self.until, |latency| now + latency))
    }
}

fn count(counter: &AtomicU32) {
    counter.fetch_add(1, Ordering::Relaxed);
}
