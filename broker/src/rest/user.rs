//! Operations on the connections of a user. Source: `rest-api.md` 6, rows 20 to 25.

use bytes::Bytes;
use hyper::body::Body;

use super::call::{Call, Outcome, Success};
use super::error::RestError;
use super::send::{self, Recipients};
use crate::model::command::Target;
use crate::model::survey::{Leaving, Selection};

/// Does the user have a connection?
pub(super) async fn exists(call: &Call<'_>) -> Outcome {
    let hub = call.names.hub()?;
    match call.count(hub, Target::User(call.names.user()?)).await? {
        0 => Err(RestError::NoUser),
        _ => Ok(Success::Done),
    }
}

/// Closes the user's connections.
pub(super) async fn close(call: &Call<'_>) -> Outcome {
    let hub = call.names.hub()?;
    call.close(hub, Target::User(call.names.user()?)).await
}

/// Sends to the user's connections.
pub(super) async fn send<B>(call: &Call<'_>, body: &mut B) -> Outcome
where
    B: Body<Data = Bytes> + Unpin,
{
    let to = Recipients {
        hub: call.names.hub()?,
        target: Target::User(call.names.user()?),
        excluded: Vec::new(),
        time_to_live: call.query.time_to_live()?,
        filter: call.filter()?,
    };
    send::send(call, to, body).await
}

/// Adds the connections that the user has now to a group.
pub(super) async fn join_group(call: &Call<'_>) -> Outcome {
    let hub = call.names.hub()?;
    let who = Selection { target: Target::User(call.names.user()?), filter: None };
    match call.join(hub, who, vec![call.names.group()?]).await? {
        0 => Err(RestError::NoUser),
        _ => Ok(Success::Done),
    }
}

/// Removes the user's connections from a group.
pub(super) async fn leave_group(call: &Call<'_>) -> Outcome {
    let hub = call.names.hub()?;
    let who = Selection { target: Target::User(call.names.user()?), filter: None };
    call.leave(hub, who, Leaving::Groups(vec![call.names.group()?])).await?;
    Ok(Success::NoContent)
}

/// Removes the user's connections from all their groups.
pub(super) async fn leave_all_groups(call: &Call<'_>) -> Outcome {
    let hub = call.names.hub()?;
    let who = Selection { target: Target::User(call.names.user()?), filter: None };
    call.leave(hub, who, Leaving::Every).await?;
    Ok(Success::NoContent)
}
