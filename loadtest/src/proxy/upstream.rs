//! The way from the limit proxy to the handler: kept HTTP/1.1 connections, or one of HTTP/2.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::arguments::HttpVersion;

/// What a broker says of an event, with values of ordinary length.
const HEADERS: [(&str, &str); 13] = [
    ("content-type", "text/plain; charset=utf-8"),
    ("ce-specversion", "1.0"),
    ("ce-awpsversion", "1.0"),
    ("ce-type", "azure.webpubsub.user.echo"),
    ("ce-source", "/hubs/echo/client/0123456789abcdef0123456789abcdef"),
    ("ce-id", "12345"),
    ("ce-time", "2026-01-02T03:04:05Z"),
    ("ce-signature", "sha256=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    ("ce-connectionid", "0123456789abcdef0123456789abcdef"),
    ("ce-hub", "echo"),
    ("ce-eventname", "echo"),
    ("webhook-request-origin", "127.0.0.1"),
    ("x-ms-client-request-id", "01234567-89ab-cdef-0123-456789abcdef"),
];

type Body = Full<Bytes>;

/// The handler.
pub(super) struct Upstream {
    uri: Uri,
    headers: HeaderMap,
    link: Link,
}

enum Link {
    /// Connections without a request on its way. The lock is never held over an await.
    Http1 { address: SocketAddr, idle: Mutex<Vec<http1::SendRequest<Body>>> },
    /// One connection for all.
    Http2(http2::SendRequest<Body>),
}

/// Why the handler cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("expected http://ADDRESS:PORT")]
    Url,
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("the handler answered {0}")]
    Status(hyper::StatusCode),
}

impl Upstream {
    /// Connects with HTTP/2; with HTTP/1.1 connections are made as they are needed.
    pub(super) async fn new(url: &str, version: HttpVersion) -> Result<Self, UpstreamError> {
        let authority = url.strip_prefix("http://").ok_or(UpstreamError::Url)?;
        let address: SocketAddr = authority.parse().map_err(|_| UpstreamError::Url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in HEADERS {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let (link, uri) = match version {
            HttpVersion::Http1 => {
                let host = HeaderValue::from_str(authority).map_err(|_| UpstreamError::Url)?;
                headers.insert(HOST, host);
                (Link::Http1 { address, idle: Mutex::default() }, "/echo/echo".to_owned())
            }
            HttpVersion::Http2 => {
                let stream = TokioIo::new(connect(address).await?);
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                // Its end is seen by whoever sends.
                tokio::spawn(connection);
                (Link::Http2(sender), format!("http://{address}/echo/echo"))
            }
        };
        let uri = uri.parse().map_err(|_| UpstreamError::Url)?;
        Ok(Self { uri, headers, link })
    }

    /// Raises one event and returns the reply.
    pub(super) async fn call(&self, data: &[u8]) -> Result<Bytes, UpstreamError> {
        let mut request = Request::new(Full::new(Bytes::copy_from_slice(data)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let (response, used) = match &self.link {
            Link::Http2(sender) => (sender.clone().send_request(request).await?, None),
            Link::Http1 { address, idle } => {
                let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let mut sender = match kept {
                    Some(sender) => sender,
                    None => open(*address).await?,
                };
                sender.ready().await?;
                (sender.send_request(request).await?, Some((idle, sender)))
            }
        };
        if !response.status().is_success() {
            return Err(UpstreamError::Status(response.status()));
        }
        let body = response.into_body().collect().await?.to_bytes();
        if let Some((idle, sender)) = used {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
        Ok(body)
    }
}

async fn open(address: SocketAddr) -> Result<http1::SendRequest<Body>, UpstreamError> {
    let (sender, connection) = http1::handshake(TokioIo::new(connect(address).await?)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn connect(address: SocketAddr) -> Result<TcpStream, std::io::Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
