//! State and rules of one connection: what it may do, what it is answered, when it must end.
//!
//! A session is a value. It takes what the client sent and returns an [`Effect`]; the connection's task performs it.
//! Nothing here waits, reads a clock or knows a socket, so that every rule is a table test.

mod ack;
mod group_state;
mod invocation;
mod portable;
mod stream;

use codec::ids::{AckId, ConnectionId, EventName, GroupName, HubName, InvocationId, SequenceId, UserId};
use codec::message::{AckError, Content, Downstream, GroupState, Invoke, Payload, SendToGroup, Upstream};
use codec::subprotocol::Subprotocol;

use crate::auth::permission::{Action, Permissions, TooManyExceptions};
use crate::model::close::CloseReason;
use crate::model::command::{Body, Command, Target};
use crate::model::survey::{PermissionAnswer, Wish};
use ack::AckCache;
use invocation::Invocations;
use stream::Streams;

pub use stream::{StreamRequest, StreamStep};

/// See the module.
#[derive(Debug)]
pub struct Session {
    hub: HubName,
    connection_id: ConnectionId,
    user_id: Option<UserId>,
    permissions: Permissions,
    conversation: Conversation,
    invocations: Invocations,
    /// Absent until the client begins a stream.
    streams: Option<Box<Streams>>,
}

/// What a session is made from.
#[derive(Debug)]
pub struct Opening {
    /// The hub that the client connected to.
    pub hub: HubName,
    /// The new connection's id.
    pub connection_id: ConnectionId,
    /// The user that the token names.
    pub user_id: Option<UserId>,
    /// What the token's roles permit.
    pub permissions: Permissions,
    /// What was agreed on.
    pub speech: Speech,
}

/// How client and broker speak with each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speech {
    /// Messages of a subprotocol.
    Messages(Subprotocol),
    /// Payloads alone.
    Simple(SimpleMode),
}

/// What becomes of the payloads of a client without a subprotocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimpleMode {
    /// Each is a user event.
    SendEvent,
    /// Each is published to one group.
    SendToGroup {
        /// The group.
        group: GroupName,
        /// Whether the sender itself receives it, if it is a member.
        echo: Echo,
    },
}

/// Whether a publisher receives what it publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// It does.
    Wanted,
    /// It does not; other connections of its user do.
    Unwanted,
}

#[derive(Debug)]
enum Conversation {
    /// Messages of a subprotocol.
    Messages(Subprotocol, AckCache),
    /// Payloads alone.
    Simple(Box<SimpleMode>),
}

/// A data message of a client.
#[derive(Debug, Clone, Copy)]
pub enum Received<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

/// What the connection's task is to do.
#[derive(Debug)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// Tell the client this.
    Reply(Downstream),
    /// The client has all reliable messages up to this one.
    Acknowledge(SequenceId),
    /// Do this, then let [`Session::done`] say what the client is told.
    Do(Deed, Option<AckId>),
    /// Ask the application without waiting for it, then let [`Session::invoked`] say what the client is told.
    Invoke(Box<Invoke>),
    /// Drop this invocation.
    CancelInvocation(InvocationId),
    /// Let [`Session::on_stream`] judge this at the time that it is.
    Stream(Box<StreamRequest>),
    /// End the connection.
    Close(CloseReason),
}

/// Something that a client is permitted to have done.
#[derive(Debug)]
pub enum Deed {
    /// Make the connection a member of this group.
    Join(GroupName),
    /// End its membership of this group.
    Leave(GroupName),
    /// Let the router carry this out.
    Route(Box<Command>),
    /// Ask the application.
    Raise(Box<UserEvent>),
    /// Show this state to this group, or none. Fails with [`Failure::Refused`] if the connection is not in the group.
    SetGroupState(GroupName, Option<GroupState>),
    /// Let the connection see what the members of this group show. Fails in the same way.
    SubscribeGroupState(GroupName),
    /// Let it see that no longer.
    UnsubscribeGroupState(GroupName),
}

/// An event that a client raised.
#[derive(Debug, PartialEq, Eq)]
pub struct UserEvent {
    /// Its name.
    pub event: EventName,
    /// What goes with it.
    pub content: Content,
}

/// Why a deed was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The broker could not do it.
    Broker,
    /// Nobody takes the event.
    NoEventHandler,
    /// The event's handler cannot be reached, refused the event or answered nonsense.
    EventHandler,
    /// It turned out that the connection may not have it done.
    Refused(AckError),
}

impl Session {
    /// A session at its beginning.
    pub fn new(opening: Opening) -> Self {
        let Opening { hub, connection_id, user_id, permissions, speech } = opening;
        let conversation = match speech {
            Speech::Messages(subprotocol) => Conversation::Messages(subprotocol, AckCache::default()),
            Speech::Simple(mode) => Conversation::Simple(Box::new(mode)),
        };
        let invocations = Invocations::default();
        Self { hub, connection_id, user_id, permissions, conversation, invocations, streams: None }
    }

    /// The hub that the connection belongs to.
    pub fn hub(&self) -> &HubName {
        &self.hub
    }

    /// The connection's id.
    pub fn connection_id(&self) -> &ConnectionId {
        &self.connection_id
    }

    /// The user that the connection belongs to, if it has one.
    pub fn user_id(&self) -> Option<&UserId> {
        self.user_id.as_ref()
    }

    /// What broker and client agreed on.
    pub fn subprotocol(&self) -> Option<Subprotocol> {
        match self.conversation {
            Conversation::Messages(subprotocol, _) => Some(subprotocol),
            Conversation::Simple(_) => None,
        }
    }

    /// Whether the connection outlives its socket.
    pub fn is_reliable(&self) -> bool {
        self.subprotocol().is_some_and(Subprotocol::is_reliable)
    }

    /// What the client is told first, if its protocol has a form for it. `reconnection_token` is its proof for taking a
    /// reliable connection up again.
    pub fn greeting(&self, reconnection_token: Option<String>) -> Downstream {
        Downstream::Connected {
            connection_id: self.connection_id.clone(),
            user_id: self.user_id.clone(),
            reconnection_token,
        }
    }

    /// A message came in.
    pub fn on_message(&mut self, received: Received<'_>) -> Effect {
        match &self.conversation {
            Conversation::Messages(Subprotocol::Json | Subprotocol::JsonReliable, _) => {
                self.on_json(received)
            }
            Conversation::Messages(Subprotocol::Protobuf | Subprotocol::ProtobufReliable, _) => {
                self.on_protobuf(received)
            }
            Conversation::Simple(mode) => match mode.as_ref() {
                SimpleMode::SendEvent => raise(EventName::message(), simple_content(received), None),
                SimpleMode::SendToGroup { group, echo } => self.on_simple(received, group.clone(), *echo),
            },
        }
    }

    /// A message came in whose text is not UTF-8.
    pub fn on_invalid_text(&self) -> CloseReason {
        match self.conversation {
            Conversation::Messages(Subprotocol::Json | Subprotocol::JsonReliable, _) => {
                CloseReason::InvalidJsonMessage
            }
            Conversation::Messages(Subprotocol::Protobuf | Subprotocol::ProtobufReliable, _)
            | Conversation::Simple(_) => CloseReason::InvalidText,
        }
    }

    /// What a deed led to: the answer, if one is wanted, and whether the connection can go on.
    pub fn done(&mut self, ack_id: Option<AckId>, done: Result<(), Failure>) -> Effect {
        match (&mut self.conversation, done, ack_id) {
            (Conversation::Messages(_, acks), Ok(()), Some(ack_id)) => {
                acks.remember(ack_id);
                Effect::Reply(Downstream::Ack { ack_id, result: Ok(()) })
            }
            // The id is not remembered, so that the client may try again with it.
            (Conversation::Messages(..), Err(failure), Some(ack_id)) => match failure {
                Failure::Refused(error) => refuse(ack_id, error),
                Failure::Broker | Failure::NoEventHandler | Failure::EventHandler => {
                    refuse(ack_id, AckError::InternalServerError)
                }
            },
            // There is no other way to tell a client without a protocol.
            (Conversation::Simple(_), Err(failure), _) => Effect::Close(match failure {
                Failure::Broker | Failure::Refused(_) => CloseReason::ServiceFault,
                Failure::NoEventHandler => CloseReason::EventHandlerNotFound,
                Failure::EventHandler => CloseReason::EventHandlerFailed,
            }),
            (_, Ok(()), _) | (Conversation::Messages(..), Err(_), None) => Effect::Nothing,
        }
    }

    /// The application asks about or changes what the connection may do.
    pub fn on_permission(&mut self, action: Action, group: &GroupName, wish: Wish) -> PermissionAnswer {
        let changed: Result<(), TooManyExceptions> = match wish {
            Wish::Check => Ok(()),
            Wish::Grant => self.permissions.grant(action, group),
            Wish::Revoke => self.permissions.revoke(action, group),
        };
        match changed {
            Err(_) => PermissionAnswer::Full,
            Ok(()) if self.permissions.allows(action, group) => PermissionAnswer::Granted,
            Ok(()) => PermissionAnswer::Denied,
        }
    }

    fn on_json(&mut self, received: Received<'_>) -> Effect {
        let Received::Text(text) = received else {
            return Effect::Close(CloseReason::TextRequired);
        };
        match codec::json::decode(text.as_bytes()) {
            Ok(upstream) => self.on_upstream(upstream),
            Err(_) => Effect::Close(CloseReason::InvalidJsonMessage),
        }
    }

    fn on_protobuf(&mut self, received: Received<'_>) -> Effect {
        let Received::Binary(bytes) = received else {
            return Effect::Close(CloseReason::BinaryRequired);
        };
        match codec::protobuf::decode(bytes) {
            Ok(upstream) => self.on_upstream(upstream),
            Err(_) => Effect::Close(CloseReason::InvalidProtobufMessage),
        }
    }

    fn on_upstream(&mut self, upstream: Upstream) -> Effect {
        match upstream {
            Upstream::Ping => Effect::Reply(Downstream::Pong),
            Upstream::SequenceAck(up_to) if self.is_reliable() => Effect::Acknowledge(up_to),
            // Meaningful on reliable connections only, and harmless elsewhere.
            Upstream::SequenceAck(_) => Effect::Nothing,
            Upstream::JoinGroup { group, ack_id } => {
                let forbidden =
                    self.forbidden(ack_id, Action::JoinLeaveGroup, &group, AckError::JoinForbidden);
                forbidden.unwrap_or(Effect::Do(Deed::Join(group), ack_id))
            }
            Upstream::LeaveGroup { group, ack_id } => {
                let forbidden =
                    self.forbidden(ack_id, Action::JoinLeaveGroup, &group, AckError::LeaveForbidden);
                forbidden.unwrap_or(Effect::Do(Deed::Leave(group), ack_id))
            }
            Upstream::SendToGroup(send) => {
                let forbidden =
                    self.forbidden(send.ack_id, Action::SendToGroup, &send.group, AckError::SendForbidden);
                forbidden.unwrap_or_else(|| self.publish(send))
            }
            Upstream::Event { event, content, ack_id } => {
                let duplicate = ack_id.and_then(|ack_id| self.duplicate(ack_id));
                duplicate.unwrap_or_else(|| raise(event, content, ack_id))
            }
            Upstream::Invoke(invoke) => self.on_invoke(invoke),
            Upstream::CancelInvocation(id) => self.on_cancel(id),
            // Reserved for invocations of clients by the service, of which there are none.
            Upstream::InvokeResponse => Effect::Nothing,
            Upstream::StreamStart(start) => Effect::Stream(Box::new(StreamRequest::Start(start))),
            Upstream::StreamData(data) => Effect::Stream(Box::new(StreamRequest::Data(data))),
            Upstream::StreamEnd(end) => Effect::Stream(Box::new(StreamRequest::End(end))),
            Upstream::InvalidStream(invalid) => Effect::Stream(Box::new(StreamRequest::Invalid(invalid))),
            Upstream::SetGroupState { group, state, ack_id } => self.set_group_state(group, state, ack_id),
            Upstream::SubscribeGroupState { group, ack_id } => self.subscribe_group_state(group, ack_id),
            Upstream::UnsubscribeGroupState { group, ack_id } => self.unsubscribe_group_state(group, ack_id),
        }
    }

    /// The refusal of a request that was carried out before or is not permitted.
    fn forbidden(
        &self,
        ack_id: Option<AckId>,
        action: Action,
        group: &GroupName,
        error: impl FnOnce(GroupName) -> AckError,
    ) -> Option<Effect> {
        let duplicate = ack_id.and_then(|ack_id| self.duplicate(ack_id));
        if duplicate.is_some() {
            return duplicate;
        }
        let is_allowed = self.permissions.allows(action, group);
        (!is_allowed).then(|| refuse_if_asked(ack_id, error(group.clone())))
    }

    fn duplicate(&self, ack_id: AckId) -> Option<Effect> {
        let Conversation::Messages(_, acks) = &self.conversation else {
            return None;
        };
        acks.contains(ack_id).then(|| refuse(ack_id, AckError::Duplicate(ack_id)))
    }

    fn publish(&self, send: SendToGroup) -> Effect {
        let echo = if send.no_echo { Echo::Unwanted } else { Echo::Wanted };
        let ack_id = send.ack_id;
        Effect::Do(Deed::Route(Box::new(self.command(send, echo))), ack_id)
    }

    fn command(&self, send: SendToGroup, echo: Echo) -> Command {
        Command {
            hub: self.hub.clone(),
            target: Target::Group(send.group),
            body: Body::Message { from_user_id: self.user_id.clone(), content: send.content, stream: None },
            excluded: self.excluded(echo),
            filter: None,
            time_to_live: send.time_to_live,
        }
    }

    fn excluded(&self, echo: Echo) -> Vec<ConnectionId> {
        match echo {
            Echo::Wanted => Vec::new(),
            Echo::Unwanted => vec![self.connection_id.clone()],
        }
    }

    fn on_simple(&self, received: Received<'_>, group: GroupName, echo: Echo) -> Effect {
        if !self.permissions.allows(Action::SendToGroup, &group) {
            return Effect::Close(CloseReason::RawSendForbidden);
        }
        let content = simple_content(received);
        let send = SendToGroup { group, content, no_echo: false, time_to_live: None, ack_id: None };
        Effect::Do(Deed::Route(Box::new(self.command(send, echo))), None)
    }
}

fn simple_content(received: Received<'_>) -> Content {
    let payload = match received {
        Received::Text(text) => Payload::text(text),
        Received::Binary(bytes) => Payload::binary(bytes.to_vec().into()),
    };
    Content { payload, metadata: None }
}

fn raise(event: EventName, content: Content, ack_id: Option<AckId>) -> Effect {
    Effect::Do(Deed::Raise(Box::new(UserEvent { event, content })), ack_id)
}

fn refuse(ack_id: AckId, error: AckError) -> Effect {
    Effect::Reply(Downstream::Ack { ack_id, result: Err(error) })
}

fn refuse_if_asked(ack_id: Option<AckId>, error: AckError) -> Effect {
    ack_id.map_or(Effect::Nothing, |ack_id| refuse(ack_id, error))
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
