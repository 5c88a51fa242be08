//! Operations on a group and its members. Source: `rest-api.md` 6, rows 11 to 16; the listing is in `paging.rs`.

use bytes::Bytes;
use hyper::body::Body;

use super::call::{Call, Outcome, Success};
use super::error::RestError;
use super::send::{self, Recipients};
use crate::model::command::Target;
use crate::model::survey::{Leaving, Selection};

/// Does the group have a member?
pub(super) async fn exists(call: &Call<'_>) -> Outcome {
    let hub = call.names.hub()?;
    match call.count(hub, Target::Group(call.names.group()?)).await? {
        0 => Err(RestError::NoGroup),
        _ => Ok(Success::Done),
    }
}

/// Closes the members' connections.
pub(super) async fn close(call: &Call<'_>) -> Outcome {
    let hub = call.names.hub()?;
    call.close(hub, Target::Group(call.names.group()?)).await
}

/// Sends to the members.
pub(super) async fn send<B>(call: &Call<'_>, body: &mut B) -> Outcome
where
    B: Body<Data = Bytes> + Unpin,
{
    let to = Recipients {
        hub: call.names.hub()?,
        target: Target::Group(call.names.group()?),
        excluded: call.query.excluded(),
        time_to_live: call.query.time_to_live()?,
        filter: call.filter()?,
    };
    send::send(call, to, body).await
}

/// Adds a connection.
pub(super) async fn add_connection(call: &Call<'_>) -> Outcome {
    let (hub, group) = (call.names.hub()?, call.names.group()?);
    let connection = call.names.connection()?;
    let who = Selection { target: Target::Connection(connection.clone()), filter: None };
    match call.join(hub, who, vec![group]).await? {
        0 => Err(RestError::ConnectionNotFound(connection)),
        _ => Ok(Success::Done),
    }
}

/// Removes a connection.
pub(super) async fn remove_connection(call: &Call<'_>) -> Outcome {
    let (hub, group) = (call.names.hub()?, call.names.group()?);
    let who = Selection { target: Target::Connection(call.names.connection()?), filter: None };
    call.leave(hub, who, Leaving::Groups(vec![group])).await?;
    Ok(Success::NoContent)
}
