//! From a URL to the room that answers it: clients or REST.

use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::auth::audience::{Origins, Peer};
use crate::client::Handshake;
use crate::rest::Rest;

/// The rooms of one worker that answer requests.
pub struct Routes {
    /// Answers clients.
    pub handshake: Rc<Handshake>,
    /// Answers everything else.
    pub rest: Rest,
    /// Knows the prefix that paths may have.
    pub origins: Origins,
}

impl Routes {
    /// Answers a request from `peer`.
    pub async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<Full<Bytes>> {
        let path = self.origins.strip_prefix(request.uri().path());
        if !is_client(path) {
            return self.rest.handle(request, peer).await;
        }
        let path = path.to_owned();
        self.handshake.handle(request, &path, peer)
    }
}

/// Whether a path is that of the client endpoint, with a hub in it or in the query.
fn is_client(path: &str) -> bool {
    match path.strip_prefix("/client/hubs/") {
        Some(hub) => !hub.strip_suffix('/').unwrap_or(hub).contains('/'),
        None => matches!(path, "/client" | "/client/"),
    }
}
