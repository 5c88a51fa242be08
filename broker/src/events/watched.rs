//! A call as the trace shows it, made only when somebody watches.

use std::time::Duration;

use http::HeaderName;
use http::header::CONTENT_TYPE;

use super::webhook::{Answer, Call, CallError};
use crate::telemetry::trace::{Client, Excerpt, Outcome, Record, SafeUrl};

const CONNECTION: HeaderName = HeaderName::from_static("ce-connectionid");
const USER: HeaderName = HeaderName::from_static("ce-userid");

pub(super) fn handler_called(call: &Call, took: Duration, result: &Result<Answer, CallError>) -> Record {
    let header = |name| call.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    Record::HandlerCalled {
        client: Client {
            hub: call.route.hub.to_string(),
            connection: header(CONNECTION).unwrap_or_default().into_owned(),
            user: header(USER).map(|user| Excerpt::of(&user)),
        },
        event: Excerpt::of(&call.route.event),
        url: SafeUrl::of(call.route.url.as_str()),
        outcome: outcome(result),
        attempts: u32::try_from(call.attempts.get()).unwrap_or(u32::MAX),
        took,
    }
}

fn outcome(result: &Result<Answer, CallError>) -> Outcome {
    match result {
        Ok(answer) => {
            let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            Outcome::Answered {
                status: answer.status.as_u16(),
                content_type: content_type.map(Excerpt::of),
                bytes: answer.body.len(),
            }
        }
        Err(error) => Outcome::Failed(Excerpt::of(&error.to_string())),
    }
}
