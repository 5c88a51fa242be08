//! Threads: each worker has its own runtime, its own part of the hub and its own listeners.
//!
//! No other file knows how many there are, or which of them owns a new socket: the system gives it to one of the
//! listeners that share a port.

use std::cell::RefCell;
use std::io;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::auth::audience::Origins;
use crate::backplane::Bus;
use crate::client::{Capacity, ClientConfig, Connections, ConnectionsParts, Desk, Desks, Handshake};

use crate::edge::listener::{Bound, Http};
use crate::edge::routes::Routes;
use crate::events::Events;
use crate::events::webhook::WebhookClient;
pub(crate) use crate::hub::MAX_WORKERS;
use crate::hub::{Shard, Switchboard};
use crate::playground::Playground;
use crate::rest::{Readiness, Rest, RestConfig, RestParts};
use crate::router::{Exchange, Router};
use crate::settings::Settings;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::throttle::Throttle;
use crate::telemetry::trace::Tap;

/// How often counts are handed over and silent connections are looked for.
const TICK: Duration = Duration::from_secs(1);

/// Longest time for the last events of a node that stops, once its clients have gone.
const EVENTS_PATIENCE: Duration = Duration::from_secs(5);

/// How a node stops.
#[derive(Debug, Clone, Copy)]
pub struct DrainConfig {
    /// Longest time from the order to stop until the process ends.
    pub grace: Duration,
    /// Most connections of a worker that are told to leave in one tenth of a second.
    pub wave: NonZeroUsize,
}

/// What all workers of a node have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) switchboard: Arc<Switchboard>,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) origins: Origins,
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) capacity: Arc<Capacity>,
    pub(crate) desks: Desks,
    pub(crate) client: ClientConfig,
    pub(crate) rest: RestConfig,
    pub(crate) drain: DrainConfig,
    /// Is told what a developer may watch.
    pub(crate) tap: Tap,
    /// Whether the playground is served.
    pub(crate) playground: bool,
    /// How many workers still have connections, or may get some.
    pub(crate) busy: Arc<watch::Sender<usize>>,
    /// Is told the number of every worker that has ended.
    pub(crate) ended: UnboundedSender<usize>,
    /// Turns true when the node is to stop.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// What a worker has for itself.
pub(crate) struct Own {
    pub(crate) bound: Vec<Bound>,
    pub(crate) webhooks: WebhookClient,
    pub(crate) desk: Desk,
}

/// Starts a worker's thread. It ends when the node is told to stop and the worker's clients have gone, or when the
/// grace period is over; or before, if a fault of ours keeps it from its work. Either way `ended` is told.
///
/// # Errors
/// When the system gives no thread or no runtime.
pub(crate) fn spawn(number: usize, common: Common, own: Own) -> io::Result<()> {
    // A runtime of this kind stays on its thread, so the thread has to make it, and tell whether it could.
    let (started, starts) = mpsc::channel();
    std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => {
                let _ = started.send(Ok(()));
                let ended = Ended { number, tell: common.ended.clone() };
                run(runtime, work(number, common, own));
                drop(ended);
            }
            Err(error) => drop(started.send(Err(error))),
        }
    })?;
    starts.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
}

/// Works to the end. Names of event handlers are looked up on threads of the runtime, and the system may take its time
/// for that: nobody waits for them.
fn run(runtime: LocalRuntime, work: impl Future<Output = ()>) {
    runtime.block_on(work);
    runtime.shutdown_background();
}

/// Tells that a worker has ended, by a panic too.
struct Ended {
    number: usize,
    tell: UnboundedSender<usize>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Nobody listens when the whole node is dropped.
        let _ = self.tell.send(self.number);
    }
}

/// A worker that still has connections.
struct Busy(Arc<watch::Sender<usize>>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|busy| *busy -= 1);
    }
}

async fn work(number: usize, common: Common, own: Own) {
    let busy = Busy(Arc::clone(&common.busy));
    let Own { bound, webhooks, desk } = own;
    let shard = Shard::new(common.client.queue_limits());
    let router = Router::new(number, shard, Arc::clone(&common.exchange), Arc::clone(&common.bus));
    let events = Rc::new(Events::new(webhooks, common.settings.clone(), common.tap.clone()));
    let connections = Rc::new(Connections::new(ConnectionsParts {
        router: router.clone(),
        events: Rc::clone(&events),
        settings: common.settings.clone(),
        config: common.client,
        metrics: Arc::clone(&common.metrics),
        tap: common.tap.clone(),
        capacity: Arc::clone(&common.capacity),
    }));
    tokio::task::spawn_local(keep_settings(Rc::clone(&connections), common.settings.clone()));
    let routes = Rc::new(routes(&common, router, Rc::clone(&connections)));

    let http = Rc::new(Http::new(routes, common.client.handshake_timeout, common.stopping.clone()));
    for listener in bound {
        tokio::task::spawn_local(Rc::clone(&http).listen(listener));
    }
    let mut stopping = common.stopping.clone();
    let flushing = tokio::task::spawn_local(Rc::clone(&connections).keep_flushing());
    let ticking = tokio::task::spawn_local(keep_ticking(Rc::clone(&connections)));
    let reading = keep_reading(Rc::clone(&connections), Arc::clone(&common.switchboard), number);
    let reading = tokio::task::spawn_local(reading);
    let reserving = tokio::task::spawn_local(Rc::clone(&connections).keep_reserving(desk));
    tokio::task::spawn_local(Rc::clone(&connections).keep_renewing());
    tokio::select! {
        // An error means that the node is gone without a word, which ends the worker as well.
        _ = stopping.wait_for(|&stopping| stopping) => {}
        // Without one of these the worker is deaf or dumb: its clients are better off on another connection.
        _ = flushing => return tracing::error!(worker = number, "the worker writes no more"),
        _ = ticking => return tracing::error!(worker = number, "the worker's clock has stopped"),
        _ = reading => return tracing::error!(worker = number, "the worker reads no letters any more"),
        _ = reserving => return tracing::error!(worker = number, "the worker lets nobody come back"),
    }
    let drained = async {
        connections.drain(common.drain.wave.get(), common.drain.grace).await;
        http.drained().await;
        // A client whose request was being answered may have come in meanwhile.
        connections.drain(common.drain.wave.get(), common.drain.grace).await;
        // What an application does about an event is often a REST call, which nobody here takes any more.
        if tokio::time::timeout(EVENTS_PATIENCE, events.flushed()).await.is_err() {
            tracing::warn!(worker = number, "event handlers did not take the last events in time");
        }
        drop(busy);
        // Others may still need this worker's answers. They end together, unless one of them fails.
        let _ = common.busy.subscribe().wait_for(|busy| *busy == 0).await;
        connections.follow_up().await;
    };
    if tokio::time::timeout(common.drain.grace, drained).await.is_err() {
        tracing::warn!(worker = number, "the grace period is over, what is left is dropped");
    }
    connections.tick().await;
    connections.abandon();
}

fn routes(common: &Common, router: Router, connections: Rc<Connections>) -> Routes {
    let handshake = Handshake {
        connections,
        origins: common.origins.clone(),
        settings: common.settings.clone(),
        desks: common.desks.clone(),
        capacity: Arc::clone(&common.capacity),
        stopping: common.stopping.clone(),
        last_host: RefCell::new(Arc::from("")),
        refusals: Throttle::default(),
    };
    let (stopping, bus) = (common.stopping.clone(), Arc::clone(&common.bus));
    let rest = Rest::new(RestParts {
        config: common.rest.clone(),
        router,
        origins: common.origins.clone(),
        settings: common.settings.clone(),
        metrics: Arc::clone(&common.metrics),
        refusals: Throttle::default(),
        readiness: Box::new(move || {
            let is_ready = !*stopping.borrow() && bus.outlook().fault.is_none();
            if is_ready { Readiness::Ready } else { Readiness::NotReady }
        }),
    });
    let playground = common.playground.then(|| Playground::new(common.tap.clone(), common.stopping.clone()));
    Routes { handshake: Rc::new(handshake), playground, rest, origins: common.origins.clone() }
}

async fn keep_reading(connections: Rc<Connections>, switchboard: Arc<Switchboard>, number: usize) {
    connections.keep_reading(switchboard.inbox(number)).await;
}

/// Tells the connections of each change of the settings, the first ones included.
async fn keep_settings(connections: Rc<Connections>, mut settings: watch::Receiver<Arc<Settings>>) {
    loop {
        connections.settings_changed();
        if settings.changed().await.is_err() {
            return;
        }
    }
}

async fn keep_ticking(connections: Rc<Connections>) {
    let mut ticks = tokio::time::interval(TICK);
    // After a pause of the machine one look is enough: silence is counted in looks, not in lost seconds.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        connections.tick().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_that_does_not_end_does_not_keep_a_worker() {
        let (done, ends) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let worker = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
            run(runtime, async {
                let (started, starts) = tokio::sync::oneshot::channel();
                drop(tokio::task::spawn_blocking(move || {
                    let _ = started.send(());
                    let _ = held.recv();
                }));
                starts.await.unwrap();
            });
            done.send(()).unwrap();
        });
        let ended = ends.recv_timeout(Duration::from_secs(10));
        drop(release);
        worker.join().unwrap();
        assert!(ended.is_ok());
    }
}
