//! A bare socket: whatever bytes a test wants are written, whatever comes is read.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::frame::{Frame, Opcode};
use super::{DEADLINE, within, within_deadline};

/// A TCP connection to the broker with what has been read of it and not used yet.
#[derive(Debug)]
pub struct RawSocket {
    /// The connection.
    pub stream: TcpStream,
    /// Bytes that have come and are not used yet.
    pub buffer: Vec<u8>,
    /// Longest wait for a byte, or for the end.
    pub patience: Duration,
}

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Its body, by `Content-Length`.
    pub body: String,
}

impl Response {
    /// Value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl RawSocket {
    /// Opens the TCP connection.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.unwrap()
    }

    /// The same, if the broker is there.
    pub async fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = within_deadline("a connection", TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), patience: DEADLINE })
    }

    /// Writes all of it. That the broker may have closed already is no error.
    pub async fn write(&mut self, bytes: &[u8]) {
        match within_deadline("writing", self.stream.write_all(bytes)).await {
            Err(error) if !is_disconnect(error.kind()) => panic!("cannot write: {error}"),
            _ => {}
        }
    }

    /// Writes all of it in pieces, each its own packet as far as the kernel goes along.
    pub async fn write_in_chops(&mut self, bytes: &[u8], size: usize) {
        for chop in bytes.chunks(size) {
            self.write(chop).await;
            tokio::task::yield_now().await;
        }
    }

    /// Writes a frame.
    pub async fn send(&mut self, frame: &Frame) {
        self.write(&frame.bytes()).await;
    }

    /// Asks for an upgrade and reads the answer.
    pub async fn upgrade(&mut self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.ask_for_upgrade(path, headers).await;
        self.read_response().await
    }

    /// The same of a broker that may be killed meanwhile; `None` means that the socket has ended.
    pub async fn try_upgrade(&mut self, path: &str, headers: &[(&str, &str)]) -> Option<Response> {
        self.ask_for_upgrade(path, headers).await;
        self.try_read_response().await
    }

    /// Asks for an upgrade.
    pub async fn ask_for_upgrade(&mut self, path: &str, headers: &[(&str, &str)]) {
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            self.stream.peer_addr().unwrap(),
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        self.write(request.as_bytes()).await;
    }

    /// Reads a response.
    pub async fn read_response(&mut self) -> Response {
        match self.try_read_response().await {
            Some(response) => response,
            None => panic!("the socket ended before a response: {:?}", self.text()),
        }
    }

    /// Reads a response; `None` means that the socket has ended.
    pub async fn try_read_response(&mut self) -> Option<Response> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill().await {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut response = Response { status, headers, body: String::new() };
        let length = response.header("content-length").map_or(0, |value| value.parse().unwrap());
        while self.buffer.len() < length {
            assert!(self.fill().await, "the socket ended within a body: {response:?}");
        }
        response.body = String::from_utf8(self.buffer.drain(..length).collect()).unwrap();
        Some(response)
    }

    /// Reads a frame; `None` means that the socket has ended.
    pub async fn try_read_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, length)) = Frame::parse(&self.buffer) {
                self.buffer.drain(..length);
                return Some(frame);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Reads a frame.
    pub async fn read_frame(&mut self) -> Frame {
        self.try_read_frame().await.expect("the socket ended before a frame")
    }

    /// The next frame is a close frame with this code and reason.
    pub async fn expect_close(&mut self, code: u16, reason: &str) {
        let frame = self.read_frame().await;
        assert_eq!(frame.opcode, Opcode::CLOSE, "{frame:?}");
        assert_eq!(frame, Frame::close(code, reason).unmasked());
    }

    /// The broker sends nothing more and ends the connection.
    pub async fn expect_end(&mut self) {
        if let Some(frame) = self.try_read_frame().await {
            panic!("a frame came instead of the end: {frame:?}");
        }
        assert!(self.buffer.is_empty(), "bytes came before the end: {:?}", self.text());
    }

    /// Reads more into the buffer; false means that the socket has ended.
    pub async fn fill(&mut self) -> bool {
        let mut chunk = vec![0; 64 * 1024];
        match within(self.patience, "a byte or the end", self.stream.read(&mut chunk)).await {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                true
            }
            Err(error) if is_disconnect(error.kind()) => false,
            Err(error) => panic!("cannot read: {error}"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

fn is_disconnect(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}
