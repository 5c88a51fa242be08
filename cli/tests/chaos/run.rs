//! One run: everybody comes, publishers publish while the faults of a schedule happen, all becomes quiet, and what each
//! has seen is collected.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, join_all};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle as TaskHandle;

use crate::member::Member;
use crate::publisher::{self, Client, Task};
use crate::record::{Kind, Publisher, Record, Transcript};
use crate::schedule::Schedule;
use crate::setup::Setup;
use crate::stage::Stage;
use crate::world::World;

/// Longest wait until all clients are there.
const ARRIVAL: Duration = Duration::from_secs(60);
/// How long publishers go on when all brokers are ready again, so that what is missing shows.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Longest wait until all clients are back and everything has arrived, beyond the time for which clients try to come back.
const QUIET_WITHIN: Duration = Duration::from_secs(15);
/// How long nothing arrives when everything has.
const QUIET: Duration = Duration::from_millis(1500);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Makes one run. Logs of the brokers are left in `logs`.
pub(crate) fn run(setup: &Setup, schedule: &Schedule, logs: &Path) -> Record {
    let world = Arc::new(World::new(schedule.seed, setup.brokers, setup.window));
    let mut stage = Stage::start(Arc::clone(&world), setup.brokers, setup.durable);
    let members = Crew::start("members", members(setup, &world));
    let publishers = Crew::start("publishers", publishers(setup, &world));
    let clients = setup.reliable + setup.plain;
    wait("all clients are there", ARRIVAL, || world.pulse.present() == clients);

    world.order(|orders| orders.publish = true);
    stage.play(schedule);
    stage.expect_ready();
    thread::sleep(AFTERMATH);
    world.order(|orders| orders.publish = false);
    // Whether all are there is for the audit to say.
    is_within(setup.window + QUIET_WITHIN, || {
        world.pulse.done() == setup.publishers + setup.callers && world.pulse.present() == clients
    });
    let mut seen = (world.pulse.received(), Instant::now());
    is_within(setup.window + QUIET_WITHIN, || {
        if world.pulse.received() != seen.0 {
            seen = (world.pulse.received(), Instant::now());
        }
        seen.1.elapsed() > QUIET
    });
    world.order(|orders| orders.finish = true);
    let (clients, publishers) = (members.collect(), publishers.collect());
    let (incidents, evidence) = stage.close();
    evidence.write_logs(logs);
    Record { publishers, clients, incidents, ends: evidence.ends, gaps: evidence.gaps }
}

fn members(setup: &Setup, world: &Arc<World>) -> Vec<BoxFuture<'static, Transcript>> {
    let mut random = StdRng::seed_from_u64(world.seed);
    let kinds = [(Kind::Reliable, setup.reliable), (Kind::Plain, setup.plain)];
    let kinds = kinds.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count));
    let member = |(id, kind)| {
        let mut groups: Vec<usize> =
            (0..random.random_range(1..=2)).map(|_| random.random_range(0..setup.groups)).collect();
        groups.dedup();
        Member::new(Arc::clone(world), kind, id, groups).run().boxed()
    };
    (0..).zip(kinds).map(member).collect()
}

fn publishers(setup: &Setup, world: &Arc<World>) -> Vec<BoxFuture<'static, Publisher>> {
    let first = (setup.reliable + setup.plain) as u64;
    let task = |number: usize| Task {
        number: number as u32,
        group: number % setup.groups,
        pace: Duration::from_secs(1) / setup.rate,
    };
    let publisher = |number: usize| {
        let (world, id, task) = (Arc::clone(world), first + number as u64, task(number));
        match number < setup.publishers {
            true => Client::new(world, id, task).run().boxed(),
            false => publisher::call(world, id, task).boxed(),
        }
    };
    (0..setup.publishers + setup.callers).map(publisher).collect()
}

/// Tasks on a thread of their own.
struct Crew<T>(JoinHandle<Vec<T>>);

impl<T: Send + 'static> Crew<T> {
    fn start(name: &str, tasks: Vec<BoxFuture<'static, T>>) -> Self {
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let tasks: Vec<TaskHandle<T>> = tasks.into_iter().map(tokio::spawn).collect();
                join_all(tasks).await.into_iter().map(|done| done.expect("an actor has panicked")).collect()
            })
        };
        Self(thread::Builder::new().name(name.to_owned()).spawn(work).unwrap())
    }

    fn collect(self) -> Vec<T> {
        self.0.join().unwrap()
    }
}

fn wait(what: &str, longest: Duration, is_so: impl FnMut() -> bool) {
    assert!(is_within(longest, is_so), "not within {longest:?}: {what}");
}

fn is_within(longest: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + longest;
    while Instant::now() < end {
        if is_so() {
            return true;
        }
        thread::sleep(LOOK);
    }
    false
}
