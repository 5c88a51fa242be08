//! A TCP proxy that breaks as networks do: at random times it kills, half-closes, stalls and delays what passes through
//! it. A seed determines what happens to whom; it knows nothing of what it carries.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

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
    accepting: tokio::task::JoinHandle<()>,
}

type Links = Arc<Mutex<Vec<Weak<Link>>>>;

/// The two directions between a client and the broker.
#[derive(Default)]
struct Link {
    up: Mutex<Trouble>,
    down: Mutex<Trouble>,
}

/// What is wrong with one direction.
#[derive(Default)]
struct Trouble {
    held_until: Option<Instant>,
    late: Option<(Duration, Instant)>,
    end: Option<End>,
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

/// How often each fault has happened.
#[derive(Debug, Default)]
pub struct Faults {
    kills: u32,
    half_closes: u32,
    stalls: u32,
    delays: u32,
}

impl Proxy {
    /// A proxy before `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let links = Links::default();
        let known = Arc::clone(&links);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let link = Arc::new(Link::default());
                known.lock().unwrap().push(Arc::downgrade(&link));
                tokio::spawn(async move {
                    if let Ok(far) = TcpStream::connect(target).await {
                        carry_both(near, far, &link).await;
                    }
                });
            }
        });
        Self { address, links, accepting }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets one fault after the other happen, until `done` is ready.
    pub async fn suffer(&self, seed: u64, done: impl Future<Output = ()>) -> Faults {
        let mut faults = Faults::default();
        let mut random = StdRng::seed_from_u64(seed);
        tokio::pin!(done);
        loop {
            let pause = Duration::from_millis(random.random_range(PAUSE));
            // Always as many draws, so that the sequence is the same however many links there are.
            let (victim, direction, part) = (random.random::<f64>(), random.random(), random.random());
            let kind = random.random_range(0..4);
            let [stall, latency, late_for] =
                [STALL, LATENCY, LATE_FOR].map(|range| Duration::from_millis(random.random_range(range)));
            tokio::select! {
                () = sleep(pause) => {}
                () = &mut done => return faults,
            }
            let Some(link) = self.choose(victim) else {
                continue;
            };
            let mut trouble = if direction { &link.up } else { &link.down }.lock().unwrap();
            let now = Instant::now();
            match kind {
                0 => trouble.end = Some(End { part, kind: faults.count_end(EndKind::Kill) }),
                1 => trouble.end = Some(End { part, kind: faults.count_end(EndKind::HalfClose) }),
                2 => {
                    faults.stalls += 1;
                    trouble.held_until = Some(now + stall);
                }
                _ => {
                    faults.delays += 1;
                    trouble.late = Some((latency, now + late_for));
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
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Faults {
    fn count_end(&mut self, kind: EndKind) -> EndKind {
        match kind {
            EndKind::Kill => self.kills += 1,
            EndKind::HalfClose => self.half_closes += 1,
        }
        kind
    }
}

async fn carry_both(mut near: TcpStream, mut far: TcpStream, link: &Link) {
    for socket in [&near, &far] {
        let _ = socket.set_nodelay(true);
    }
    let ((near_read, near_write), (far_read, far_write)) = (near.split(), far.split());
    let carried =
        tokio::try_join!(carry(near_read, far_write, &link.up), carry(far_read, near_write, &link.down));
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
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = source.read(&mut buffer).await?;
        let due = trouble.lock().unwrap().due();
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
            EndKind::Kill => Err(io::ErrorKind::ConnectionReset.into()),
            EndKind::HalfClose => sink.shutdown().await,
        };
    }
}

impl Trouble {
    /// When a piece that has come now may pass; nothing if at once.
    fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        let late = self.late.filter(|(_, until)| *until > now).map(|(latency, _)| now + latency);
        self.held_until.filter(|until| *until > now).max(late)
    }
}
