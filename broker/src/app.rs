//! The composition root: the only file that knows every implementation. No logic lives here.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use codec::ids::NodeId;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::backplane::redis::{LinkError, RedisConfig};
use crate::backplane::{Bus, LocalBus, Receiver, RedisBus, RedisBusParts};
use crate::client::{Capacity, Desks};
use crate::config::Config;
use crate::edge::listener::{self, Bound};
use crate::edge::operations::{self, Health, Operations, Stage};
use crate::events::webhook::{WebhookError, Webhooks};
use crate::hub::Switchboard;
use crate::router::Exchange;
use crate::settings::follow::{Follower, Reread};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::Tap;
use crate::worker::{self, Common, Own};

/// A node whose listeners are bound and that serves nobody yet.
pub struct Broker {
    config: Config,
    addresses: Addresses,
    bound: Vec<Vec<Bound>>,
    operations: Option<std::net::TcpListener>,
    reread: Reread,
}

/// Where a node can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Clients and REST, without TLS.
    pub http: SocketAddr,
    /// Clients and REST, with TLS.
    pub https: Option<SocketAddr>,
    /// Metrics and health.
    pub operations: Option<SocketAddr>,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which listener.
        listener: ListenerKind,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no more threads.
    #[error("cannot start a worker: {0}")]
    Worker(#[source] io::Error),
    /// Event handlers could not be called.
    #[error(transparent)]
    Webhooks(WebhookError),
    /// The node cannot be linked to the others.
    #[error("--redis: {0}")]
    Backplane(#[from] LinkError),
    /// A fault of ours has ended a worker while the node was serving.
    #[error("worker {0} has failed, the log says why")]
    WorkerLost(usize),
}

/// A node's listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// Clients and REST, without TLS.
    Http,
    /// Clients and REST, with TLS.
    Https,
    /// Metrics and health.
    Operations,
}

impl Broker {
    /// Binds every listener.
    ///
    /// # Errors
    /// [`StartError::Bind`] names the listener whose address cannot be had.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        let workers = config.workers.get();
        let mut bound: Vec<Vec<Bound>> = (0..workers).map(|_| Vec::new()).collect();
        let mut spread = |listeners: Vec<Bound>| {
            for (worker, listener) in bound.iter_mut().zip(listeners) {
                worker.push(listener);
            }
        };
        let (http, listeners) = listener::bind(config.listen, None, workers)
            .map_err(|source| bind_error(ListenerKind::Http, config.listen, source))?;
        spread(listeners);
        let mut https = None;
        if let Some(tls) = &config.tls {
            let (address, listeners) = listener::bind(tls.listen, Some(&tls.identity), workers)
                .map_err(|source| bind_error(ListenerKind::Https, tls.listen, source))?;
            spread(listeners);
            https = Some(address);
        }
        let bind_operations = |address| {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        };
        let operations = config.operations_listen.map(|address| {
            bind_operations(address).map_err(|source| bind_error(ListenerKind::Operations, address, source))
        });
        let operations = operations.transpose()?;
        let addresses =
            Addresses { http, https, operations: operations.as_ref().map(|(address, _)| *address) };
        let operations = operations.map(|(_, listener)| listener);
        Ok(Self { config, addresses, bound, operations, reread: Reread::default() })
    }

    /// Where the node can be reached, with the ports that the system chose.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Asks the running node to read the settings of its hubs at once.
    pub fn reread(&self) -> Reread {
        self.reread.clone()
    }

    /// Serves until `shutdown` resolves, then drains: clients are told to come back, calls under way are finished, and
    /// when all have gone, or the grace period is over, it returns.
    ///
    /// # Errors
    /// [`StartError::Worker`] when the system gives no more threads, [`StartError::Backplane`] when the other nodes cannot
    /// be reached; nobody has been served then.
    /// [`StartError::WorkerLost`] when a worker has failed; the others have been drained then.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        let (redis, node) = (self.config.redis.clone(), self.config.node_id.clone());
        let link = async |receive, metrics: &Metrics| match redis {
            Some(config) => link(config, node, receive, metrics).await,
            None => Ok(Arc::new(LocalBus::new(receive)) as Arc<dyn Bus>),
        };
        self.run_on(link, shutdown).await
    }

    /// The same with these links to the other nodes.
    async fn run_on(
        self,
        link: impl AsyncFnOnce(Receiver, &Metrics) -> Result<Arc<dyn Bus>, StartError>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), StartError> {
        let Self { config, bound, operations, reread, .. } = self;
        let metrics = Arc::new(Metrics::new(config.settings.hubs.keys().map(|hub| hub.as_str())));
        let switchboard = Arc::new(Switchboard::new(config.workers.get()));
        let durable = config.settings.hubs.iter().filter(|(_, hub)| hub.is_durable);
        let durable = durable.map(|(name, _)| name.clone()).collect();
        let exchange = Exchange::new(config.node_id, Arc::clone(&switchboard), durable);
        let bus = link(exchange.receiver(), &metrics).await?;
        exchange.link(&bus);
        let (stop, stopping) = watch::channel(false);
        let (ended, mut has_ended) = mpsc::unbounded_channel();
        let (sender, settings) = watch::channel(Arc::new(config.settings));
        let follower =
            Follower { source: config.hubs, settings: sender, reread, metrics: Arc::clone(&metrics) };
        let following = follower.run(stopping.clone());
        let (desks, own_desks) = Desks::new(config.workers.get());
        let common = Common {
            switchboard,
            exchange,
            bus: Arc::clone(&bus),
            origins: config.origins,
            settings,
            metrics: Arc::clone(&metrics),
            capacity: Arc::new(Capacity::new(config.client.max_connections)),
            desks,
            client: config.client,
            rest: config.rest,
            drain: config.drain,
            tap: Tap::default(),
            playground: config.playground,
            busy: Arc::new(watch::Sender::new(config.workers.get())),
            ended,
            stopping,
        };
        let webhooks = Webhooks::new(config.webhooks, Arc::clone(&metrics)).map_err(StartError::Webhooks)?;
        let health = Health::default();
        for (number, (bound, desk)) in bound.into_iter().zip(own_desks).enumerate() {
            let own = Own { bound, webhooks: webhooks.client().map_err(StartError::Webhooks)?, desk };
            worker::spawn(number, common.clone(), own).map_err(StartError::Worker)?;
        }
        // From here on only the workers hold it, so that the channel closes with the last of them.
        drop(common);
        health.reached(Stage::Serving);
        let mut lost = None;
        let drained = async {
            tokio::select! {
                () = shutdown => {}
                worker = has_ended.recv() => lost = worker,
            }
            health.reached(Stage::Draining);
            stop.send_replace(true);
            while has_ended.recv().await.is_some() {}
        };
        let operations = operations.and_then(|listener| TcpListener::from_std(listener).ok());
        let shown = Operations { metrics, health: health.clone(), bus: Arc::clone(&bus) };
        tokio::join!(operations::run(operations, shown, drained), following);
        bus.leave().await;
        lost.map_or(Ok(()), |worker| Err(StartError::WorkerLost(worker)))
    }
}

/// Links a node to the others over Redis.
async fn link(
    config: RedisConfig,
    node: NodeId,
    receive: Receiver,
    metrics: &Metrics,
) -> Result<Arc<dyn Bus>, StartError> {
    let metrics = metrics.backplane();
    let parts = RedisBusParts { config, node, epoch: rand::random(), receive, metrics };
    Ok(Arc::new(RedisBus::start(parts).await?))
}

fn bind_error(listener: ListenerKind, address: SocketAddr, source: io::Error) -> StartError {
    StartError::Bind { listener, address, source }
}

#[cfg(test)]
mod tests;
