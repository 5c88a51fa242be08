//! The handshake by which an application agrees to get events. Source: `event-handlers.md` 5.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;

use super::exchange::{Answer, request};
use super::line::Line;
use super::report::{Done, Failure};
use super::status::{self, Asked};

const ALLOWED: &str = "webhook-allowed-origin";
const ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const VERSION: HeaderName = HeaderName::from_static("ce-awpsversion");

/// Asks whether `origin` may send events, with OPTIONS, and with GET where that is answered 404.
pub(super) async fn validate(
    line: &mut Line<'_>,
    url: &Url,
    origin: &HeaderValue,
) -> Result<Done<()>, Failure> {
    let options = ask(line, Method::OPTIONS, url, origin).await?;
    if options.status != StatusCode::NOT_FOUND {
        return judge(Method::OPTIONS.as_str(), url, origin, &options);
    }
    let get = ask(line, Method::GET, url, origin).await?;
    judge("OPTIONS was answered 404, and GET", url, origin, &get)
}

async fn ask(
    line: &mut Line<'_>,
    method: Method,
    url: &Url,
    origin: &HeaderValue,
) -> Result<Answer, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(ORIGIN, origin.clone());
    headers.insert(VERSION, HeaderValue::from_static("1.0"));
    line.send(&request(method, url, headers, Bytes::new())?).await
}

fn judge(method: &str, url: &Url, origin: &HeaderValue, answer: &Answer) -> Result<Done<()>, Failure> {
    let what = format!("{method} {}", url.path());
    if !answer.status.is_success() {
        return Err(status::failure(&what, answer.status, &answer.headers, Asked::Validation));
    }
    let named = status::named(answer.status);
    let lines: Vec<&str> =
        answer.headers.get_all(ALLOWED).iter().filter_map(|line| line.to_str().ok()).collect();
    let origin = origin.to_str().unwrap_or_default();
    if lines.iter().flat_map(|line| line.split(',')).any(|allowed| allows(allowed.trim(), origin)) {
        let detail = format!("{what} was answered {named} and allows {}", lines.join(", "));
        return Ok(Done { value: (), detail });
    }
    if lines.is_empty() {
        let advice = if answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS) {
            "A CORS middleware has answered in the application's place: put the one for Web PubSub before it."
        } else {
            "The application must answer with WebHook-Allowed-Origin: * or the node's host name. Does the path lead to \
             the middleware for Web PubSub?"
        };
        return Err(Failure::new(
            format!("{what} was answered {named} without WebHook-Allowed-Origin"),
            advice,
        ));
    }
    Err(Failure::new(
        format!("{what} allows {}, and not {origin}", lines.join(", ")),
        "The application allows the host names that it was set up with, such as that of its connection string. Use the \
         node's public host name there, and name it here with --origin.",
    ))
}

/// Some middlewares repeat the port that their endpoint has.
fn allows(allowed: &str, origin: &str) -> bool {
    let host = match allowed.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => allowed,
    };
    allowed == "*" || allowed.eq_ignore_ascii_case(origin) || host.eq_ignore_ascii_case(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_allowed_by_name_with_or_without_a_port() {
        for (allowed, expected) in [
            ("*", true),
            ("RT.example.com", true),
            ("rt.example.com:8443", true),
            ("rt.example.com:", false),
            ("example.com", false),
            ("rt.example.com.evil.test", false),
            ("", false),
        ] {
            assert_eq!(allows(allowed, "rt.example.com"), expected, "{allowed}");
        }
    }
}
