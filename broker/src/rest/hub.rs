//! Operations on all connections of a hub. Source: `rest-api.md` 6, rows 2, 3, 5 and 6.

use bytes::Bytes;
use hyper::body::Body;

use super::batch::Batch;
use super::call::{Call, Outcome, Success};
use super::send::{self, Recipients};
use crate::model::command::Target;
use crate::model::survey::{Leaving, Selection};

/// Adds the chosen connections to many groups.
pub(super) async fn add_to_groups<B>(call: &Call<'_>, body: &mut B) -> Outcome
where
    B: Body<Data = Bytes> + Unpin,
{
    let hub = call.names.hub()?;
    let Batch { groups, filter } = Batch::read(call, body).await?;
    call.join(hub, Selection { target: Target::Hub, filter }, groups).await?;
    Ok(Success::Done)
}

/// Removes the chosen connections from many groups.
pub(super) async fn remove_from_groups<B>(call: &Call<'_>, body: &mut B) -> Outcome
where
    B: Body<Data = Bytes> + Unpin,
{
    let hub = call.names.hub()?;
    let Batch { groups, filter } = Batch::read(call, body).await?;
    call.leave(hub, Selection { target: Target::Hub, filter }, Leaving::Groups(groups)).await?;
    Ok(Success::Done)
}

/// Closes all connections.
pub(super) async fn close(call: &Call<'_>) -> Outcome {
    call.close(call.names.hub()?, Target::Hub).await
}

/// Sends to all connections.
pub(super) async fn send<B>(call: &Call<'_>, body: &mut B) -> Outcome
where
    B: Body<Data = Bytes> + Unpin,
{
    let to = Recipients {
        hub: call.names.hub()?,
        target: Target::Hub,
        excluded: call.query.excluded(),
        time_to_live: call.query.time_to_live()?,
        filter: call.filter()?,
    };
    send::send(call, to, body).await
}
