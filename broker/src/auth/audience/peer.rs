//! The other end of a socket, and its requests as far as they say where they were sent.

use std::net::IpAddr;

use http::header::HOST;
use http::request::Parts;

use super::{Forwarded, RequestOrigin, Scheme};

/// Who is at the other end of a socket.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// What the listener speaks.
    pub scheme: Scheme,
}

impl Peer {
    /// A request of this peer.
    pub fn origin(self, head: &Parts) -> RequestOrigin<'_> {
        let header = |name| head.headers.get(name)?.to_str().ok();
        // HTTP/2 has the authority in the URL, HTTP/1.1 in a header.
        let in_url = head.uri.authority().map(|authority| authority.as_str());
        RequestOrigin {
            scheme: self.scheme,
            authority: in_url.or_else(|| head.headers.get(HOST)?.to_str().ok()).unwrap_or_default(),
            path: head.uri.path(),
            peer: self.address,
            forwarded: Forwarded::read(header),
        }
    }
}
