//! Invocations that take long: what passes them, who takes them back, and how many there may be. Source:
//! `client-protocols.md` 8 and `limits.md` 5.

use std::time::Duration;

use proto::client::downstream_message::InvokeResponseMessage;
use proto::client::downstream_message::Message as Downstream;
use proto::client::upstream_message::{CancelInvocationMessage, InvokeEventMessage, Message};
use serde_json::{Value, json};

use crate::support::{Answer, ClientSpec, Frame, Gate, Handler, Opcode, Server};
use crate::{acked, broker_with, event, failed_invocation, invoke, user_events_to};

const IN_USE: &str = "An invocation with this id is under way already.";
const TOO_MANY: &str = "100 invocations of this connection are under way already.";

fn cancel(id: &str) -> Value {
    json!({"type": "cancelInvocation", "invocationId": id})
}

fn refused(id: &str, message: &str) -> Value {
    let error = json!({"name": "BadRequest", "message": message});
    json!({"type": "invokeResponse", "invocationId": id, "success": false, "error": error})
}

fn answered(id: &str, text: &str) -> Value {
    json!({"type": "invokeResponse", "invocationId": id, "success": true, "dataType": "text", "data": text})
}

#[tokio::test]
async fn later_frames_pass_an_invocation() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("slow", Answer::text("slow").held_by(&gate));
    handler.always("quick", Answer::text("quick"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    client.send_json(invoke("1", "slow")).await;
    client.send_json(json!({"type": "ping"})).await;
    assert_eq!(client.next_json().await, json!({"type": "pong"}));
    client.expect_nothing_before_pong().await;
    client.join("g").await;
    client.publish("g", "echo").await;
    assert_eq!(client.next_json().await["data"], "echo");
    client.send_json(event("quick", 3)).await;
    assert_eq!(client.next_json().await["data"], "quick");
    assert_eq!(client.next_json().await, acked(3));
    client.send_json(invoke("2", "quick")).await;
    assert_eq!(client.next_json().await, answered("2", "quick"));
    gate.open();
    assert_eq!(client.next_json().await, answered("1", "slow"));
    let ids = handler.by_number(3).await.iter().map(|arrived| arrived.id()).collect::<Vec<_>>();
    assert_eq!(ids, [2, 3, 4], "they are numbered as they were sent");
}

#[tokio::test]
async fn answers_come_when_they_are_there() {
    let handler = Handler::start().await;
    let gates: Vec<Gate> = (0..5).map(|_| Gate::new()).collect();
    for (n, gate) in gates.iter().enumerate() {
        handler.once(&format!("e{n}"), Answer::text(&n.to_string()).held_by(gate));
    }
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for n in 0..5 {
        client.send_json(invoke(&n.to_string(), &format!("e{n}"))).await;
    }
    for n in [3, 4, 0, 2, 1] {
        gates[n].open();
        assert_eq!(client.next_json().await, answered(&n.to_string(), &n.to_string()));
    }
}

#[tokio::test]
async fn an_invocation_waits_in_turn_behind_an_event() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("slow", Answer::text("slow").held_by(&gate));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("slow", 1)).await;
    client.send_json(invoke("1", "next")).await;
    handler.expect("slow").await;
    // That the invocation has not overtaken it is seen by what another does meanwhile.
    let mut other = server.connect("chat", ClientSpec::json()).await;
    other.send_json(event("other", 1)).await;
    assert_eq!(other.next_json().await, acked(1));
    handler.expect("other").await;
    gate.open();
    assert_eq!(client.next_json().await["data"], "slow");
    assert_eq!(client.next_json().await, acked(1));
    assert_eq!(client.next_json().await["invocationId"], "1");
    handler.expect("next").await;
}

#[tokio::test]
async fn an_answer_comes_while_an_event_waits() {
    let handler = Handler::start().await;
    let (first, second) = (Gate::new(), Gate::new());
    handler.once("invoked", Answer::text("first").held_by(&first));
    handler.once("raised", Answer::text("second").held_by(&second));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(invoke("1", "invoked")).await;
    client.send_json(event("raised", 1)).await;
    handler.expect_all(&["invoked", "raised"]).await;
    first.open();
    assert_eq!(client.next_json().await, answered("1", "first"));
    second.open();
    assert_eq!(client.next_json().await["data"], "second");
    assert_eq!(client.next_json().await, acked(1));
}

#[tokio::test]
async fn an_id_is_refused_while_it_is_under_way_and_free_afterwards() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("e", Answer::text("slow").held_by(&gate));
    handler.always("e", Answer::text("again"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let mut other = server.connect("chat", ClientSpec::json()).await;
    client.send_json(invoke("1", "e")).await;
    handler.expect("e").await;
    client.send_json(invoke("1", "e")).await;
    assert_eq!(client.next_json().await, refused("1", IN_USE));
    other.send_json(invoke("1", "e")).await;
    assert_eq!(other.next_json().await, answered("1", "again"), "ids are each connection's own");
    gate.open();
    assert_eq!(client.next_json().await, answered("1", "slow"), "the first is not harmed");
    client.send_json(invoke("1", "e")).await;
    assert_eq!(client.next_json().await, answered("1", "again"));
}

#[tokio::test]
async fn a_cancelled_invocation_is_taken_back_and_its_answer_does_not_come() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("slow", Answer::text("late").held_by(&gate));
    handler.always("slow", Answer::text("again"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(invoke("1", "slow")).await;
    let slow = handler.expect("slow").await;
    client.send_json(cancel("1")).await;
    slow.cancelled().await;
    client.send_json(invoke("1", "slow")).await;
    gate.open();
    assert_eq!(client.next_json().await, answered("1", "again"));
    // What is not under way is cancelled without a word.
    client.send_json(cancel("1")).await;
    client.send_json(cancel("never begun")).await;
    client.send_json(json!({"type": "invokeResponse", "invocationId": "1", "success": true})).await;
    client.send_json(json!({"type": "ping"})).await;
    assert_eq!(client.next_json().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn a_protobuf_client_cancels_as_well() {
    let handler = Handler::start().await;
    handler.once("slow", Answer::never());
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    let invoke = Message::InvokeEventMessage(InvokeEventMessage {
        event: "slow".into(),
        invocation_id: "1".into(),
        ..InvokeEventMessage::default()
    });
    client.send_protobuf(invoke.clone()).await;
    let slow = handler.expect("slow").await;
    client
        .send_protobuf(Message::CancelInvocationMessage(CancelInvocationMessage {
            invocation_id: "1".into(),
        }))
        .await;
    slow.cancelled().await;
    let success = InvokeResponseMessage {
        invocation_id: "1".into(),
        success: true,
        ..InvokeResponseMessage::default()
    };
    client.ask_protobuf(invoke, Downstream::InvokeResponseMessage(success)).await;
}

#[tokio::test]
async fn a_connection_has_100_invocations_under_way_and_no_more() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.always("slow", Answer::text("slow").held_by(&gate));
    let server = Server::with(|setup| {
        setup.handler_limits(1000, 1000).handler("chat", &handler, |spec| spec.user("*"));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for n in 0..100 {
        client.send_json(invoke(&n.to_string(), "slow")).await;
    }
    client.send_json(invoke("one more", "slow")).await;
    assert_eq!(client.next_json().await, refused("one more", TOO_MANY));
    let mut other = server.connect("chat", ClientSpec::json()).await;
    other.send_json(invoke("one more", "quick")).await;
    assert_eq!(other.next_json().await["success"], true, "others have their own");
    client.send_json(cancel("50")).await;
    client.send_json(invoke("one more", "slow")).await;
    client.send_json(invoke("and one more", "slow")).await;
    assert_eq!(client.next_json().await, refused("and one more", TOO_MANY));
    gate.open();
    let mut answers = Vec::new();
    for _ in 0..100 {
        let answer = client.next_json().await;
        assert_eq!(answer["data"], "slow", "{answer}");
        answers.push(answer["invocationId"].as_str().unwrap().to_owned());
    }
    answers.sort_unstable();
    answers.dedup();
    assert!(answers.len() == 100 && !answers.contains(&"50".to_owned()), "{answers:?}");
    client.send_json(invoke("and one more", "slow")).await;
    assert_eq!(client.next_json().await, answered("and one more", "slow"));
}

#[tokio::test]
async fn who_takes_back_again_and_again_has_no_more_calls_than_others() {
    let handler = Handler::start().await;
    handler.always("slow", Answer::never());
    let server = Server::with(|setup| {
        // A call that was not dropped would take the place of another, which would wait for it in vain.
        setup.handler_limits(100, 1000).handler("chat", &handler, |spec| spec.user("*"));
    })
    .await;
    let mut socket = server.raw_upgraded("chat", &ClientSpec::json()).await;
    assert_eq!(socket.read_frame().await.opcode, Opcode::TEXT, "connected");
    let mut packet = Vec::new();
    for n in 0..1000 {
        packet.extend(Frame::text(&invoke(&n.to_string(), "slow").to_string()).bytes());
        packet.extend(Frame::text(&cancel(&n.to_string()).to_string()).bytes());
    }
    for n in 0..100 {
        packet.extend(Frame::text(&invoke(&n.to_string(), "quick").to_string()).bytes());
    }
    socket.write(&packet).await;
    for _ in 0..100 {
        let frame = socket.read_frame().await;
        let answer: Value = serde_json::from_slice(&frame.content).unwrap();
        assert_eq!(answer["success"], true, "{answer}");
    }
    let is_open = |event: &str| handler.events().iter().any(|e| e.event() == event && e.is_open());
    assert!(!is_open("slow"));
}

#[tokio::test]
async fn an_id_has_at_most_1024_bytes() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let (longest, long) = ("é".repeat(512), "x".repeat(1025));
    client.send_json(invoke(&longest, "e")).await;
    assert_eq!(client.next_json().await["invocationId"], longest);
    handler.expect("e").await;
    client.send_json(invoke(&long, "e")).await;
    assert_eq!(client.next_json().await, refused(&long, "The invocation id has more than 1024 bytes."));
}

#[tokio::test]
async fn a_handler_that_takes_too_long_fails_the_invocation() {
    let handler = Handler::start().await;
    handler.always("slow", Answer::never());
    let server = Server::with(|setup| {
        setup.handler_timeout(Duration::from_secs(1)).handler("chat", &handler, |spec| spec.user("*"));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(invoke("1", "slow")).await;
    let slow = handler.expect("slow").await;
    assert_eq!(client.next_json().await, failed_invocation("1"));
    slow.cancelled().await;
}

#[tokio::test]
async fn a_connection_that_ends_takes_its_invocations_back() {
    for by_rest in [false, true] {
        let handler = Handler::start().await;
        handler.always("slow", Answer::never());
        let server = broker_with(&handler, |spec| spec.user("*").system(&["disconnected"])).await;
        let mut client = server.connect("chat", ClientSpec::json()).await;
        for id in ["1", "2", "3"] {
            client.send_json(invoke(id, "slow")).await;
        }
        let calls = handler.expect_all(&["slow", "slow", "slow"]).await;
        if by_rest {
            let path = format!("/api/hubs/chat/connections/{}", client.connection_id());
            server.rest().delete(&path).expect(204).await;
            assert_eq!(client.next_json().await["event"], "disconnected");
            client.expect_close(1000, "").await;
        } else {
            drop(client);
        }
        for call in calls {
            call.cancelled().await;
        }
        assert_eq!(handler.expect("disconnected").await.id(), 5);
    }
}
