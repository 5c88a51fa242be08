//! The question whether a handler wants events: the request, and which answers are a consent.
//!
//! Source: `event-handlers.md` 5, with what the CloudEvents abuse protection says of lists.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::time::{sleep, timeout};
use url::Url;

use crate::events::webhook::transport::{Outgoing, Reply, Transport};
use crate::events::webhook::{CallError, ORIGIN, retry};

const VERSION: HeaderName = HeaderName::from_static("ce-awpsversion");
const ALLOWED: HeaderName = HeaderName::from_static("webhook-allowed-origin");
/// Longest time for each of the two requests, with its retries.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of the body, which nobody looks at.
const BODY: usize = 64 * 1024;

/// Asks, by `OPTIONS`, and by `GET` where that does not exist.
pub(in crate::events::webhook) async fn ask(
    transport: &Transport,
    url: Url,
    origin: HeaderValue,
) -> Result<(), CallError> {
    let mut request = Outgoing {
        method: Method::OPTIONS,
        url,
        headers: HeaderMap::from_iter([(ORIGIN, origin.clone()), (VERSION, HeaderValue::from_static("1.0"))]),
        body: Bytes::new(),
        answer_bytes: BODY,
        room: None,
    };
    let mut result = patiently(transport, &request).await;
    if matches!(result, Err(CallError::Status(StatusCode::NOT_FOUND))) {
        request.method = Method::GET;
        result = patiently(transport, &request).await;
    }
    match result {
        Ok(reply) if agrees(&reply.headers, origin.as_bytes()) => Ok(()),
        Ok(_) => Err(unwilling("no WebHook-Allowed-Origin in its answer names this origin or *".to_owned())),
        Err(CallError::AddressRefused) => Err(CallError::AddressRefused),
        Err(CallError::Status(status)) => Err(unwilling(format!("it answered {status}"))),
        Err(CallError::Unreachable(why)) => Err(unwilling(format!("it cannot be reached: {why}"))),
        Err(CallError::TimedOut) => Err(unwilling("it did not answer within 10 seconds".to_owned())),
        Err(other) => Err(unwilling(other.to_string())),
    }
}

fn unwilling(why: String) -> CallError {
    CallError::NotValidated(why.into())
}

/// Asks again as for an event. When time is over the last failure tells more than that it is over.
async fn patiently(transport: &Transport, request: &Outgoing) -> Result<Reply, CallError> {
    let mut last = CallError::TimedOut;
    let attempts = async {
        for attempt in 0.. {
            last = match transport.send(request).await {
                Ok(reply) if reply.status.is_success() => return Some(reply),
                Ok(reply) => CallError::Status(reply.status),
                Err(error) => error,
            };
            sleep(retry::wait_after(attempt, &last)?).await;
        }
        None
    };
    let answered = timeout(PATIENCE, attempts).await.ok().flatten();
    answered.ok_or(last)
}

/// Whether one of the origins that a handler allows is `origin`, alone or with a port.
fn agrees(headers: &HeaderMap, origin: &[u8]) -> bool {
    let lines = headers.get_all(ALLOWED).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).any(|allowed| {
        let port = |rest: &[u8]| {
            rest.is_empty()
                || matches!(rest, [b':', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
        };
        let (host, rest) = allowed.split_at(origin.len().min(allowed.len()));
        allowed == b"*" || (host.eq_ignore_ascii_case(origin) && !origin.is_empty() && port(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_without_case_and_port_in_lines_and_lists() {
        let check = |lines: &[&str], origin: &str, expected| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ALLOWED, HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(agrees(&headers, origin.as_bytes()), expected, "{headers:?} {origin}");
        };
        let rt = "rt.example.com";
        check(&["*"], rt, true);
        check(&["rt.example.com"], rt, true);
        check(&["RT.Example.com"], rt, true);
        check(&["rt.example.com:8443"], rt, true);
        check(&["a.example.com", "rt.example.com"], rt, true);
        check(&["a.example.com, rt.example.com ,b"], rt, true);
        check(&["a.example.com,*"], rt, true);
        check(&["[::1]:8080"], "[::1]", true);
        check(&["[::1]"], "[::1]", true);
        check(&[], rt, false);
        check(&[""], rt, false);
        check(&["", ","], "", false);
        check(&["rt.example.com.evil.test"], rt, false);
        check(&["rt.example.com:"], rt, false);
        check(&["rt.example.com:x"], rt, false);
        check(&["https://rt.example.com"], rt, false);
        check(&["*.example.com"], rt, false);
        check(&["example.com"], rt, false);
    }
}
