//! From the result of a call to its HTTP response. Source: `rest-api.md` 4 and 5.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use super::call::{Outcome, Success};
use super::error::{RETRY_AFTER_SECONDS, RestError};
use super::query::SUPPORTED_VERSIONS;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
const VERSIONS: HeaderName = HeaderName::from_static("api-supported-versions");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The response to a call, without what every response has.
pub(super) fn from_outcome(outcome: Outcome) -> Response<Full<Bytes>> {
    match outcome {
        Ok(success) => from_success(success),
        Err(error) => from_error(&error),
    }
}

fn from_success(success: Success) -> Response<Full<Bytes>> {
    match success {
        Success::Done => empty(StatusCode::OK),
        Success::Accepted => empty(StatusCode::ACCEPTED),
        Success::NoContent => empty(StatusCode::NO_CONTENT),
        Success::Json(json) => {
            let mut response = empty(StatusCode::OK);
            response.headers_mut().insert(CONTENT_TYPE, JSON);
            *response.body_mut() = Full::new(json.into());
            response
        }
    }
}

fn from_error(error: &RestError) -> Response<Full<Bytes>> {
    let row = error.row();
    let mut response = empty(row.status);
    *response.body_mut() = Full::new(error.body().into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ERROR_CODE, HeaderValue::from_static(row.code));
    if row.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if row.status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    }
    if let RestError::Method { allowed } = error
        && let Ok(allowed) = HeaderValue::from_str(allowed)
    {
        headers.insert(ALLOW, allowed);
    }
    response
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// Adds what every response has, and takes away what an answer to HEAD must not have.
pub(super) fn finish(method: &Method, request: &HeaderMap, response: &mut Response<Full<Bytes>>) {
    if method == Method::HEAD {
        *response.body_mut() = Full::default();
    }
    let headers = response.headers_mut();
    headers.insert(VERSIONS, HeaderValue::from_static(SUPPORTED_VERSIONS));
    if let Some(id) = request.get(&REQUEST_ID) {
        headers.insert(REQUEST_ID, id.clone());
    }
}

#[cfg(test)]
mod tests {
    use codec::ids::{ConnectionId, InvalidName};

    use super::*;
    use crate::router::RouteError;

    fn check(error: RestError, expected: (u16, &str, &str)) {
        let row = error.row();
        assert_eq!((row.status.as_u16(), row.code, row.target), expected, "{error:?}");
        let body: serde_json::Value = serde_json::from_slice(&error.body()).unwrap();
        let expected_body =
            serde_json::json!({ "code": expected.1, "message": error.to_string(), "target": expected.2 });
        assert_eq!(body, expected_body);
        let response = from_outcome(Err(error));
        assert_eq!(response.headers()[ERROR_CODE], expected.1);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(response.headers().contains_key(RETRY_AFTER), expected.0 == 503);
        assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), expected.0 == 401);
        assert_eq!(response.headers().contains_key(ALLOW), expected.0 == 405);
    }

    #[test]
    fn every_refusal_has_its_status_code_and_target() {
        let id = ConnectionId::parse("c1").unwrap();
        let parameter = |name| RestError::Parameter { name, rule: "it must be good".into() };
        check(RestError::Name(InvalidName::Group), (400, "Error.BadRequest", "Request"));
        check(RestError::ApiVersion, (400, "Error.BadRequest", "api-version"));
        check(parameter("top"), (400, "Error.BadRequest", "top"));
        check(parameter("clientType"), (400, "Error.BadRequest", "clientType"));
        check(parameter("minutesToExpire"), (400, "Error.BadRequest", "Request"));
        check(RestError::Unauthorized, (401, "Error.Unauthorized", "Request"));
        check(RestError::AccessKeyToken, (401, "Error.Unauthorized", "Request"));
        check(RestError::UnknownPath, (404, "Error.NotFound", "Request"));
        check(RestError::NoConnection, (404, "Warning.Connection.NotExisted", "Connection"));
        check(RestError::NoGroup, (404, "Warning.Group.NotExisted", "Group"));
        check(RestError::NoUser, (404, "Warning.User.NotExisted", "User"));
        check(RestError::ConnectionNotFound(id), (404, "Error.Connection.NotExisted", "Connection"));
        check(RestError::NoPermission, (404, "Info.Connection.NotExisted", "Connection"));
        check(
            RestError::Method { allowed: "GET, OPTIONS".into() },
            (405, "Error.MethodNotAllowed", "Request"),
        );
        check(RestError::BodySlow, (408, "Error.RequestTimeout", "Request"));
        check(RestError::PermissionsFull, (409, "Error.Connection.Conflict", "Connection"));
        check(RestError::MediaType, (415, "Error.UnsupportedMediaType", "Request"));
        check(RestError::Internal("secret detail"), (500, "Error.InternalServerError", "Request"));
        check(RouteError::Incomplete.into(), (503, "Error.ServiceUnavailable", "Request"));
        check(RestError::NotReady, (503, "Error.ServiceUnavailable", "Request"));
    }

    #[test]
    fn what_is_for_the_log_is_not_for_the_caller() {
        let body = String::from_utf8(RestError::Internal("secret detail").body()).unwrap();
        assert!(!body.contains("secret"), "{body}");
    }
}
