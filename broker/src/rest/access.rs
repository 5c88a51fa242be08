//! Who makes a call: the token of a request is checked here. The rules are those of `auth`.

use http::request::Parts;

use super::error::RestError;
use super::{RestParts, now};
use crate::auth::audience::Peer;
use crate::auth::token::{self, RestRules};
use crate::telemetry::throttle::Pass;

pub(super) use crate::auth::token::Caller;

pub(super) fn authorize(parts: &RestParts, head: &Parts, peer: Peer) -> Result<Caller, RestError> {
    let refuse = |reason: &'static str| {
        parts.metrics.auth_failure(reason);
        RestError::Unauthorized
    };
    let token = token::bearer(&head.headers).ok_or_else(|| refuse("missing"))?;
    let keys = parts.settings.borrow().keys.clone();
    let origin = peer.origin(head);
    let audience = parts.origins.rest(&origin);
    let rules = RestRules { keys: &keys, audience: &audience, entra: parts.config.entra_tokens };
    token::verify_rest(token, &rules, now()).map_err(|error| {
        if let Some(Pass { withheld }) = parts.refusals.pass() {
            tracing::info!(withheld, "a REST call is refused: {error}");
        }
        refuse(error.reason())
    })
}
