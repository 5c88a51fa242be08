//! Asking the application whether a client may connect, and as what. Source: `event-handlers.md` 9.

use std::collections::HashMap;

use codec::event::{ConnectAnswer, ConnectRequest};
use codec::subprotocol::Subprotocol;
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode, header};

use super::admission::{self, Guest};
use crate::auth::token;
use crate::events::{CallError, Unanswered};

/// Headers with this beginning are those of another product's insides.
const INTERNAL: &str = "x-asrs-internal-";
/// What a client is told that the application refuses.
const REJECTED: &str = "The connect event handler rejected the connection.";

/// Why a client may not connect.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    /// The application says so, with this status.
    #[error("its event handler rejects it")]
    ByHandler(StatusCode),
    /// The application could not be asked, or answered what cannot be.
    #[error("its event handler did not answer as it must")]
    NoAnswer,
}

impl Rejection {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::ByHandler(status) => *status,
            Self::NoAnswer => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn body(&self) -> &'static str {
        match self {
            Self::ByHandler(_) => REJECTED,
            Self::NoAnswer => "",
        }
    }
}

impl From<Unanswered> for Rejection {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            // The answer 101 would have the client believe that it is connected.
            Unanswered::Call(CallError::Status(status)) if !status.is_informational() => {
                Self::ByHandler(status)
            }
            Unanswered::Event(_) | Unanswered::Call(_) | Unanswered::Answer(_) | Unanswered::State => {
                Self::NoAnswer
            }
        }
    }
}

/// What the application is shown of a client's request.
pub(super) fn request(head: &Parts, guest: &Guest) -> ConnectRequest {
    ConnectRequest {
        claims: guest.token.as_deref().map(token::all_claims).unwrap_or_default(),
        query: query(head.uri.query().unwrap_or_default()),
        headers: headers(&head.headers),
        subprotocols: offers(head).map(str::to_owned).collect(),
    }
}

/// Subprotocols that a client offers, in its order.
pub(super) fn offers(head: &Parts) -> impl Iterator<Item = &str> {
    let lines = head.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let names = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    names.map(str::trim).filter(|name| !name.is_empty())
}

/// The client as the application wants it.
///
/// # Errors
/// [`Rejection::NoAnswer`] when it wants a subprotocol that the client did not offer: a client would not accept it.
pub(super) fn apply(answer: ConnectAnswer, mut guest: Guest, head: &Parts) -> Result<Guest, Rejection> {
    let ConnectAnswer { user_id, roles, groups, subprotocol } = answer;
    if let Some(user_id) = user_id {
        guest.claims.user_id = user_id;
    }
    if let Some(groups) = groups {
        guest.claims.groups = groups;
    }
    if let Some(roles) = roles {
        guest.permissions = admission::permissions(&guest.hub, &roles);
    }
    if let Some(wanted) = subprotocol.filter(|name| !name.is_empty()) {
        let offered = offers(head).find(|offer| offer.eq_ignore_ascii_case(&wanted));
        let offered = offered.ok_or(Rejection::NoAnswer)?;
        guest.subprotocol = Subprotocol::negotiate([offered]).map(|negotiated| negotiated.subprotocol);
        guest.spelling = Some(offered.to_owned());
    }
    Ok(guest)
}

fn query(query: &str) -> Vec<(String, Vec<String>)> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let shown = pairs.filter(|(name, _)| !name.eq_ignore_ascii_case("access_token"));
    grouped(shown.map(|(name, value)| (name.into_owned(), value.into_owned())))
}

fn headers(headers: &HeaderMap) -> Vec<(String, Vec<String>)> {
    let is_secret = |name: &HeaderName| *name == header::AUTHORIZATION || name.as_str().starts_with(INTERNAL);
    let shown = headers.iter().filter(|(name, _)| !is_secret(name));
    grouped(
        shown.map(|(name, value)| (usual_case(name), String::from_utf8_lossy(value.as_bytes()).into_owned())),
    )
}

/// The name as most clients write it. Applications look headers up by that, and HTTP libraries do not keep it.
fn usual_case(name: &HeaderName) -> String {
    let words = name.as_str().split('-').map(|word| match word {
        "websocket" => "WebSocket".to_owned(),
        word => {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
        }
    });
    words.collect::<Vec<_>>().join("-")
}

/// Values of the same name together, at the place of the first.
fn grouped(pairs: impl Iterator<Item = (String, String)>) -> Vec<(String, Vec<String>)> {
    let mut places = HashMap::new();
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in pairs {
        let place = *places.entry(name.clone()).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(value);
    }
    groups
}

#[cfg(test)]
mod tests {
    use codec::ids::{GroupName, HubName, UserId};
    use http::Request;

    use super::*;
    use crate::auth::permission::{Action, Permissions};
    use crate::auth::token::Claims;
    use crate::session::SimpleMode;

    const JSON: &str = "json.webpubsub.azure.v1";

    fn head(lines: &[(&str, &str)]) -> Parts {
        let request = Request::get("/client/hubs/chat?tag=a&Access_Token=secret&tag=b&x=");
        let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn guest() -> Guest {
        Guest {
            hub: HubName::new("chat").unwrap(),
            claims: Claims {
                user_id: UserId::new("ann").ok(),
                roles: Vec::new(),
                groups: vec![GroupName::new("token").unwrap()],
            },
            permissions: Permissions::from_roles(&["webpubsub.joinLeaveGroup".to_owned()]).0,
            mode: SimpleMode::SendEvent,
            subprotocol: Some(Subprotocol::Json),
            spelling: Some(JSON.to_owned()),
            token: None,
        }
    }

    #[test]
    fn the_application_sees_the_request_without_its_secrets() {
        let head = head(&[
            ("host", "rt.test"),
            ("authorization", "Bearer secret"),
            ("x-asrs-internal-a", "secret"),
            ("X-CUSTOM-thing", "1"),
            ("x-custom-thing", "2"),
            ("sec-websocket-protocol", "mqtt , chat"),
        ]);
        let request = request(&head, &guest());
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Host", "X-Custom-Thing", "Sec-WebSocket-Protocol"]);
        assert_eq!(request.headers[1].1, ["1", "2"]);
        let tag = ("tag".to_owned(), vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(request.query, [tag, ("x".to_owned(), vec![String::new()])]);
        assert_eq!(request.subprotocols, ["mqtt", "chat"]);
    }

    #[test]
    fn what_the_application_does_not_name_stays() {
        let head = head(&[("sec-websocket-protocol", JSON)]);
        let same = apply(ConnectAnswer::default(), guest(), &head).unwrap();
        assert_eq!(same.claims, guest().claims);
        assert_eq!((same.subprotocol, same.spelling), (Some(Subprotocol::Json), Some(JSON.to_owned())));
        let wishes = ConnectAnswer {
            user_id: Some(None),
            roles: Some(vec!["webpubsub.sendToGroup".to_owned()]),
            groups: Some(vec![GroupName::new("mine").unwrap()]),
            subprotocol: Some(String::new()),
        };
        let changed = apply(wishes, guest(), &head).unwrap();
        assert_eq!(changed.claims.user_id, None);
        assert_eq!(changed.claims.groups, [GroupName::new("mine").unwrap()]);
        let group = GroupName::new("any").unwrap();
        assert!(changed.permissions.allows(Action::SendToGroup, &group));
        assert!(!changed.permissions.allows(Action::JoinLeaveGroup, &group));
        assert_eq!(changed.subprotocol, Some(Subprotocol::Json));
    }

    #[test]
    fn a_subprotocol_must_have_been_offered() {
        let head = head(&[("sec-websocket-protocol", "mine"), ("sec-websocket-protocol", JSON)]);
        let choose = |name: &str| {
            let wishes = ConnectAnswer { subprotocol: Some(name.to_owned()), ..ConnectAnswer::default() };
            apply(wishes, guest(), &head).map(|guest| (guest.subprotocol, guest.spelling.unwrap()))
        };
        assert_eq!(choose("MINE"), Ok((None, "mine".to_owned())));
        assert_eq!(choose(JSON), Ok((Some(Subprotocol::Json), JSON.to_owned())));
        assert_eq!(choose("mqtt"), Err(Rejection::NoAnswer));
    }
}
