//! The operations listener: metrics and health, for monitoring and orchestration and for nobody else.
//!
//! It never shares a port with clients, has no authentication and changes nothing. It runs on the main runtime, so
//! that busy workers do not delay a probe, and is started by `app`.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::backplane::Bus;
use crate::telemetry::metrics::Metrics;

/// Most sockets at a time; the next waits in the kernel's queue.
const MAX_SOCKETS: usize = 64;
/// Longest wait for the head of a request, and for the next one on the same socket.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two rounds of [`Metrics::upkeep`].
const UPKEEP: Duration = Duration::from_secs(5);
/// Pause after a failed `accept`, which otherwise would be tried again at once while descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How far a node has come. All clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<AtomicU8>);

/// Part of a node's life, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Not yet ready for clients.
    Starting,
    /// Takes clients and calls.
    Serving,
    /// Sends its clients away and takes no new ones.
    Draining,
}

/// What the listener shows.
#[derive(Clone)]
pub struct Operations {
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// How far the node has come.
    pub health: Health,
    /// The node's links to the others.
    pub bus: Arc<dyn Bus>,
}

impl Health {
    /// The node has reached `stage`. An earlier stage than the present one changes nothing.
    pub fn reached(&self, stage: Stage) {
        self.0.fetch_max(stage as u8, Ordering::Relaxed);
    }

    /// The present stage.
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Relaxed) {
            0 => Stage::Starting,
            1 => Stage::Serving,
            _ => Stage::Draining,
        }
    }
}

/// Answers on `listener` until `stop` resolves, which is after the drain, so that monitoring sees it. Open sockets are
/// dropped then. Without a listener it only keeps the metrics small.
pub async fn run(listener: Option<TcpListener>, operations: Operations, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let mut sockets = JoinSet::new();
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = upkeep.tick() => operations.metrics.upkeep(),
            socket = accept(listener.as_ref()), if sockets.len() < MAX_SOCKETS => {
                sockets.spawn(serve(socket, operations.clone()));
            }
            Some(_) = sockets.join_next(), if !sockets.is_empty() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return socket,
            Err(error) => {
                tracing::warn!(%error, "the operations listener cannot accept a socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(socket: TcpStream, operations: Operations) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &operations);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
        tracing::debug!(%error, "a socket of the operations listener broke");
    }
}

fn answer(method: &Method, path: &str, operations: &Operations) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET or HEAD\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let stage = operations.health.stage();
    let fault = || operations.bus.outlook().fault;
    match path {
        "/metrics" => metrics_page(&operations.metrics),
        "/health/live" => text(StatusCode::OK, "alive\n"),
        "/health/startup" => match stage {
            Stage::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            Stage::Serving | Stage::Draining => text(StatusCode::OK, "started\n"),
        },
        "/health/ready" => match stage {
            Stage::Starting => text(StatusCode::SERVICE_UNAVAILABLE, "not ready: starting\n"),
            Stage::Serving => match fault() {
                Some(fault) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {fault}\n")),
                None => text(StatusCode::OK, "ready\n"),
            },
            Stage::Draining => text(StatusCode::SERVICE_UNAVAILABLE, "not ready: draining\n"),
        },
        _ => text(
            StatusCode::NOT_FOUND,
            "not found; here are /metrics, /health/live, /health/ready and /health/startup\n",
        ),
    }
}

fn metrics_page(metrics: &Metrics) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(metrics.render())));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;
    use crate::backplane::LocalBus;

    fn operations(health: Health) -> Operations {
        Operations {
            metrics: Arc::new(Metrics::new([])),
            health,
            bus: Arc::new(LocalBus::new(Box::new(drop))),
        }
    }

    async fn call(address: SocketAddr, request_line: &str) -> String {
        let exchange = async {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let request = format!("{request_line} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
            socket.write_all(request.as_bytes()).await.unwrap();
            let mut response = String::new();
            socket.read_to_string(&mut response).await.unwrap();
            response
        };
        tokio::time::timeout(Duration::from_secs(5), exchange).await.unwrap()
    }

    #[tokio::test]
    async fn probes_follow_the_stages_of_the_node() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health::default();
        let operations = operations(health.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(run(Some(listener), operations, async move {
            stopped.await.ok();
        }));

        let check = async |path: &str, status: &str, body: &str| {
            let response = call(address, &format!("GET {path}")).await;
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {response}");
            assert!(response.ends_with(body), "{path}: {response}");
        };
        check("/health/live", "200", "alive\n").await;
        check("/health/startup", "503", "starting\n").await;
        check("/health/ready", "503", "not ready: starting\n").await;
        health.reached(Stage::Serving);
        check("/health/startup", "200", "started\n").await;
        check("/health/ready", "200", "ready\n").await;
        health.reached(Stage::Draining);
        health.reached(Stage::Serving);
        check("/health/ready", "503", "not ready: draining\n").await;
        check("/health/live", "200", "alive\n").await;
        check("/health/startup", "200", "started\n").await;

        stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn metrics_are_shown_and_the_rest_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let operations = operations(Health::default());
        let task = tokio::spawn(run(Some(listener), operations, std::future::pending()));

        let metrics = call(address, "GET /metrics").await;
        assert!(
            metrics.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            "{metrics}"
        );
        assert!(metrics.contains("\n# TYPE hubbub_connect_total counter\n"), "{metrics}");
        assert!(call(address, "HEAD /metrics").await.ends_with("\r\n\r\n"));
        assert!(call(address, "GET /").await.starts_with("HTTP/1.1 404 "));
        let refused = call(address, "POST /metrics").await;
        assert!(
            refused.starts_with("HTTP/1.1 405 ") && refused.contains("\r\nallow: GET, HEAD\r\n"),
            "{refused}"
        );
        task.abort();
    }
}
