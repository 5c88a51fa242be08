//! Operations on what a connection may do in a group. Source: `rest-api.md` 11.

use super::call::{Call, Outcome, PermissionOf, Success};
use super::error::RestError;
use crate::model::survey::{PermissionAnswer, Wish};

/// Grants the permission.
pub(super) async fn grant(call: &Call<'_>) -> Outcome {
    match call.permission(subject(call)?, Wish::Grant).await? {
        PermissionAnswer::NoConnection => Err(RestError::PermissionWithoutConnection),
        PermissionAnswer::Full => Err(RestError::PermissionsFull),
        PermissionAnswer::Granted => Ok(Success::Done),
        PermissionAnswer::Denied => Err(RestError::Internal("a granted permission is not there")),
    }
}

/// Revokes the permission. A connection that is not there has none.
pub(super) async fn revoke(call: &Call<'_>) -> Outcome {
    match call.permission(subject(call)?, Wish::Revoke).await? {
        PermissionAnswer::NoConnection | PermissionAnswer::Denied => Ok(Success::NoContent),
        PermissionAnswer::Full => Err(RestError::PermissionsFull),
        PermissionAnswer::Granted => Err(RestError::Internal("a revoked permission is still there")),
    }
}

/// Does the connection have the permission?
pub(super) async fn check(call: &Call<'_>) -> Outcome {
    match call.permission(subject(call)?, Wish::Check).await? {
        PermissionAnswer::Granted => Ok(Success::Done),
        PermissionAnswer::NoConnection => Err(RestError::PermissionWithoutConnection),
        PermissionAnswer::Denied => Err(RestError::NoPermission),
        PermissionAnswer::Full => Err(RestError::Internal("a question about a permission changed it")),
    }
}

fn subject(call: &Call<'_>) -> Result<PermissionOf, RestError> {
    Ok(PermissionOf {
        hub: call.names.hub()?,
        action: call.names.permission()?,
        connection: call.names.connection()?,
        group: call.query.target_name()?,
    })
}
