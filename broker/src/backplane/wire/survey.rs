//! Questions to all nodes.

use std::sync::Arc;

use codec::ids::{ConnectionId, GroupName, HubName};
use proto::cluster::{self, Empty, question};

use super::fault::{Fault, Malformed};
use super::names;
use crate::backplane::{Content, QuestionId};
use crate::model::survey::{Action, Leaving, Question, Selection, Survey, Wish};

pub(super) fn encode(id: QuestionId, survey: &Survey) -> cluster::Question {
    cluster::Question {
        id: id.0,
        hub: survey.hub.as_str().to_owned(),
        question: Some(encode_question(&survey.question)),
    }
}

pub(super) fn decode(message: cluster::Question) -> Result<Content, Fault> {
    let question = decode_question(message.question.ok_or(Fault::Unknown)?)?;
    let survey = Survey { hub: HubName::new(&message.hub)?, question };
    Ok(Content::Question { id: QuestionId(message.id), survey: Arc::new(survey) })
}

fn encode_question(question: &Question) -> question::Question {
    match question {
        Question::Count(target) => {
            question::Question::Count(question::Count { target: Some(names::encode_target(target)) })
        }
        Question::Members { group, after, limit } => question::Question::Members(question::Members {
            group: group.as_str().to_owned(),
            after: after.as_ref().map(|id| id.as_str().to_owned()),
            limit: encode_limit(*limit),
        }),
        Question::GroupStates { group, limit } => question::Question::GroupStates(question::GroupStates {
            group: group.as_str().to_owned(),
            limit: encode_limit(*limit),
        }),
        Question::Join { who, groups } => question::Question::Join(question::Join {
            who: Some(encode_selection(who)),
            groups: names::encode_groups(groups),
        }),
        Question::Leave { who, groups } => question::Question::Leave(question::Leave {
            who: Some(encode_selection(who)),
            groups: Some(encode_leaving(groups)),
        }),
        Question::Close { target, excluded, reason } => question::Question::Close(question::Close {
            target: Some(names::encode_target(target)),
            excluded: names::encode_connections(excluded),
            reason: reason.clone(),
        }),
        Question::Prepare { connection } => {
            question::Question::Prepare(question::Prepare { connection: connection.as_str().to_owned() })
        }
        Question::HandOver { connection, ticket, groups } => {
            question::Question::HandOver(question::HandOver {
                connection: connection.as_str().to_owned(),
                ticket: *ticket,
                groups: names::encode_groups(groups),
            })
        }
        Question::Adopt { connection } => {
            question::Question::Adopt(question::Adopt { connection: connection.as_str().to_owned() })
        }
        Question::Permission { connection, action, group, wish } => {
            question::Question::Permission(question::Permission {
                connection: connection.as_str().to_owned(),
                action: encode_action(*action).into(),
                group: group.as_str().to_owned(),
                wish: encode_wish(*wish).into(),
            })
        }
    }
}

fn decode_question(question: question::Question) -> Result<Question, Fault> {
    let question = match question {
        question::Question::Count(question::Count { target }) => {
            Question::Count(names::decode_target(target)?)
        }
        question::Question::Members(question::Members { group, after, limit }) => Question::Members {
            group: GroupName::new(&group)?,
            after: after.map(|id| ConnectionId::parse(&id)).transpose()?,
            limit: decode_limit(limit),
        },
        question::Question::GroupStates(question::GroupStates { group, limit }) => {
            Question::GroupStates { group: GroupName::new(&group)?, limit: decode_limit(limit) }
        }
        question::Question::Join(question::Join { who, groups }) => {
            Question::Join { who: decode_selection(who)?, groups: names::decode_groups(groups)? }
        }
        question::Question::Leave(question::Leave { who, groups }) => Question::Leave {
            who: decode_selection(who)?,
            groups: decode_leaving(groups.ok_or(Fault::Unknown)?)?,
        },
        question::Question::Close(question::Close { target, excluded, reason }) => Question::Close {
            target: names::decode_target(target)?,
            excluded: names::decode_connections(excluded)?,
            reason,
        },
        question::Question::Prepare(question::Prepare { connection }) => {
            Question::Prepare { connection: ConnectionId::parse(&connection)? }
        }
        question::Question::HandOver(question::HandOver { connection, ticket, groups }) => {
            Question::HandOver {
                connection: ConnectionId::parse(&connection)?,
                ticket,
                groups: names::decode_groups(groups)?,
            }
        }
        question::Question::Adopt(question::Adopt { connection }) => {
            Question::Adopt { connection: ConnectionId::parse(&connection)? }
        }
        question::Question::Permission(question::Permission { connection, action, group, wish }) => {
            Question::Permission {
                connection: ConnectionId::parse(&connection)?,
                action: decode_action(names::known(action)?)?,
                group: GroupName::new(&group)?,
                wish: decode_wish(names::known(wish)?)?,
            }
        }
    };
    Ok(question)
}

fn encode_limit(limit: usize) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// A limit above what this machine can count is no limit.
fn decode_limit(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn encode_selection(selection: &Selection) -> cluster::Selection {
    cluster::Selection {
        target: Some(names::encode_target(&selection.target)),
        filter: names::encode_filter(selection.filter.as_ref()),
    }
}

fn decode_selection(selection: Option<cluster::Selection>) -> Result<Selection, Fault> {
    let cluster::Selection { target, filter } = names::required(selection, "who")?;
    Ok(Selection { target: names::decode_target(target)?, filter: names::decode_filter(filter)? })
}

fn encode_leaving(leaving: &Leaving) -> question::leave::Groups {
    match leaving {
        Leaving::Every => question::leave::Groups::Every(Empty {}),
        Leaving::Groups(groups) => {
            question::leave::Groups::Named(cluster::Groups { names: names::encode_groups(groups) })
        }
    }
}

fn decode_leaving(leaving: question::leave::Groups) -> Result<Leaving, Malformed> {
    match leaving {
        question::leave::Groups::Every(Empty {}) => Ok(Leaving::Every),
        question::leave::Groups::Named(groups) => Ok(Leaving::Groups(names::decode_groups(groups.names)?)),
    }
}

fn encode_action(action: Action) -> cluster::Action {
    match action {
        Action::SendToGroup => cluster::Action::SendToGroup,
        Action::JoinLeaveGroup => cluster::Action::JoinLeaveGroup,
        Action::SetGroupState => cluster::Action::SetGroupState,
        Action::GetGroupState => cluster::Action::GetGroupState,
    }
}

fn decode_action(action: cluster::Action) -> Result<Action, Fault> {
    match action {
        cluster::Action::SendToGroup => Ok(Action::SendToGroup),
        cluster::Action::JoinLeaveGroup => Ok(Action::JoinLeaveGroup),
        cluster::Action::SetGroupState => Ok(Action::SetGroupState),
        cluster::Action::GetGroupState => Ok(Action::GetGroupState),
        cluster::Action::Unspecified => Err(Fault::Unknown),
    }
}

fn encode_wish(wish: Wish) -> cluster::Wish {
    match wish {
        Wish::Check => cluster::Wish::Check,
        Wish::Grant => cluster::Wish::Grant,
        Wish::Revoke => cluster::Wish::Revoke,
    }
}

fn decode_wish(wish: cluster::Wish) -> Result<Wish, Fault> {
    match wish {
        cluster::Wish::Check => Ok(Wish::Check),
        cluster::Wish::Grant => Ok(Wish::Grant),
        cluster::Wish::Revoke => Ok(Wish::Revoke),
        cluster::Wish::Unspecified => Err(Fault::Unknown),
    }
}
