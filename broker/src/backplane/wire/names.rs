//! Names, targets and filters, which several kinds of messages hold, and the rules for what may be absent or unknown.
//! All names are checked by their constructors, whoever sent them.

use codec::filter::Filter;
use codec::ids::{ConnectionId, GroupName, InvalidName, UserId};
use prost::UnknownEnumValue;
use proto::cluster::{self, Empty};

use super::fault::{Fault, Malformed};
use crate::model::command::Target;

/// A value of an enum that this version knows.
pub(super) fn known<E: TryFrom<i32, Error = UnknownEnumValue>>(value: i32) -> Result<E, Fault> {
    E::try_from(value).map_err(|_| Fault::Unknown)
}

/// A message that must be there.
pub(super) fn required<M>(message: Option<M>, name: &'static str) -> Result<M, Malformed> {
    message.ok_or(Malformed::Missing(name))
}

pub(super) fn encode_target(target: &Target) -> cluster::Target {
    use cluster::target::Target as Member;
    let target = match target {
        Target::Hub => Member::Hub(Empty {}),
        Target::Group(group) => Member::Group(group.as_str().to_owned()),
        Target::User(user) => Member::User(user.as_str().to_owned()),
        Target::Connection(id) => Member::Connection(id.as_str().to_owned()),
    };
    cluster::Target { target: Some(target) }
}

pub(super) fn decode_target(target: Option<cluster::Target>) -> Result<Target, Fault> {
    use cluster::target::Target as Member;
    match required(target, "target")?.target.ok_or(Fault::Unknown)? {
        Member::Hub(Empty {}) => Ok(Target::Hub),
        Member::Group(group) => Ok(Target::Group(GroupName::new(&group)?)),
        Member::User(user) => Ok(Target::User(UserId::new(&user)?)),
        Member::Connection(id) => Ok(Target::Connection(ConnectionId::parse(&id)?)),
    }
}

pub(super) fn encode_filter(filter: Option<&Filter>) -> Option<String> {
    filter.map(|filter| filter.text().to_owned())
}

/// The error of a filter repeats its text, so it goes no further.
pub(super) fn decode_filter(text: Option<String>) -> Result<Option<Filter>, Malformed> {
    text.map(|text| Filter::parse(&text)).transpose().map_err(|_| Malformed::Filter)
}

pub(super) fn encode_user(user: Option<&UserId>) -> Option<String> {
    user.map(|user| user.as_str().to_owned())
}

pub(super) fn decode_user(user: Option<String>) -> Result<Option<UserId>, InvalidName> {
    user.map(|user| UserId::new(&user)).transpose()
}

pub(super) fn encode_connections(ids: &[ConnectionId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}

pub(super) fn decode_connections(ids: Vec<String>) -> Result<Vec<ConnectionId>, InvalidName> {
    ids.into_iter().map(|id| ConnectionId::parse(&id)).collect()
}

pub(super) fn encode_groups(groups: &[GroupName]) -> Vec<String> {
    groups.iter().map(|group| group.as_str().to_owned()).collect()
}

pub(super) fn decode_groups(names: Vec<String>) -> Result<Vec<GroupName>, InvalidName> {
    names.into_iter().map(|name| GroupName::new(&name)).collect()
}
