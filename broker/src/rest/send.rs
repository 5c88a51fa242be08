//! What the four send operations have in common: from a body and its headers to a command. Source: `rest-api.md` 3 and 7.

use bytes::Bytes;
use codec::filter::Filter;
use codec::ids::{ConnectionId, HubName};
use codec::message::{Content, TimeToLive};
use hyper::body::Body;

use super::body;
use super::call::{Call, Outcome, Success};
use super::content::ContentType;
use super::metadata;
use crate::model::command::{self, Command, Target};

/// Who receives what is sent, read from the URL alone.
pub(super) struct Recipients {
    /// Where they are.
    pub(super) hub: HubName,
    /// Who they are.
    pub(super) target: Target,
    /// Connections that do not receive it.
    pub(super) excluded: Vec<ConnectionId>,
    /// How long it may wait for them.
    pub(super) time_to_live: TimeToLive,
    /// Which connections of the target receive it.
    pub(super) filter: Option<Filter>,
}

/// Sends the body to the recipients. The order of the checks is the service's.
///
/// # Errors
/// When the body is too long, not what its content type says, its metadata breaks a limit, or the bus cannot take it.
pub(super) async fn send<B>(call: &Call<'_>, to: Recipients, body: &mut B) -> Outcome
where
    B: Body<Data = Bytes> + Unpin,
{
    body::check_declared(body)?;
    let content_type = ContentType::of(&call.head.headers)?;
    let payload = content_type.payload(body::read(body).await?)?;
    let metadata = metadata::from_headers(&call.head.headers)?;
    let command = Command {
        hub: to.hub,
        target: to.target,
        body: command::Body::from_application(Content { payload, metadata }),
        excluded: to.excluded,
        filter: to.filter,
        time_to_live: to.time_to_live,
    };
    call.rest.parts.router.publish(command).await?;
    Ok(Success::Accepted)
}
