//! Why a REST call is refused: the table of statuses, codes and targets that a caller sees.
//!
//! One of the three tables that translate errors at the edge. Source: `rest-api.md` 4. Other files of this room name the
//! cause; no other file knows a status or a code of an error.

use std::borrow::Cow;

use codec::filter::FilterError;
use codec::ids::{ConnectionId, InvalidName};
use codec::metadata::InvalidMetadata;
use http::StatusCode;
use serde::Serialize;

use crate::router::RouteError;

/// Seconds after which a caller may try again what could not be done.
pub(super) const RETRY_AFTER_SECONDS: u32 = 1;

/// Why a call is refused. The text is the caller's; what it must not know goes to the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestError {
    /// A name in the path or the body breaks the rule of its kind.
    #[error("{0}")]
    Name(#[from] InvalidName),
    /// The bytes behind the percent escapes of the path or the query are not UTF-8.
    #[error("The URL must be UTF-8 after percent-decoding.")]
    Encoding,
    /// `api-version` is unknown, or given more than once.
    #[error("The query parameter 'api-version' must be one of the supported versions and be given once.")]
    ApiVersion,
    /// The permission in the path is not one that can be granted.
    #[error("Invalid permission. It must be 'sendToGroup' or 'joinLeaveGroup'.")]
    PermissionName,
    /// A query parameter breaks its rule.
    #[error("Invalid query parameter '{name}': {rule}.")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it must be.
        rule: Cow<'static, str>,
    },
    /// The filter is not an expression that can be evaluated.
    #[error("{0}")]
    Filter(#[from] FilterError),
    /// The body is longer than 1 MiB.
    #[error("Invalid Content-Length header. A body has at most 1048576 bytes.")]
    Length,
    /// The caller's connection broke before the body was complete.
    #[error("The request body could not be read.")]
    BodyBroken,
    /// The body did not arrive in time.
    #[error("The request body did not arrive in time.")]
    BodySlow,
    /// The content type is malformed or not one that the operation takes.
    #[error("The Content-Type header is malformed, not supported, or names an unknown charset.")]
    MediaType,
    /// Declared as JSON.
    #[error("The request body is not a valid JSON.")]
    Json,
    /// Declared as text.
    #[error("The request body is not valid text in its charset.")]
    Text,
    /// A metadata header breaks a limit.
    #[error("Invalid metadata header: {0}.")]
    Metadata(#[from] InvalidMetadata),
    /// The body of a group batch has the wrong shape.
    #[error("Invalid request body: {0}.")]
    Batch(&'static str),
    /// No token, or one that is not valid for this call.
    #[error("The request needs a valid bearer token whose audience is the URL of the request.")]
    Unauthorized,
    /// Signed with an access key, where only a token of an identity provider will do.
    #[error(
        "This operation needs a token of an identity provider. With an access key, sign client tokens locally."
    )]
    AccessKeyToken,
    /// No operation has this path.
    #[error("The path names no operation.")]
    UnknownPath,
    /// The path is known, the method is not.
    #[error("The method is not allowed here. Allowed: {allowed}.")]
    Method {
        /// Value of the `Allow` header.
        allowed: String,
    },
    /// An existence check found no connection.
    #[error("The connection does not exist.")]
    NoConnection,
    /// An existence check found no member.
    #[error("The group does not exist.")]
    NoGroup,
    /// The user has no connection.
    #[error("The user does not exist.")]
    NoUser,
    /// The connection to be added to a group is not there.
    #[error("Connection `{0}` is not found.")]
    ConnectionNotFound(ConnectionId),
    /// The connection whose permission is meant is not there.
    #[error("The connection does not exist.")]
    PermissionWithoutConnection,
    /// The connection is there but may not.
    #[error("The connection does not have the permission.")]
    NoPermission,
    /// The connection has all the exceptions that it may have.
    #[error("The connection has reached the limit of 1000 groups with a permission of their own.")]
    PermissionsFull,
    /// The nodes could not be reached or did not answer completely.
    #[error("The service cannot do this at the moment. Try again.")]
    Unavailable(#[from] RouteError),
    /// The node is about to stop.
    #[error("The service is not ready.")]
    NotReady,
    /// The broker is at fault.
    #[error("Internal server error.")]
    Internal(&'static str),
}

/// What a caller is told about an error, beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Status of the response.
    pub(super) status: StatusCode,
    /// Code in the body and in `x-ms-error-code`.
    pub(super) code: &'static str,
    /// What the error is about.
    pub(super) target: &'static str,
}

impl RestError {
    /// The row of the table.
    pub(super) fn row(&self) -> Row {
        let (status, code, target) = match self {
            Self::ApiVersion => (StatusCode::BAD_REQUEST, "Error.BadRequest", "api-version"),
            Self::Parameter { name, .. } => {
                (StatusCode::BAD_REQUEST, "Error.BadRequest", parameter_target(name))
            }
            Self::Name(_)
            | Self::Encoding
            | Self::PermissionName
            | Self::Filter(_)
            | Self::Length
            | Self::BodyBroken
            | Self::Json
            | Self::Text
            | Self::Metadata(_)
            | Self::Batch(_) => (StatusCode::BAD_REQUEST, "Error.BadRequest", "Request"),
            Self::Unauthorized | Self::AccessKeyToken => {
                (StatusCode::UNAUTHORIZED, "Error.Unauthorized", "Request")
            }
            Self::UnknownPath => (StatusCode::NOT_FOUND, "Error.NotFound", "Request"),
            Self::NoConnection => (StatusCode::NOT_FOUND, "Warning.Connection.NotExisted", "Connection"),
            Self::NoGroup => (StatusCode::NOT_FOUND, "Warning.Group.NotExisted", "Group"),
            Self::NoUser => (StatusCode::NOT_FOUND, "Warning.User.NotExisted", "User"),
            Self::ConnectionNotFound(_) => {
                (StatusCode::NOT_FOUND, "Error.Connection.NotExisted", "Connection")
            }
            Self::PermissionWithoutConnection | Self::NoPermission => {
                (StatusCode::NOT_FOUND, "Info.Connection.NotExisted", "Connection")
            }
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "Error.MethodNotAllowed", "Request"),
            Self::BodySlow => (StatusCode::REQUEST_TIMEOUT, "Error.RequestTimeout", "Request"),
            Self::PermissionsFull => (StatusCode::CONFLICT, "Error.Connection.Conflict", "Connection"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Error.UnsupportedMediaType", "Request"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Error.InternalServerError", "Request"),
            Self::Unavailable(_) | Self::NotReady => {
                (StatusCode::SERVICE_UNAVAILABLE, "Error.ServiceUnavailable", "Request")
            }
        };
        Row { status, code, target }
    }

    /// The body of the response, in JSON.
    pub(super) fn body(&self) -> Vec<u8> {
        let row = self.row();
        let detail = ErrorDetail { code: row.code, message: self.to_string(), target: row.target };
        // A struct of three texts always has a JSON form; an empty body would still carry its code in the header.
        serde_json::to_vec(&detail).unwrap_or_default()
    }
}

/// The parameters that are a target of their own; errors of all others are about the request.
fn parameter_target(name: &'static str) -> &'static str {
    match name {
        "clientType" | "group" | "maxpagesize" | "top" | "continuationToken" => name,
        _ => "Request",
    }
}

#[derive(Serialize)]
struct ErrorDetail {
    code: &'static str,
    message: String,
    target: &'static str,
}
