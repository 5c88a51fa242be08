//! Cross-origin calls from web pages. Callers use bearer tokens and no cookies, so that any origin may be let in.
//! Source: `rest-api.md` 13.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,POST,PUT,DELETE,OPTIONS");
const EXPOSED: HeaderValue = HeaderValue::from_static("x-ms-error-code, api-supported-versions");
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Which web origins may read our answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CorsOrigins {
    /// All.
    #[default]
    Any,
    /// These, each as a browser writes it: scheme, host, and the port unless it is the scheme's own.
    List(Vec<String>),
}

impl CorsOrigins {
    /// Adds to a response what lets the page that asked read it.
    pub(super) fn allow(&self, request: &HeaderMap, response: &mut HeaderMap) {
        let Some(origin) = request.get(ORIGIN) else {
            return;
        };
        match self {
            Self::Any => {
                response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
            }
            Self::List(origins) => {
                response.insert(VARY, HeaderValue::from_static("Origin"));
                let listed = |known: &String| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
                if !origins.iter().any(listed) {
                    return;
                }
                response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            }
        }
        response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// Adds to a response what a browser asks before it makes a call: which methods and headers it may use.
pub(super) fn preflight(request: &HeaderMap, response: &mut HeaderMap) {
    response.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    response.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    for headers in request.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        response.append(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origins: &CorsOrigins, origin: Option<&str>, expected: Option<&str>) {
        let (mut request, mut response) = (HeaderMap::new(), HeaderMap::new());
        if let Some(origin) = origin {
            request.insert(ORIGIN, origin.parse().unwrap());
        }
        origins.allow(&request, &mut response);
        let allowed = response.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap());
        assert_eq!(allowed, expected, "{origins:?} {origin:?}");
        assert_eq!(response.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS), expected.is_some());
    }

    #[test]
    fn listed_origins_are_echoed_and_any_is_a_star() {
        let list = CorsOrigins::List(vec!["https://app.example.com".into()]);
        check(&CorsOrigins::Any, Some("http://127.0.0.1:9080"), Some("*"));
        check(&CorsOrigins::Any, None, None);
        check(&list, Some("https://app.example.com"), Some("https://app.example.com"));
        check(&list, Some("https://app.example.com:8443"), None);
        check(&list, None, None);
    }
}
