//! Calls of REST operations, signed as the SDKs sign them.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::server::Server;
use super::token::Token;
use super::within_deadline;

/// Calls operations of one broker.
#[derive(Debug, Clone)]
pub struct Rest {
    address: SocketAddr,
    origin: String,
}

/// A call that is about to be made. Without changes it carries a valid token and no body.
#[derive(Debug, Clone)]
pub struct Call {
    rest: Rest,
    method: Method,
    target: String,
    token: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Rest {
    pub(super) fn new(server: &Server) -> Self {
        Self { address: server.address(), origin: server.origin() }
    }

    /// Prepares a call; `target` is a path with its query, percent-encoded already.
    pub fn call(&self, method: Method, target: &str) -> Call {
        Call {
            rest: self.clone(),
            method,
            target: target.to_owned(),
            token: Some(self.token(target).sign()),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A valid token for a path with its query, as an SDK makes it.
    pub fn token(&self, target: &str) -> Token {
        Token::for_audience(&format!("{}{target}", self.origin))
    }

    /// Prepares a GET.
    pub fn get(&self, target: &str) -> Call {
        self.call(Method::GET, target)
    }

    /// Prepares a HEAD.
    pub fn head(&self, target: &str) -> Call {
        self.call(Method::HEAD, target)
    }

    /// Prepares a PUT.
    pub fn put(&self, target: &str) -> Call {
        self.call(Method::PUT, target)
    }

    /// Prepares a POST.
    pub fn post(&self, target: &str) -> Call {
        self.call(Method::POST, target)
    }

    /// Prepares a DELETE.
    pub fn delete(&self, target: &str) -> Call {
        self.call(Method::DELETE, target)
    }
}

impl Call {
    /// Carries this text as its token.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Carries no token.
    pub fn without_token(mut self) -> Self {
        self.token = None;
        self
    }

    /// One more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    /// The body and its type.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header(CONTENT_TYPE.as_str(), content_type)
    }

    /// A body without a type.
    pub fn untyped(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// A body of plain text.
    pub fn text(self, text: &str) -> Self {
        self.body("text/plain", text.to_owned())
    }

    /// A body of JSON.
    pub fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// A body of bytes.
    pub fn binary(self, bytes: &[u8]) -> Self {
        self.body("application/octet-stream", bytes.to_vec())
    }

    /// Makes the call on a connection of its own.
    pub async fn send(self) -> Reply {
        within_deadline("a REST answer", self.exchange()).await
    }

    /// Makes the call and checks the status.
    pub async fn expect(self, status: u16) -> Reply {
        let call = format!("{} {}", self.method, self.target);
        let reply = self.send().await;
        assert_eq!(reply.status, status, "{call}: {:?}", reply.body);
        reply
    }

    async fn exchange(self) -> Reply {
        let stream = TcpStream::connect(self.rest.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target.parse().unwrap();
        *request.headers_mut() = self.headers;
        let host = HeaderValue::from_str(&self.rest.address.to_string()).unwrap();
        request.headers_mut().entry(HOST).or_insert(host);
        if let Some(token) = self.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        driver.abort();
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    }
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}
