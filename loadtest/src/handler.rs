//! An application's event handler as a process of its own: echoes each event, or never answers.
//!
//! It is as cheap as hyper lets it be and runs on one thread, so that what it uses can be told from what the broker
//! uses. Scenarios start it through `server`; anybody may start it by hand.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use crate::arguments::{HandlerArguments, HandlerMode, HttpVersion};
use crate::process::{ProcessError, allow_connections};
use crate::server::HANDLER_URL;

/// Longest event that is echoed.
const MAX_BODY: usize = 1 << 20;

/// Why the handler ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandlerError {
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    #[error("event loop: {0}")]
    Loop(#[from] std::io::Error),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Listens, prints its URL, and serves until the process is ended.
///
/// # Errors
/// [`HandlerError`] when the address cannot be had or sockets cannot be accepted.
pub(crate) fn run(arguments: &HandlerArguments) -> Result<(), HandlerError> {
    allow_connections(0)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: &HandlerArguments) -> Result<(), HandlerError> {
    let HandlerArguments { listen, http_version, mode } = *arguments;
    let listener = TcpListener::bind(listen).await.map_err(|error| HandlerError::Listen(listen, error))?;
    let mut output = std::io::stdout();
    writeln!(output, "{HANDLER_URL} http://{}", listener.local_addr()?)?;
    output.flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // The process ends as a whole; a connection that fails ends alone.
        match http_version {
            HttpVersion::Http1 => drop(tokio::spawn(serve_http1(stream, mode))),
            HttpVersion::Http2 => drop(tokio::spawn(serve_http2(stream, mode))),
        }
    }
}

async fn serve_http1(stream: TcpStream, mode: HandlerMode) {
    let service = service_fn(move |request| answer(request, mode));
    let server = hyper::server::conn::http1::Builder::new();
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn serve_http2(stream: TcpStream, mode: HandlerMode) {
    let service = service_fn(move |request| answer(request, mode));
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, mode: HandlerMode) -> Result<Response<Full<Bytes>>, Infallible> {
    // A handler that hangs has been validated like any other.
    if request.method() == Method::OPTIONS {
        let mut response = Response::new(Full::default());
        response.headers_mut().insert("webhook-allowed-origin", HeaderValue::from_static("*"));
        return Ok(response);
    }
    if mode == HandlerMode::Hang {
        std::future::pending::<()>().await;
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        let mut refused = Response::new(Full::default());
        *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(refused);
    };
    let mut response = Response::new(Full::new(body.to_bytes()));
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    Ok(response)
}
