//! What goes into an envelope comes out of it, in this version's bytes and in those of others.

mod arbitrary;
mod golden;
mod hostile;
mod properties;
mod sessions;
mod versions;

use codec::filter::Filter;
use codec::ids::{ConnectionId, GroupName, HubName, UserId};
use codec::message::{Content as MessageContent, Payload};

use super::*;
use crate::backplane::Applied;
use crate::model::command::{self, Command, Target};

fn node() -> NodeId {
    NodeId::new("n-1").unwrap()
}

fn hub() -> HubName {
    HubName::new("chat").unwrap()
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

fn connection(id: &str) -> ConnectionId {
    ConnectionId::parse(id).unwrap()
}

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap()
}

/// The smallest command: bytes to a hub.
fn command(payload: Payload) -> Command {
    Command {
        hub: hub(),
        target: Target::Hub,
        body: command::Body::from_application(MessageContent { payload, metadata: None }),
        excluded: Vec::new(),
        filter: None,
        time_to_live: None,
    }
}

fn on_receipt(command: Command) -> Body {
    Body::Content(Content::Command { applied: Applied::OnReceipt, command: command.into() })
}

/// Sealed with the numbers 2 and 1.
fn sealed(body: &Body) -> Bytes {
    Unsealed::new(&node(), 3, body).seal(2, 1)
}

fn stamp() -> Stamp {
    Stamp { origin: node(), epoch: 3, sequence: 2, previous: 1 }
}
