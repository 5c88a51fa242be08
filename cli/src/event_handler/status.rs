//! Statuses of applications in plain words.

use http::{HeaderMap, StatusCode, header};

use super::report::Failure;

/// Which request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Whether the application agrees to get events.
    Validation,
    /// To take an event, signed with a key from there.
    Event { key_source: &'static str },
}

/// Why a status is not a success, and what to do. `what` names request and path.
pub(super) fn failure(what: &str, status: StatusCode, headers: &HeaderMap, asked: Asked) -> Failure {
    let detail = format!("{what} was answered {}", named(status));
    let advice = match (status.as_u16(), asked) {
        (300..=399, _) => return Failure::new(format!("{detail}{}", destination(headers)), REDIRECT),
        (400, Asked::Event { .. }) => {
            "The application did not understand the event. Middlewares of the service answer so when the hub or the \
             origin is not one that they were set up for: compare --hub and --origin with the application's code."
                .to_owned()
        }
        (401 | 403, Asked::Validation) => {
            "Something asks for a login: validation carries no key, token or cookie, so the application, or the \
             gateway in front of it, must let OPTIONS through without one."
                .to_owned()
        }
        (401 | 403, Asked::Event { key_source }) => format!(
            "The event was signed with {key_source}. Most often the application checks signatures with another key: \
             its connection string must have the same AccessKey as the node. If it asks for a login of its own, name \
             it under auth in the hub settings."
        ),
        (404, _) => {
            "Nothing answers at this path. The Express middleware listens below /api/webpubsub/hubs/HUB/ unless the \
             application chose another path, Azure Functions below /runtime/webhooks/webpubsub: compare it with the \
             path of the URL."
                .to_owned()
        }
        (405, Asked::Validation) => {
            "The application does not answer OPTIONS at this path. It must, or answer it with 404 and GET instead."
                .to_owned()
        }
        (405, Asked::Event { .. }) => "The application does not take POST at this path.".to_owned(),
        (413, _) => "The application, or the gateway in front of it, takes shorter bodies only.".to_owned(),
        (415, _) => "The application does not take text/plain; charset=utf-8, which text events have.".to_owned(),
        (429, _) => "The application is asked too often. A node would not try again.".to_owned(),
        (408 | 500..=599, _) => {
            "The application failed: look into its log. A node would try three times more.".to_owned()
        }
        _ => "The application must answer 2xx. Its own log may say why it did not.".to_owned(),
    };
    Failure::new(detail, advice)
}

/// A status with its usual words.
pub(super) fn named(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

const REDIRECT: &str = "Redirects are not followed: write the URL to which it leads into the settings.";

/// Where a redirect leads, without the query, which may hold a secret.
fn destination(headers: &HeaderMap) -> String {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    location.and_then(|text| text.split('?').next()).map_or(String::new(), |place| format!(", to {place}"))
}
