//! Who may connect, and as what: the checks of a client's request, in the service's order (`client-protocols.md` 2).
//!
//! A decision over plain data; the upgrade itself is in `handshake`.

use std::borrow::Cow;

use http::{HeaderMap, Method, StatusCode, header, request};

use codec::ids::{ConnectionId, GroupName, HubName};
use codec::subprotocol::Subprotocol;

use crate::auth::audience::{Origins, RequestOrigin};
use crate::auth::permission::Permissions;
use crate::auth::token::{self, Claims, TokenError};
use crate::session::{Echo, SimpleMode, Speech};
use crate::settings::{AnonymousConnectPolicy, Settings};

/// What the node knows when a request arrives.
pub(super) struct Circumstances<'a> {
    pub(super) origins: &'a Origins,
    pub(super) settings: &'a Settings,
    pub(super) origin: &'a RequestOrigin<'a>,
    /// Seconds since 1970.
    pub(super) now: u64,
}

/// What becomes of a request that is not refused.
#[derive(Debug)]
pub(super) enum Admission {
    /// A new connection.
    Connect(Box<Guest>),
    /// A client wants to take up a connection again.
    Recover(Recovering),
}

/// A client's wish to take up a connection again.
#[derive(Debug)]
pub(super) struct Recovering {
    pub(super) hub: HubName,
    /// The connection, if the client has proved that it was its own.
    pub(super) connection_id: Option<ConnectionId>,
    /// The subprotocol to agree on if it cannot be, so that the client looks at the close code.
    pub(super) spelling: Option<String>,
}

/// A client that may connect.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) hub: HubName,
    pub(super) claims: Claims,
    pub(super) permissions: Permissions,
    /// What becomes of its payloads if it speaks no subprotocol of ours.
    pub(super) mode: SimpleMode,
    pub(super) subprotocol: Option<Subprotocol>,
    /// The name to agree on, as the client spelled it; of ours, or what the application chose.
    pub(super) spelling: Option<String>,
    /// The token that it was admitted with, for the application to look into.
    pub(super) token: Option<String>,
}

impl Guest {
    /// The name of what will be agreed on.
    pub(super) fn agreed(&self) -> Option<Cow<'static, str>> {
        let known = self.subprotocol.map(|subprotocol| Cow::Borrowed(subprotocol.name()));
        known.or_else(|| self.spelling.clone().map(Cow::Owned))
    }

    /// How broker and client will speak.
    pub(super) fn speech(&self) -> Speech {
        match self.subprotocol {
            Some(subprotocol) => Speech::Messages(subprotocol),
            None => Speech::Simple(self.mode.clone()),
        }
    }
}

/// Why a request is refused, before any upgrade.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("not a WebSocket request")]
    NotWebSocket,
    #[error("the hub is missing or has an invalid name")]
    Hub,
    #[error("no token, and the hub admits nobody without")]
    NoToken,
    #[error(transparent)]
    Token(TokenError),
    #[error("The token contains an invalid group name.")]
    TokenGroup,
    #[error("Invalid webpubsub_mode. Valid modes are sendToGroup and sendEvent.")]
    Mode,
    #[error("The raw sendToGroup group name is invalid.")]
    ModeGroup,
    #[error("Invalid noEcho. Valid values are true and false.")]
    NoEcho,
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::Token(_) => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The body of the answer; most refusals have none.
    pub(super) fn body(&self) -> String {
        match self {
            Self::TokenGroup | Self::Mode | Self::ModeGroup | Self::NoEcho => self.to_string(),
            Self::NotWebSocket | Self::Hub | Self::NoToken | Self::Token(_) => String::new(),
        }
    }

    /// Reason for metrics and logs when a token is at fault.
    pub(super) fn token_fault(&self) -> Option<&'static str> {
        match self {
            Self::NoToken => Some("missing"),
            Self::Token(error) => Some(error.reason()),
            _ => None,
        }
    }
}

/// Judges a request whose path, without the endpoint's prefix, is `path`.
pub(super) fn admit(
    head: &request::Parts,
    path: &str,
    circumstances: &Circumstances<'_>,
) -> Result<Admission, Refusal> {
    if !is_websocket(head) {
        return Err(Refusal::NotWebSocket);
    }
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let hub = hub(path, &query).ok_or(Refusal::Hub)?;
    let offers =
        || head.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
    let negotiated = Subprotocol::negotiate(offers());
    if let Some(connection_id) = &query.connection_id {
        let first = offers().flat_map(|list| list.split(',')).map(str::trim).find(|name| !name.is_empty());
        let spelling = negotiated.map(|negotiated| negotiated.spelling).or(first).map(str::to_owned);
        let connection_id = proven(connection_id, &query.reconnection_token, circumstances);
        return Ok(Admission::Recover(Recovering { hub, connection_id, spelling }));
    }
    let token = token(&head.headers, &query);
    let claims = claims(token, &hub, circumstances)?;
    let mode = query.mode()?;
    Ok(Admission::Connect(Box::new(Guest {
        permissions: permissions(&hub, &claims.roles),
        hub,
        claims,
        mode,
        token: token.map(str::to_owned),
        subprotocol: negotiated.map(|negotiated| negotiated.subprotocol),
        spelling: negotiated.map(|negotiated| negotiated.spelling.to_owned()),
    })))
}

/// The connection that a client wants to take up again, if its token is for that. The client's own token, which the SDKs
/// send as well and which may have expired, is not looked at.
fn proven(id: &str, token: &str, circumstances: &Circumstances<'_>) -> Option<ConnectionId> {
    let Circumstances { settings, now, .. } = circumstances;
    let connection_id = ConnectionId::parse(id).ok()?;
    match token::verify_reconnection(token, &connection_id, &settings.keys.internal, *now) {
        Ok(()) => Some(connection_id),
        Err(error) => {
            tracing::debug!(reason = error.reason(), "a reconnection token is refused");
            None
        }
    }
}

/// What roles permit.
pub(super) fn permissions(hub: &HubName, roles: &[String]) -> Permissions {
    let (permissions, dropped) = Permissions::from_roles(roles);
    for role in dropped {
        tracing::warn!(%hub, "a role is not applied: {role}");
    }
    permissions
}

/// RFC 6455, 4.2.1.
fn is_websocket(head: &request::Parts) -> bool {
    let has_word = |name, word: &str| {
        let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
    };
    let is_version_13 = head.headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|value| value == "13");
    // Sixteen bytes in base64.
    let has_key = head.headers.get(header::SEC_WEBSOCKET_KEY).is_some_and(|key| key.len() == 24);
    head.method == Method::GET
        && head.version == http::Version::HTTP_11
        && has_word(header::UPGRADE, "websocket")
        && has_word(header::CONNECTION, "upgrade")
        && is_version_13
        && has_key
}

/// The hub is the rest of the path, or in the legacy spelling a query value.
fn hub(path: &str, query: &Query) -> Option<HubName> {
    let name = match path.strip_prefix("/client/hubs/") {
        Some(segment) => {
            let segment = segment.strip_suffix('/').unwrap_or(segment);
            percent_encoding::percent_decode_str(segment).decode_utf8().ok()?.into_owned()
        }
        None if matches!(path, "/client" | "/client/") => query.hub.clone()?,
        None => return None,
    };
    HubName::new(&name).ok()
}

fn token<'a>(headers: &'a HeaderMap, query: &'a Query) -> Option<&'a str> {
    let in_header = || token::bearer(headers).filter(|token| !token.is_empty());
    query.access_token.as_deref().or_else(in_header)
}

fn claims(token: Option<&str>, hub: &HubName, circumstances: &Circumstances<'_>) -> Result<Claims, Refusal> {
    let Circumstances { origins, settings, origin, now } = circumstances;
    let Some(token) = token else {
        return match settings.hub(hub).anonymous_connect_policy {
            AnonymousConnectPolicy::Allow => Ok(Claims::default()),
            AnonymousConnectPolicy::Deny => Err(Refusal::NoToken),
        };
    };
    let audience = origins.client(origin, hub);
    token::verify_client(token, &settings.keys, &audience, *now).map_err(|error| match error {
        TokenError::InvalidGroup => Refusal::TokenGroup,
        error => Refusal::Token(error),
    })
}

/// The query parameters that mean something to us. Of a repeated one the last counts; names ignore case.
#[derive(Debug, Default)]
struct Query {
    hub: Option<String>,
    access_token: Option<String>,
    /// Present if the client wants to take up this connection again.
    connection_id: Option<String>,
    reconnection_token: String,
    mode: String,
    group: Option<String>,
    no_echo: String,
}

impl Query {
    fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.to_ascii_lowercase().as_str() {
                "hub" => parsed.hub = Some(value),
                "access_token" => parsed.access_token = (!value.is_empty()).then_some(value),
                "awps_connection_id" => parsed.connection_id = (!value.is_empty()).then_some(value),
                "awps_reconnection_token" => parsed.reconnection_token = value,
                "webpubsub_mode" => parsed.mode = value,
                "group" => parsed.group = Some(value),
                "noecho" => parsed.no_echo = value,
                _ => {}
            }
        }
        parsed
    }

    /// What simple clients do. It is checked for every client, also for one that will not need it.
    fn mode(&self) -> Result<SimpleMode, Refusal> {
        if self.mode.is_empty() || self.mode.eq_ignore_ascii_case("sendEvent") {
            return Ok(SimpleMode::SendEvent);
        }
        if !self.mode.eq_ignore_ascii_case("sendToGroup") {
            return Err(Refusal::Mode);
        }
        let group = self.group.as_deref().and_then(|group| GroupName::new(group).ok());
        let group = group.ok_or(Refusal::ModeGroup)?;
        let echo = match self.no_echo.to_ascii_lowercase().as_str() {
            "" | "false" => Echo::Wanted,
            "true" => Echo::Unwanted,
            _ => return Err(Refusal::NoEcho),
        };
        Ok(SimpleMode::SendToGroup { group, echo })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_simple_clients_is_read_from_the_last_values() {
        let send_to =
            |group: &str, echo| Ok(SimpleMode::SendToGroup { group: GroupName::new(group).unwrap(), echo });
        let check = |query: &str, expected: Result<SimpleMode, Refusal>| {
            assert_eq!(Query::parse(query).mode(), expected, "{query}");
        };
        check("", Ok(SimpleMode::SendEvent));
        check("webpubsub_mode=", Ok(SimpleMode::SendEvent));
        check("webpubsub_mode=SENDEVENT&noEcho=1&group=", Ok(SimpleMode::SendEvent));
        check("webpubsub_mode=sendtogroup&group=a%2Fb+c", send_to("a/b c", Echo::Wanted));
        check("webpubsub_mode=x&webpubsub_mode=sendToGroup&group=&group=g", send_to("g", Echo::Wanted));
        check("webpubsub_mode=sendToGroup&group=g&noEcho=1&noEcho=TRUE", send_to("g", Echo::Unwanted));
        check("webpubsub_mode=publish", Err(Refusal::Mode));
        check("webpubsub_mode=sendToGroup", Err(Refusal::ModeGroup));
        check("webpubsub_mode=sendToGroup&group=%20", Err(Refusal::ModeGroup));
        check("webpubsub_mode=sendToGroup&group=g&noEcho=yes", Err(Refusal::NoEcho));
    }

    #[test]
    fn the_hub_stands_in_the_path_or_in_the_legacy_query() {
        let check = |path: &str, query: &str, expected: Option<&str>| {
            let hub = hub(path, &Query::parse(query));
            assert_eq!(hub.as_ref().map(HubName::as_str), expected, "{path}?{query}");
        };
        check("/client/hubs/CHAT", "", Some("chat"));
        check("/client/hubs/chat/", "", Some("chat"));
        check("/client/hubs/chat%5B1%5D", "", Some("chat[1]"));
        check("/client/", "hub=chat", Some("chat"));
        check("/client", "HUB=chat", Some("chat"));
        check("/client", "", None);
        check("/client/hubs/", "", None);
        check("/client/hubs/a%20b", "", None);
        check("/client/hubs/a/b", "", None);
    }
}
