//! What a member of a group shows, as commands and answers hold it.

use codec::ids::{ConnectionId, InvalidName};
use codec::message::{GroupState, GroupStateItem};
use proto::cluster;

use super::names;

pub(super) fn encode(item: &GroupStateItem) -> cluster::GroupStateItem {
    let GroupStateItem { connection_id, user_id, state, updated_at } = item;
    cluster::GroupStateItem {
        connection_id: connection_id.as_str().to_owned(),
        user_id: names::encode_user(user_id.as_ref()),
        state: state.as_ref().map(encode_state),
        updated_at_ms: *updated_at,
    }
}

pub(super) fn decode(item: cluster::GroupStateItem) -> Result<GroupStateItem, InvalidName> {
    let cluster::GroupStateItem { connection_id, user_id, state, updated_at_ms } = item;
    Ok(GroupStateItem {
        connection_id: ConnectionId::parse(&connection_id)?,
        user_id: names::decode_user(user_id)?,
        state: state.map(|state| GroupState::new(state.entries)),
        updated_at: updated_at_ms,
    })
}

fn encode_state(state: &GroupState) -> cluster::GroupState {
    let entries = state.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    cluster::GroupState { entries: entries.collect() }
}
