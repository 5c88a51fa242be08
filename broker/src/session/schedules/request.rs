//! What the client of a schedule wants, in the form of its subprotocol.

use codec::ids::GroupName;
use codec::message::Payload;
use prost::Message as _;
use proto::client::message_data::Data;
use proto::client::upstream_message::{
    EventMessage, JoinGroupMessage, LeaveGroupMessage, Message, SendToGroupMessage, SetGroupStateMessage,
    SubscribeGroupStateMessage,
};
use proto::client::{MessageData, UpstreamMessage};
use serde_json::json;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Join,
    Leave,
    /// To the one group for which the permission changes.
    Send,
    Raise,
    SetState,
    Subscribe,
}

/// What the client hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Success, or a duplicate, which is as good.
    Done,
    Failed,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) ack_id: u64,
    /// No other has its id.
    pub(super) is_own: bool,
    pub(super) times_done: usize,
    /// Its id was remembered, and is so no longer.
    pub(super) is_forgotten: bool,
    /// The client has heard so.
    pub(super) has_succeeded: bool,
    pub(super) is_given_up: bool,
}

impl Request {
    pub(super) fn new(kind: Kind, ack_id: u64, is_own: bool) -> Self {
        Self {
            kind,
            ack_id,
            is_own,
            times_done: 0,
            is_forgotten: false,
            has_succeeded: false,
            is_given_up: false,
        }
    }

    /// Whether the client still wants an answer.
    pub(super) fn is_open(&self) -> bool {
        !self.has_succeeded && !self.is_given_up
    }

    /// Whether another may have its id.
    pub(super) fn leaves_its_id(&self) -> bool {
        self.is_own && self.is_given_up && !self.has_succeeded && self.times_done == 0
    }

    /// What is promised about it.
    pub(super) fn check(&self) {
        assert!(self.times_done <= 1 || self.is_forgotten, "{self:?} was repeated");
        assert!(!self.is_own || !self.has_succeeded || self.times_done > 0, "{self:?} was not carried out");
    }

    /// Hands its bytes over.
    pub(super) fn say(
        &self,
        number: usize,
        subprotocol: Subprotocol,
        hear: impl FnOnce(Received<'_>) -> Effect,
    ) -> Effect {
        match subprotocol.encoding() {
            codec::subprotocol::Encoding::Protobuf => hear(Received::Binary(&self.protobuf(number))),
            _ => hear(Received::Text(&self.json(number))),
        }
    }

    fn json(&self, number: usize) -> String {
        let (group, data) = (number.to_string(), number.to_string());
        let mut message = match self.kind {
            Kind::Join => json!({"type": "joinGroup", "group": group}),
            Kind::Leave => json!({"type": "leaveGroup", "group": group}),
            Kind::Send => json!({"type": "sendToGroup", "group": "h", "dataType": "text", "data": data}),
            Kind::Raise => json!({"type": "event", "event": "e", "dataType": "text", "data": data}),
            Kind::SetState => json!({"type": "setGroupState", "group": group, "state": {"k": "v"}}),
            Kind::Subscribe => json!({"type": "subscribeGroupState", "group": group}),
        };
        message["ackId"] = self.ack_id.into();
        message.to_string()
    }

    fn protobuf(&self, number: usize) -> Vec<u8> {
        let (group, ack_id) = (number.to_string(), Some(self.ack_id));
        let data = Some(MessageData { data: Some(Data::TextData(number.to_string())) });
        let message = match self.kind {
            Kind::Join => Message::JoinGroupMessage(JoinGroupMessage { group, ack_id }),
            Kind::Leave => Message::LeaveGroupMessage(LeaveGroupMessage { group, ack_id }),
            Kind::Send => Message::SendToGroupMessage(SendToGroupMessage {
                group: "h".into(),
                ack_id,
                data,
                ..SendToGroupMessage::default()
            }),
            Kind::Raise => Message::EventMessage(EventMessage {
                event: "e".into(),
                ack_id,
                data,
                ..EventMessage::default()
            }),
            Kind::SetState => Message::SetGroupStateMessage(SetGroupStateMessage {
                group,
                ack_id,
                ..SetGroupStateMessage::default()
            }),
            Kind::Subscribe => {
                Message::SubscribeGroupStateMessage(SubscribeGroupStateMessage { group, ack_id })
            }
        };
        UpstreamMessage { message: Some(message) }.encode_to_vec()
    }
}

pub(super) fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

/// Which request this was.
pub(super) fn number_of(deed: &Deed) -> Option<usize> {
    let in_payload = |payload: &Payload| std::str::from_utf8(payload.bytes()).ok()?.parse().ok();
    match deed {
        Deed::Join(group)
        | Deed::Leave(group)
        | Deed::SetGroupState(group, _)
        | Deed::SubscribeGroupState(group)
        | Deed::UnsubscribeGroupState(group) => group.as_str().parse().ok(),
        Deed::Raise(event) => in_payload(&event.content.payload),
        Deed::Route(command) => match &command.body {
            Body::Message { content, .. } => in_payload(&content.payload),
            Body::GroupState(_) => None,
        },
    }
}
