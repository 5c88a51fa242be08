//! From the URL of an event handler to an open socket: its name, its addresses, the first of them that answers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use broker::events::webhook::AddressRules;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::{Host, Url};

use super::report::{Done, Failure};

/// Finds the addresses that may be called.
pub(super) async fn resolve(
    url: &Url,
    rules: &AddressRules,
    limit: Duration,
) -> Result<Done<Vec<SocketAddr>>, Failure> {
    let port = url.port_or_known_default().unwrap_or(443);
    let (found, begin) = match url.host() {
        Some(Host::Domain(name)) => (lookup(name, port, limit).await?, format!("{name} is")),
        Some(Host::Ipv4(address)) => {
            (vec![SocketAddr::from((address, port))], "the URL has the address".to_owned())
        }
        Some(Host::Ipv6(address)) => {
            (vec![SocketAddr::from((address, port))], "the URL has the address".to_owned())
        }
        None => {
            return Err(Failure::new(
                "the URL has no host",
                "Write one such as http://127.0.0.1:7070/{event}.",
            ));
        }
    };
    let (usable, refused): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| rules.permit(address.ip()));
    if usable.is_empty() {
        return Err(Failure::new(
            format!("{begin} {}, which must not be called", list(&refused)),
            "It is an address of a cloud's metadata, of a group of machines or of nobody, or a private one that this \
             configuration refuses. Name the application's own, or allow its network with --allow-handler-network.",
        ));
    }
    let but = match refused.as_slice() {
        [] => String::new(),
        refused => format!("; refused: {}", list(refused)),
    };
    let detail = format!("{begin} {}{but}", list(&usable));
    Ok(Done { value: usable, detail })
}

async fn lookup(name: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, Failure> {
    let advice = "Check the spelling, and that this machine's DNS knows the name. Inside a container or a cluster the \
                  names are those of its own network.";
    let found = match timeout(limit, lookup_host((name, port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => return Err(Failure::new(format!("{name} has no address: {error}"), advice)),
        Err(_) => {
            return Err(Failure::new(format!("nobody said in {limit:?} which address {name} has"), advice));
        }
    };
    if found.is_empty() {
        return Err(Failure::new(format!("{name} has no address"), advice));
    }
    Ok(found)
}

/// Connects to the first address that accepts.
pub(super) async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<Done<TcpStream>, Failure> {
    let mut tried = Vec::new();
    let mut last = None;
    for &address in addresses {
        let error = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                let before = match tried.as_slice() {
                    [] => String::new(),
                    tried => format!("; before that, {}", tried.join("; ")),
                };
                // A request is small, and its answer is waited for.
                let _ = socket.set_nodelay(true);
                return Ok(Done { value: socket, detail: format!("{address} accepts connections{before}") });
            }
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        tried.push(format!("{address}: {}", in_words(&error)));
        last = Some(error.kind());
    }
    let advice = match last {
        Some(io::ErrorKind::ConnectionRefused) => {
            "Is the application running, and does it listen on this port and address? Inside a container, localhost \
             is the container itself."
        }
        Some(io::ErrorKind::TimedOut) => {
            "Nothing comes back: most often a firewall or a network policy stands in between, or the address is wrong."
        }
        _ => "Check that this machine can reach the application's network.",
    };
    Err(Failure::new(tried.join("; "), advice))
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string(),
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    let mut shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    shown.dedup();
    shown.join(", ")
}
