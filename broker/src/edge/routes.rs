//! From a URL to the room that answers it: clients, the playground or REST.

use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use hyper::body::Incoming;

use crate::auth::audience::{Origins, Peer};
use crate::client::Handshake;
use crate::playground::{Answer, Playground};
use crate::rest::Rest;

/// What a response carries: bytes that are all there, or, for the trace alone, bytes that come as things happen.
pub type RouteBody = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>;

/// The rooms of one worker that answer requests.
pub struct Routes {
    /// Answers clients.
    pub handshake: Rc<Handshake>,
    /// Answers a developer's browser, if it is switched on.
    pub playground: Option<Playground>,
    /// Answers everything else.
    pub rest: Rest,
    /// Knows the prefix that paths may have.
    pub origins: Origins,
}

impl Routes {
    /// Answers a request from `peer`.
    pub async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<RouteBody> {
        let path = self.origins.strip_prefix(request.uri().path());
        if is_client(path) {
            let path = path.to_owned();
            return self.handshake.handle(request, &path, peer).await.map(Either::Left);
        }
        let playground = self.playground.as_ref().and_then(|playground| playground.at(path));
        match playground {
            None => self.rest.handle(request, peer).await.map(Either::Left),
            Some(place) => {
                let (head, _) = request.into_parts();
                match place.answer(&head.method, || self.rest.admits(&head, peer)) {
                    Answer::Whole(response) => response.map(Either::Left),
                    Answer::Stream(response) => response.map(Either::Right),
                }
            }
        }
    }
}

/// Whether a path is that of the client endpoint, with a hub in it or in the query.
fn is_client(path: &str) -> bool {
    match path.strip_prefix("/client/hubs/") {
        Some(hub) => !hub.strip_suffix('/').unwrap_or(hub).contains('/'),
        None => matches!(path, "/client" | "/client/"),
    }
}
