//! Commands: what is brought to the members of a target.

use std::sync::Arc;
use std::time::Duration;

use codec::ids::HubName;
use codec::message::{MAX_TIME_TO_LIVE, TimeToLive};
use proto::cluster::{self, command};

use super::fault::{Fault, Malformed};
use super::{group_state, names, payload};
use crate::backplane::{Applied, Content};
use crate::model::command::{Body, Command};

pub(super) fn encode(applied: Applied, command: &Command) -> cluster::Command {
    let Command { hub, target, body, excluded, filter, time_to_live } = command;
    let applied = match applied {
        Applied::AtOrigin => cluster::Applied::AtOrigin,
        Applied::OnReceipt => cluster::Applied::OnReceipt,
        Applied::Noted => cluster::Applied::Noted,
        Applied::Forwarded => cluster::Applied::Forwarded,
    };
    let body = match body {
        Body::Message { from_user_id, content, stream } => {
            command::Body::Message(payload::encode(from_user_id.as_ref(), content, stream.as_ref()))
        }
        Body::GroupState(item) => command::Body::GroupState(group_state::encode(item)),
    };
    cluster::Command {
        applied: applied.into(),
        hub: hub.as_str().to_owned(),
        target: Some(names::encode_target(target)),
        excluded: names::encode_connections(excluded),
        filter: names::encode_filter(filter.as_ref()),
        time_to_live_ms: time_to_live.map(milliseconds),
        body: Some(body),
    }
}

pub(super) fn decode(message: cluster::Command) -> Result<Content, Fault> {
    let cluster::Command { applied, hub, target, excluded, filter, time_to_live_ms, body } = message;
    let applied = match names::known(applied)? {
        cluster::Applied::AtOrigin => Applied::AtOrigin,
        cluster::Applied::OnReceipt => Applied::OnReceipt,
        cluster::Applied::Noted => Applied::Noted,
        cluster::Applied::Forwarded => Applied::Forwarded,
        cluster::Applied::Unspecified => return Err(Fault::Unknown),
    };
    let body = match body.ok_or(Fault::Unknown)? {
        command::Body::Message(message) => payload::decode(message)?,
        command::Body::GroupState(item) => Body::GroupState(group_state::decode(item)?),
    };
    let command = Command {
        hub: HubName::new(&hub)?,
        target: names::decode_target(target)?,
        body,
        excluded: names::decode_connections(excluded)?,
        filter: names::decode_filter(filter)?,
        time_to_live: decode_time_to_live(time_to_live_ms)?,
    };
    Ok(Content::Command { applied, command: Arc::new(command) })
}

/// A part of a millisecond counts as a whole one, so that no time to live becomes none.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn decode_time_to_live(milliseconds: Option<u64>) -> Result<TimeToLive, Malformed> {
    let time = milliseconds.map(Duration::from_millis);
    if time.is_some_and(|time| time > MAX_TIME_TO_LIVE) {
        return Err(Malformed::Range("time_to_live_ms"));
    }
    Ok(time)
}
