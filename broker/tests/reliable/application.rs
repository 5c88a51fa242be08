//! An application that takes events, and answers user events when the test says so.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, Semaphore};

use crate::support::within_deadline;

/// See the module.
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    events: Mutex<UnboundedReceiver<(String, String)>>,
    /// How many user events may be answered.
    answers: Arc<Semaphore>,
}

impl Application {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, events) = unbounded_channel();
        let answers = Arc::new(Semaphore::new(0));
        let permits = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, sender.clone(), Arc::clone(&permits)));
            }
        });
        Self { address, events: Mutex::new(events), answers }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// The next event: its type, and the body.
    pub(crate) async fn next(&self) -> (String, String) {
        let next = async { self.events.lock().await.recv().await.unwrap() };
        within_deadline("an event", next).await
    }

    /// The next event must be of this type; gives its body.
    pub(crate) async fn expect(&self, kind: &str) -> String {
        let (got, body) = self.next().await;
        assert_eq!(got, kind, "{body}");
        body
    }

    /// Events that have come and have not been looked at.
    pub(crate) async fn is_quiet(&self) -> bool {
        self.events.lock().await.try_recv().is_err()
    }

    /// Lets one user event be answered.
    pub(crate) fn answer(&self) {
        self.answers.add_permits(1);
    }
}

async fn serve(mut socket: TcpStream, events: UnboundedSender<(String, String)>, answers: Arc<Semaphore>) {
    let mut bytes = Vec::new();
    loop {
        let Some((head, body)) = request(&mut socket, &mut bytes).await else {
            return;
        };
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(':'));
            lines
                .filter(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
                .next_back()
        };
        let kind = header("ce-type").unwrap_or_default().to_owned();
        let mut answer = "HTTP/1.1 204 No Content\r\nWebHook-Allowed-Origin: *\r\n\r\n".to_owned();
        if !kind.is_empty() {
            let _ = events.send((kind.clone(), body.clone()));
        }
        if kind.starts_with("azure.webpubsub.user.") {
            answers.acquire().await.unwrap().forget();
            answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let whole = end + 4 + length.unwrap_or(0);
            if bytes.len() >= whole {
                let body = String::from_utf8(bytes[end + 4..whole].to_vec()).ok()?;
                bytes.drain(..whole);
                return Some((head, body));
            }
        }
        let mut chunk = [0; 4096];
        match socket.read(&mut chunk).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    }
}
