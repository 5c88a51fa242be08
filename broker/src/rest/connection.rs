//! Operations on one connection. Source: `rest-api.md` 6, rows 7 to 10.

use bytes::Bytes;
use hyper::body::Body;

use super::call::{Call, Outcome, Success};
use super::error::RestError;
use super::send::{self, Recipients};
use crate::model::command::Target;
use crate::model::survey::{Leaving, Selection};

/// Closes the connection.
pub(super) async fn close(call: &Call<'_>) -> Outcome {
    let hub = call.names.hub()?;
    call.close(hub, Target::Connection(call.names.connection()?)).await
}

/// Does the connection exist?
pub(super) async fn exists(call: &Call<'_>) -> Outcome {
    let hub = call.names.hub()?;
    match call.count(hub, Target::Connection(call.names.connection()?)).await? {
        0 => Err(RestError::NoConnection),
        _ => Ok(Success::Done),
    }
}

/// Sends to the connection.
pub(super) async fn send<B>(call: &Call<'_>, body: &mut B) -> Outcome
where
    B: Body<Data = Bytes> + Unpin,
{
    let to = Recipients {
        hub: call.names.hub()?,
        target: Target::Connection(call.names.connection()?),
        excluded: Vec::new(),
        time_to_live: call.query.time_to_live()?,
        filter: None,
    };
    send::send(call, to, body).await
}

/// Removes the connection from all its groups.
pub(super) async fn leave_all_groups(call: &Call<'_>) -> Outcome {
    let hub = call.names.hub()?;
    let target = Target::Connection(call.names.connection()?);
    call.leave(hub, Selection { target, filter: None }, Leaving::Every).await?;
    Ok(Success::NoContent)
}
