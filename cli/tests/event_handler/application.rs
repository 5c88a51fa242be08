//! Applications as small as they can be: a listener of this machine that answers each request as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(20);

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// An application; its threads end with the test's process.
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    requests: Mutex<Receiver<Request>>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// How one connection is served: TLS or not.
type Serve = Arc<dyn Fn(TcpStream, &Sender<Request>) + Send + Sync>;

impl Application {
    /// Answers each request with what `answer` gives: everything between `HTTP/1.1 ` and the body's length, and the
    /// body. An empty head is no answer at all.
    pub(crate) fn start(answer: impl Fn(&Request) -> (String, String) + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(move |socket, requests| serve(socket, &answer, requests)))
    }

    /// The same over TLS, with a chain and a key in PEM form.
    pub(crate) fn start_tls(
        (chain, key): (&str, &str),
        answer: impl Fn(&Request) -> (String, String) + Send + Sync + 'static,
    ) -> Self {
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        Self::listen(Arc::new(move |socket, requests| {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(StreamOwned::new(session, socket), &answer, requests);
        }))
    }

    fn listen(connection: Serve) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (sender, connection) = (sender.clone(), Arc::clone(&connection));
                thread::spawn(move || connection(socket, &sender));
            }
        });
        Self { address, requests: Mutex::new(requests) }
    }

    /// The next request that came.
    pub(crate) fn next(&self) -> Request {
        self.requests.lock().unwrap().recv_timeout(DEADLINE).unwrap()
    }

    /// Whether all requests that came have been taken.
    pub(crate) fn has_no_more(&self) -> bool {
        self.requests.lock().unwrap().try_recv().is_err()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// What a good application answers: it allows every origin and echoes what it is sent.
pub(crate) fn good(request: &Request) -> (String, String) {
    match request.method.as_str() {
        "OPTIONS" => ("200 OK\r\nWebHook-Allowed-Origin: *".into(), String::new()),
        _ => (
            "200 OK\r\nContent-Type: text/plain\r\nce-connectionState: e30=".into(),
            format!("echo {}", request.body),
        ),
    }
}

fn serve(
    stream: impl Read + Write,
    answer: &(impl Fn(&Request) -> (String, String) + ?Sized),
    requests: &Sender<Request>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        // The answer first: a test that has seen it may look for the request.
        let (head, body) = answer(&request);
        if requests.send(request).is_err() {
            return;
        }
        if head.is_empty() {
            continue;
        }
        let closes = head.contains("Connection: close");
        let text = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.get_mut().write_all(text.as_bytes()).is_err() || stream.get_mut().flush().is_err() || closes
        {
            return;
        }
    }
}

/// Nothing at the end of the connection, or when it speaks something else.
fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut request = Request::default();
    let first = line(stream)?;
    let mut words = first.split(' ');
    request.method = words.next()?.to_owned();
    request.target = words.next()?.to_owned();
    while let Some(line) = line(stream).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}
