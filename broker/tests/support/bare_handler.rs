//! An event handler that speaks bare TCP: it shows the bytes of requests, and answers with bytes that need not be HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use super::within_deadline;

/// What a handler answers that wants events.
const AGREED: &[u8] = b"HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: *\r\nContent-Length: 0\r\n\r\n";

/// A handler that agrees to get events and answers each with the same bytes, after which it closes the connection. It is
/// gone when this is dropped.
pub struct BareHandler {
    address: SocketAddr,
    heads: Mutex<mpsc::UnboundedReceiver<String>>,
    server: JoinHandle<()>,
}

impl BareHandler {
    /// Starts a handler.
    pub async fn start(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, heads) = mpsc::unbounded_channel();
        let answer = Arc::new(answer.into());
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&answer), sender.clone()));
            }
        });
        Self { address, heads: Mutex::new(heads), server }
    }

    /// The URL of a path, which may have a handler's parameters.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The first line and the header lines of the next event that arrives.
    pub async fn next_head(&self) -> String {
        let mut heads = self.heads.lock().await;
        within_deadline("an event", heads.recv()).await.unwrap()
    }
}

impl Drop for BareHandler {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves requests on one connection until the first event has been answered, or it ends.
async fn serve(mut socket: TcpStream, answer: Arc<Vec<u8>>, heads: mpsc::UnboundedSender<String>) {
    let mut buffer = Vec::new();
    while let Some(head) = read_request(&mut socket, &mut buffer).await {
        let is_event = head.starts_with("POST ");
        // That the broker has hung up, or the test has ended, is no error.
        let _ = socket.write_all(if is_event { &answer } else { AGREED }).await;
        if is_event {
            let _ = heads.send(head);
            return;
        }
    }
}

/// Reads a head, and the body that its length announces. Nothing when the connection ends before.
async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        fill(socket, buffer).await?;
    };
    let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < length {
        fill(socket, buffer).await?;
    }
    buffer.drain(..length);
    Some(head)
}

async fn fill(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    (socket.read_buf(buffer).await.ok()? > 0).then_some(())
}
