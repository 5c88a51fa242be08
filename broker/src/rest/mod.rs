//! The REST data plane: the table of operations, and the way of every call from request to response.
//!
//! A call is found in the table, its token is checked, its query is read, and then its operation's function parses the
//! rest and puts a command or a question to the router. One file per resource holds these functions; `error.rs` is the
//! one place that knows statuses of errors. No socket is known here, and no member of a hub: `edge` hands requests in,
//! the router finds the members. Contract: `rest-api.md`.

mod access;
mod batch;
mod body;
mod call;
mod connection;
mod content;
mod continuation;
mod cors;
mod error;
mod group;
mod health;
mod hub;
mod metadata;
mod names;
mod operation;
mod paging;
mod permission;
mod query;
mod response;
mod send;
mod token;
mod user;

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use codec::filter::{Filter, FilterCache};
use http::header::EXPECT;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use tokio::sync::watch;

pub use self::cors::CorsOrigins;
pub use self::health::Readiness;
pub use self::operation::Operation;

use self::call::{Call, Outcome};
use self::error::RestError;
use self::names::{Names, SlashEscape};
use self::query::Query;
use crate::auth::audience::{Origins, Peer};
use crate::auth::token::EntraTokens;
use crate::router::Router;
use crate::settings::Settings;
use crate::telemetry::metrics::{Metrics, RestOperation};
use crate::telemetry::throttle::Throttle;

/// How many compiled filters a worker keeps: callers use a few templates with many values.
const KEPT_FILTERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// Method and path template of every operation. The parts of a template in braces are names.
const TABLE: [(Method, &str, Operation); 26] = [
    (Method::HEAD, "/api/health", Operation::GetServiceStatus),
    (Method::GET, "/api/health", Operation::GetServiceStatus),
    (Method::POST, "/api/hubs/{hub}/:addToGroups", Operation::AddConnectionsToGroups),
    (Method::POST, "/api/hubs/{hub}/:closeConnections", Operation::CloseAllConnections),
    (Method::POST, "/api/hubs/{hub}/:generateToken", Operation::GenerateClientToken),
    (Method::POST, "/api/hubs/{hub}/:removeFromGroups", Operation::RemoveConnectionsFromGroups),
    (Method::POST, "/api/hubs/{hub}/:send", Operation::SendToAll),
    (Method::DELETE, "/api/hubs/{hub}/connections/{connection}", Operation::CloseConnection),
    (Method::HEAD, "/api/hubs/{hub}/connections/{connection}", Operation::ConnectionExists),
    (Method::POST, "/api/hubs/{hub}/connections/{connection}/:send", Operation::SendToConnection),
    (
        Method::DELETE,
        "/api/hubs/{hub}/connections/{connection}/groups",
        Operation::RemoveConnectionFromAllGroups,
    ),
    (Method::HEAD, "/api/hubs/{hub}/groups/{group}", Operation::GroupExists),
    (Method::POST, "/api/hubs/{hub}/groups/{group}/:closeConnections", Operation::CloseGroupConnections),
    (Method::GET, "/api/hubs/{hub}/groups/{group}/connections", Operation::ListConnectionsInGroup),
    (Method::POST, "/api/hubs/{hub}/groups/{group}/:send", Operation::SendToGroup),
    (Method::PUT, "/api/hubs/{hub}/groups/{group}/connections/{connection}", Operation::AddConnectionToGroup),
    (
        Method::DELETE,
        "/api/hubs/{hub}/groups/{group}/connections/{connection}",
        Operation::RemoveConnectionFromGroup,
    ),
    (
        Method::PUT,
        "/api/hubs/{hub}/permissions/{permission}/connections/{connection}",
        Operation::GrantPermission,
    ),
    (
        Method::DELETE,
        "/api/hubs/{hub}/permissions/{permission}/connections/{connection}",
        Operation::RevokePermission,
    ),
    (
        Method::HEAD,
        "/api/hubs/{hub}/permissions/{permission}/connections/{connection}",
        Operation::CheckPermission,
    ),
    (Method::HEAD, "/api/hubs/{hub}/users/{user}", Operation::UserExists),
    (Method::POST, "/api/hubs/{hub}/users/{user}/:closeConnections", Operation::CloseUserConnections),
    (Method::POST, "/api/hubs/{hub}/users/{user}/:send", Operation::SendToUser),
    (Method::PUT, "/api/hubs/{hub}/users/{user}/groups/{group}", Operation::AddUserToGroup),
    (Method::DELETE, "/api/hubs/{hub}/users/{user}/groups/{group}", Operation::RemoveUserFromGroup),
    (Method::DELETE, "/api/hubs/{hub}/users/{user}/groups", Operation::RemoveUserFromAllGroups),
];

/// How REST calls are read and answered. Fixed for the process.
#[derive(Debug, Clone)]
pub struct RestConfig {
    /// Read an escaped slash in a path as its three characters, as the service does, instead of as a slash. Off by
    /// default, because then groups whose names have a slash could not be addressed by path.
    pub legacy_slash_escape: bool,
    /// Web origins whose pages may read our answers.
    pub cors_origins: CorsOrigins,
    /// What becomes of tokens of an identity provider.
    pub entra_tokens: EntraTokens,
}

/// What a worker's REST room is made of.
pub struct RestParts {
    /// How calls are read and answered.
    pub config: RestConfig,
    /// Where commands and questions go.
    pub router: Router,
    /// Under which names callers know us.
    pub origins: Origins,
    /// Keys, which may change while we run.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// Where calls are counted.
    pub metrics: Arc<Metrics>,
    /// Whether the node wants work; asked at every health check.
    pub readiness: Box<dyn Fn() -> Readiness>,
    /// Refusals, which anybody can cause.
    pub refusals: Throttle,
}

/// The REST room of one worker.
pub struct Rest {
    parts: RestParts,
    paths: matchit::Router<Vec<(Method, Operation)>>,
    filters: RefCell<FilterCache>,
    /// One for each operation, in the order of [`Operation::ALL`].
    counters: Vec<RestOperation>,
    /// For calls that are no operation.
    uncategorized: RestOperation,
}

impl Rest {
    /// Builds the room. Done once for each worker.
    pub fn new(parts: RestParts) -> Self {
        let counters = Operation::ALL.iter().map(|operation| parts.metrics.rest_operation(operation.id()));
        Self {
            counters: counters.collect(),
            uncategorized: parts.metrics.rest_operation("Uncategorized"),
            // The table is a constant, and a test inserts all of it.
            paths: paths().unwrap_or_default(),
            filters: RefCell::new(FilterCache::new(KEPT_FILTERS)),
            parts,
        }
    }

    /// Says whether the token of a request is one with which REST calls may be made to its URL. For what is no
    /// operation but is for the same callers.
    pub fn admits(&self, head: &Parts, peer: Peer) -> bool {
        access::authorize(&self.parts, head, peer).is_ok()
    }

    /// Answers a request. It never fails: whatever is wrong is in the response.
    pub async fn handle<B>(&self, request: Request<B>, peer: Peer) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let started = Instant::now();
        let (head, mut body) = request.into_parts();
        let (operation, mut response) = self.answer(&head, peer, &mut body).await;
        response::finish(&head.method, &head.headers, &mut response);
        self.parts.config.cors_origins.allow(&head.headers, response.headers_mut());
        let counter = operation.map_or(&self.uncategorized, |operation| &self.counters[operation as usize]);
        counter.answered(response.status().as_u16(), started.elapsed());
        // A caller that waits for permission to send its body has not sent it, and now knows that it need not.
        if !body.is_end_stream() && !head.headers.contains_key(EXPECT) {
            body::discard(&mut body).await;
        }
        response
    }

    async fn answer<B>(
        &self,
        head: &Parts,
        peer: Peer,
        body: &mut B,
    ) -> (Option<Operation>, Response<Full<Bytes>>)
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let path = self.parts.origins.strip_prefix(head.uri.path());
        if head.method == Method::OPTIONS && path.starts_with("/api/") {
            let mut response = response::empty(StatusCode::NO_CONTENT);
            cors::preflight(&head.headers, response.headers_mut());
            return (None, response);
        }
        let path = names::normalize(path);
        let (operation, segments) = match self.find(&head.method, &path) {
            Ok(found) => found,
            Err(error) => return (None, response::from_outcome(Err(error))),
        };
        let names = Names { segments, slash: self.slash_escape() };
        let outcome = self.carry_out(operation, Found { head, peer, names, path: &path }, body).await;
        if let Err(RestError::Internal(fault)) = &outcome {
            tracing::error!(operation = operation.id(), fault, "a REST call failed");
        }
        (Some(operation), response::from_outcome(outcome))
    }

    /// Checks what all operations have in common, and carries out this one. The token comes first, so that nobody
    /// learns from our answers, or makes us read a body, without one.
    async fn carry_out<B>(&self, operation: Operation, found: Found<'_>, body: &mut B) -> Outcome
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Found { head, peer, names, path } = found;
        let caller = match operation {
            Operation::GetServiceStatus => None,
            _ => Some(access::authorize(&self.parts, head, peer)?),
        };
        let query = Query::parse(head.uri.query())?;
        query.check_version()?;
        let call = Call { rest: self, head, peer, caller, names, query, path };
        operation.run(&call, body).await
    }

    fn find<'p>(
        &'p self,
        method: &Method,
        path: &'p str,
    ) -> Result<(Operation, matchit::Params<'p, 'p>), RestError> {
        let found = self.paths.at(path).map_err(|_| RestError::UnknownPath)?;
        match found.value.iter().find(|(allowed, _)| allowed == method) {
            Some((_, operation)) => Ok((*operation, found.params)),
            None => {
                let methods = found.value.iter().map(|(method, _)| method.as_str()).chain(["OPTIONS"]);
                Err(RestError::Method { allowed: methods.collect::<Vec<_>>().join(", ") })
            }
        }
    }

    fn slash_escape(&self) -> SlashEscape {
        match self.parts.config.legacy_slash_escape {
            true => SlashEscape::Kept,
            false => SlashEscape::Decoded,
        }
    }

    fn status(&self) -> Outcome {
        health::status((self.parts.readiness)())
    }

    /// A compiled filter; an empty text is no filter.
    fn filter(&self, text: Option<&str>) -> Result<Option<Filter>, RestError> {
        let text = text.filter(|text| !text.is_empty());
        Ok(text.map(|text| self.filters.borrow_mut().get(text)).transpose()?)
    }
}

/// A request whose operation is known.
struct Found<'f> {
    head: &'f Parts,
    peer: Peer,
    names: Names<'f>,
    path: &'f str,
}

/// The table in the form in which a path is looked up.
fn paths() -> Result<matchit::Router<Vec<(Method, Operation)>>, matchit::InsertError> {
    let mut paths = matchit::Router::new();
    let mut templates: Vec<&str> = TABLE.iter().map(|(_, template, _)| *template).collect();
    templates.sort_unstable();
    templates.dedup();
    for template in templates {
        let rows = TABLE.iter().filter(|(_, known, _)| *known == template);
        paths.insert(template, rows.map(|(method, _, operation)| (method.clone(), *operation)).collect())?;
    }
    Ok(paths)
}

/// Seconds since 1970: the one place where this room looks at the clock.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_found() {
        let paths = paths().unwrap();
        for (method, template, operation) in TABLE {
            let path = template.replace('{', "x").replace('}', "y");
            let found = paths.at(&path).unwrap();
            assert!(found.value.contains(&(method, operation)), "{template}");
        }
    }

    #[test]
    fn every_operation_is_in_the_table() {
        for operation in Operation::ALL {
            assert!(TABLE.iter().any(|(_, _, row)| row == operation), "{}", operation.id());
        }
        assert_eq!(Operation::ALL.len(), 25);
    }
}
