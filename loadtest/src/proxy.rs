//! What echoes cost at least through hyper: a WebSocket server that hands each event to the handler and the reply back.
//!
//! It checks no token, decodes no JSON, chooses no handler, signs nothing and keeps no settings. Its requests have as
//! many headers as a broker's, since they are work for both sides. One thread, one task for each client. It understands
//! what our own callers say and nothing else.

use std::io::{Error, ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use codec::subprotocol::Subprotocol;
use codec::websocket::{Decoder, Frame, Item, Opcode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use self::upstream::{Upstream, UpstreamError};
use crate::arguments::{Protocol, ProxyArguments};
use crate::client::{ACCEPTED_KEY, Request, SUBPROTOCOL_HEADER};
use crate::process::{ProcessError, allow_connections};

mod upstream;

/// Longest message that is read.
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes that are read at once.
const BUFFER: usize = 4 * 1024;
/// Longest request for an upgrade.
const MAX_REQUEST: usize = 16 * 1024;
const CONNECTED: &[u8] = br#"{"type":"system","event":"connected","userId":null,"connectionId":"limit"}"#;

/// Why the proxy ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, Error),
    #[error("event loop: {0}")]
    Loop(#[from] Error),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("--handler: {0}")]
    Handler(#[from] UpstreamError),
}

/// Listens, prints a connection string as a broker does, and serves until the process is ended.
///
/// # Errors
/// [`ProxyError`] when the address cannot be had, the handler's URL is none or sockets cannot be accepted.
pub(crate) fn run(arguments: &ProxyArguments) -> Result<(), ProxyError> {
    allow_connections(0)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: &ProxyArguments) -> Result<(), ProxyError> {
    let listen = arguments.listen;
    let upstream = Arc::new(Upstream::new(&arguments.handler, arguments.http_version).await?);
    let listener = TcpListener::bind(listen).await.map_err(|error| ProxyError::Listen(listen, error))?;
    let (address, mut output) = (listener.local_addr()?, std::io::stdout());
    writeln!(output, "Connection string:        Endpoint=http://{address};AccessKey=limit;Version=1.0;")?;
    output.flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let upstream = Arc::clone(&upstream);
        // The process ends as a whole; a connection that fails ends alone, and its client counts that.
        tokio::spawn(async move {
            let _ = serve_client(stream, &upstream).await;
        });
    }
}

async fn serve_client(mut stream: TcpStream, upstream: &Upstream) -> Result<(), Error> {
    let mut buffer = vec![0; BUFFER];
    let protocol = greet(&mut stream, &mut buffer).await?;
    let (mut decoder, mut outgoing) = (Decoder::default(), Vec::new());
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let mut bytes = &mut buffer[..read];
        while let Some(item) =
            decoder.next(&mut bytes, MAX_MESSAGE).map_err(|_| Error::from(ErrorKind::InvalidData))?
        {
            match item {
                Item::Text(text) => echo(protocol, &text, upstream, &mut outgoing).await?,
                Item::Close(..) => return Ok(()),
                _ => {}
            }
        }
        stream.write_all(&outgoing).await?;
        outgoing.clear();
    }
}

/// Does the upgrade and says `connected` to clients that expect it.
async fn greet(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<Protocol, Error> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read(buffer).await?;
        if read == 0 || request.len() > MAX_REQUEST {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&buffer[..read]);
    }
    let protocol = if String::from_utf8_lossy(&request).contains(SUBPROTOCOL_HEADER) {
        Protocol::Json
    } else {
        Protocol::Raw
    };
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPTED_KEY}\r\n"
    )
    .into_bytes();
    if protocol == Protocol::Json {
        answer.extend(format!("{SUBPROTOCOL_HEADER}: {}\r\n", Subprotocol::Json.name()).into_bytes());
    }
    answer.extend_from_slice(b"\r\n");
    if protocol == Protocol::Json {
        answer.extend_from_slice(Frame::new(Opcode::Text, CONNECTED).bytes());
    }
    stream.write_all(&answer).await?;
    Ok(protocol)
}

/// Asks the handler and appends its reply, and the ack behind it.
async fn echo(
    protocol: Protocol,
    text: &str,
    upstream: &Upstream,
    outgoing: &mut Vec<u8>,
) -> Result<(), Error> {
    let request = Request::read(protocol, text).ok_or(ErrorKind::InvalidData)?;
    let reply = upstream.call(request.data.as_bytes()).await.map_err(Error::other)?;
    let Some(ack_id) = request.ack_id else {
        outgoing.extend_from_slice(Frame::new(Opcode::Text, &reply).bytes());
        return Ok(());
    };
    // The callers' texts need no escapes.
    let reply = String::from_utf8_lossy(&reply);
    let message = format!(r#"{{"type":"message","from":"server","dataType":"text","data":"{reply}"}}"#);
    let ack = format!(r#"{{"type":"ack","ackId":{ack_id},"success":true}}"#);
    outgoing.extend_from_slice(Frame::new(Opcode::Text, message.as_bytes()).bytes());
    outgoing.extend_from_slice(Frame::new(Opcode::Text, ack.as_bytes()).bytes());
    Ok(())
}
