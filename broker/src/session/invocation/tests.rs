use codec::ids::{EventName, NodeId};
use codec::message::{Content, Payload, Upstream};
use codec::subprotocol::Subprotocol;

use super::super::{Opening, Speech};
use super::*;
use crate::auth::permission::Permissions;

/// A session of a client that may do nothing that needs a role.
fn session() -> Session {
    Session::new(Opening {
        hub: codec::ids::HubName::new("chat").unwrap(),
        connection_id: codec::ids::ConnectionId::new(1, 0, &NodeId::new("n").unwrap()),
        user_id: None,
        permissions: Permissions::from_roles(&[]).0,
        speech: Speech::Messages(Subprotocol::Json),
    })
}

fn id(text: &str) -> InvocationId {
    InvocationId::new(text).unwrap()
}

/// What a session does about an invocation, in a line.
fn invoke(session: &mut Session, name: &str) -> String {
    let content = Content { payload: Payload::text("hi"), metadata: None };
    let event = EventName::new("e").unwrap();
    describe(session.on_upstream(Upstream::Invoke(Invoke { invocation_id: id(name), event, content })))
}

fn cancel(session: &mut Session, name: &str) -> String {
    describe(session.on_upstream(Upstream::CancelInvocation(id(name))))
}

fn succeed(session: &mut Session, name: &str) -> String {
    session.invoked(id(name), Ok(Invoked::default())).map_or("nothing".to_owned(), describe_response)
}

fn describe(effect: Effect) -> String {
    match effect {
        Effect::Nothing => "nothing".to_owned(),
        Effect::Invoke(invoke) => format!("ask {} as {}", invoke.event, invoke.invocation_id),
        Effect::CancelInvocation(id) => format!("drop {id}"),
        Effect::Reply(message) => describe_response(message),
        effect => panic!("{effect:?}"),
    }
}

fn describe_response(message: Downstream) -> String {
    match message {
        Downstream::InvokeResponse { invocation_id, result: Ok(_) } => format!("{invocation_id}: success"),
        Downstream::InvokeResponse { invocation_id, result: Err(error) } => {
            format!("{invocation_id}: {}: {error}", error.name())
        }
        message => panic!("{message:?}"),
    }
}

#[test]
fn an_id_stands_for_one_invocation_at_a_time() {
    let session = &mut session();
    assert_eq!(invoke(session, "1"), "ask e as 1");
    let in_use = "1: BadRequest: An invocation with this id is under way already.";
    assert_eq!(invoke(session, "1"), in_use);
    assert_eq!(invoke(session, "2"), "ask e as 2");
    assert_eq!(succeed(session, "1"), "1: success");
    assert_eq!(invoke(session, "1"), "ask e as 1", "it may be used again after the answer");
    assert_eq!(cancel(session, "1"), "drop 1");
    assert_eq!(invoke(session, "1"), "ask e as 1", "and after the client has taken it back");
    assert_eq!(invoke(session, "1"), in_use);
}

#[test]
fn nothing_is_said_of_what_is_not_under_way() {
    let session = &mut session();
    assert_eq!(cancel(session, "1"), "nothing");
    assert_eq!(succeed(session, "1"), "nothing");
    assert_eq!(invoke(session, "1"), "ask e as 1");
    assert_eq!(cancel(session, "1"), "drop 1");
    assert_eq!(cancel(session, "1"), "nothing");
    assert_eq!(succeed(session, "1"), "nothing", "a late answer");
    assert_eq!(describe(session.on_upstream(Upstream::InvokeResponse)), "nothing");
}

#[test]
fn whatever_failed_the_client_is_told_no_more_than_that() {
    let session = &mut session();
    for failure in [Failure::Broker, Failure::NoEventHandler, Failure::EventHandler] {
        assert_eq!(invoke(session, "1"), "ask e as 1");
        let told = session.invoked(id("1"), Err(failure)).map(describe_response);
        assert_eq!(told.as_deref(), Some("1: InternalServerError: Internal server error"));
    }
}

#[test]
fn a_hundred_are_under_way_and_no_more() {
    let session = &mut session();
    for n in 0..MAX_IN_FLIGHT {
        assert_eq!(invoke(session, &n.to_string()), format!("ask e as {n}"));
    }
    let too_many = "x: BadRequest: 100 invocations of this connection are under way already.";
    assert_eq!(invoke(session, "x"), too_many);
    assert_eq!(cancel(session, "x"), "nothing");
    assert_eq!(cancel(session, "7"), "drop 7");
    assert_eq!(invoke(session, "x"), "ask e as x");
    assert_eq!(invoke(session, "7").split(':').nth(1), Some(" BadRequest"));
    assert_eq!(succeed(session, "99"), "99: success");
    assert_eq!(invoke(session, "7"), "ask e as 7");
}

#[test]
fn an_id_costs_no_more_than_its_limit() {
    let session = &mut session();
    let longest = "é".repeat(MAX_ID / 2);
    assert_eq!(invoke(session, &longest), format!("ask e as {longest}"));
    let long = "x".repeat(MAX_ID + 1);
    let refused = format!("{long}: BadRequest: The invocation id has more than 1024 bytes.");
    assert_eq!(invoke(session, &long), refused);
}

#[test]
fn a_connection_that_invokes_nothing_owns_nothing_for_it() {
    let session = &mut session();
    assert_eq!(session.invocations.0.capacity(), 0);
    invoke(session, "1");
    invoke(session, "2");
    succeed(session, "1");
    cancel(session, "2");
    assert_eq!(session.invocations.0.capacity(), 0);
}
