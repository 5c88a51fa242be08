//! What waits for a user event that takes long, and what does not.

use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, ClientSpec, Frame, Gate, Handler, HandlerSpec, Opcode, Server};
use crate::{acked, broker_with, event, user_events_to};

#[tokio::test]
async fn frames_wait_in_order_behind_an_event() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("slow", Answer::text("slow").held_by(&gate));
    handler.always("next", Answer::text("next"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    client.send_json(event("slow", 1)).await;
    client.send_json(event("next", 2)).await;
    client.send_json(json!({"type": "ping"})).await;
    client.send_json(json!({"type": "joinGroup", "group": "g", "ackId": 3})).await;
    client.send_json(json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": "echo"})).await;
    client.send_json(event("next", 4)).await;
    handler.expect("slow").await;
    // That nothing has overtaken it is seen by what another does meanwhile.
    let mut other = server.connect("chat", ClientSpec::member().group("g")).await;
    other.publish("g", "mine").await;
    assert_eq!(other.next_json().await["data"], "mine");
    other.send_json(event("other", 1)).await;
    assert_eq!(other.next_json().await, acked(1));
    handler.expect("other").await;
    gate.open();
    assert_eq!(client.next_json().await["data"], "slow");
    assert_eq!(client.next_json().await, acked(1));
    assert_eq!(client.next_json().await["data"], "next");
    assert_eq!(client.next_json().await, acked(2));
    assert_eq!(client.next_json().await, json!({"type": "pong"}));
    assert_eq!(client.next_json().await, acked(3));
    assert_eq!(client.next_json().await["data"], "echo");
    assert_eq!(client.next_json().await["data"], "next");
    assert_eq!(client.next_json().await, acked(4));
    assert_eq!(other.next_json().await["data"], "echo");
    handler.expect("next").await;
    handler.expect("next").await;
}

#[tokio::test]
async fn what_others_send_does_not_wait_behind_an_event() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("slow", Answer::text("slow").held_by(&gate));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json().group("g")).await;
    client.send_json(event("slow", 1)).await;
    handler.expect("slow").await;
    for n in 0..10 {
        server.rest().post("/api/hubs/chat/groups/g/:send").text(&n.to_string()).expect(202).await;
        assert_eq!(client.next_json().await["data"], n.to_string());
    }
    gate.open();
    assert_eq!(client.next_json().await["data"], "slow");
    assert_eq!(client.next_json().await, acked(1));
}

#[tokio::test]
async fn a_slow_event_of_one_connection_delays_no_other() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.always("slow", Answer::status(204).held_by(&gate));
    let server = user_events_to(&handler).await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect("chat", ClientSpec::json()).await;
        client.send_json(event("slow", 1)).await;
        handler.expect("slow").await;
        waiting.push(client);
        let mut other = server.connect("chat", ClientSpec::json()).await;
        other.send_json(event("quick", 1)).await;
        assert_eq!(other.next_json().await, acked(1));
        handler.expect("quick").await;
    }
    gate.open();
    for client in &mut waiting {
        assert_eq!(client.next_json().await, acked(1));
    }
}

#[tokio::test]
async fn replies_and_acks_of_many_events_come_in_their_order() {
    let handler = Handler::start().await;
    handler.by("e", |arrived| Answer::body("text/plain", arrived.body.clone()));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for n in 0..200 {
        let event =
            json!({"type": "event", "event": "e", "dataType": "text", "data": n.to_string(), "ackId": n});
        client.send_json(event).await;
    }
    for n in 0..200 {
        assert_eq!(client.next_json().await["data"], n.to_string());
        assert_eq!(client.next_json().await, acked(n));
        let arrived = handler.expect("e").await;
        assert_eq!((arrived.text(), arrived.id()), (&*n.to_string(), n + 2));
    }
}

#[tokio::test]
async fn a_client_that_is_lost_while_its_event_runs_takes_it_back() {
    for with_more in [false, true] {
        let handler = Handler::start().await;
        handler.always("slow", Answer::never());
        let server = broker_with(&handler, |spec| spec.user("*").system(&["disconnected"])).await;
        let mut client = server.connect("chat", ClientSpec::json()).await;
        client.send_json(event("slow", 1)).await;
        let slow = handler.expect("slow").await;
        if with_more {
            client.send_json(event("next", 2)).await;
        }
        drop(client);
        slow.cancelled().await;
        let disconnected = handler.expect("disconnected").await;
        assert_eq!(disconnected.json(), json!({"reason": "The connection ended."}));
        assert_eq!(disconnected.id(), 3, "events that were not raised have no number");
    }
}

#[tokio::test]
async fn a_client_that_the_application_closes_while_its_event_runs_takes_it_back() {
    let handler = Handler::start().await;
    handler.always("slow", Answer::never());
    let server = broker_with(&handler, |spec| spec.user("*").system(&["disconnected"])).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("slow", 1)).await;
    let slow = handler.expect("slow").await;
    server.rest().delete(&format!("/api/hubs/chat/connections/{}", client.connection_id())).expect(204).await;
    slow.cancelled().await;
    assert_eq!(client.next_json().await["event"], "disconnected");
    client.expect_close(1000, "").await;
    handler.expect("disconnected").await;
}

#[tokio::test]
async fn a_client_whose_event_runs_is_still_pinged_and_kept() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("message", Answer::text("slow").held_by(&gate));
    let server = Server::with(|setup| {
        setup.keep_alive("chat", Duration::from_secs(1));
        setup.handler("chat", &handler, HandlerSpec::everything);
    })
    .await;
    let mut socket = server.raw_upgraded("chat", &ClientSpec::simple()).await;
    socket.send(&Frame::text("hi")).await;
    handler.expect_all(&["connect", "connected", "message"]).await;
    for _ in 0..2 {
        let ping = socket.read_frame().await;
        assert_eq!(ping.opcode, Opcode::PING);
        socket.send(&Frame::pong(ping.content)).await;
    }
    gate.open();
    assert_eq!(socket.read_frame().await, Frame::text("slow").unmasked());
}

#[tokio::test]
async fn a_client_that_sends_on_and_on_behind_an_event_costs_no_memory() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("message", Answer::status(204).held_by(&gate));
    let server = user_events_to(&handler).await;
    let mut socket = server.raw_upgraded("chat", &ClientSpec::simple()).await;
    socket.send(&Frame::text("hi")).await;
    handler.expect("message").await;
    // What the broker does not read stays with the two kernels, which take some megabytes; then writing blocks.
    let mebibyte = Frame::binary(vec![0; 1 << 20]).bytes();
    let mut written = 0;
    while written < 64 {
        use tokio::io::AsyncWriteExt;
        let write =
            tokio::time::timeout(Duration::from_millis(500), socket.stream.write_all(&mebibyte)).await;
        if write.is_err() {
            break;
        }
        written += 1;
    }
    assert!(written < 64, "the broker has read {written} MiB behind an event");
    gate.open();
    handler.expect("message").await;
}

#[tokio::test]
async fn a_ping_of_the_socket_is_answered_while_an_event_waits() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("slow", Answer::text("slow").held_by(&gate));
    let server = user_events_to(&handler).await;
    let mut socket = server.raw_upgraded("chat", &ClientSpec::json()).await;
    assert_eq!(socket.read_frame().await.opcode, Opcode::TEXT, "connected");
    socket.send(&Frame::text(&event("slow", 1).to_string())).await;
    handler.expect("slow").await;
    socket.send(&Frame::text(r#"{"type":"ping"}"#)).await;
    socket.send(&Frame::ping(b"there?")).await;
    let pong = socket.read_frame().await;
    assert_eq!((pong.opcode, &pong.content[..]), (Opcode::PONG, &b"there?"[..]));
    gate.open();
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(String::from_utf8(socket.read_frame().await.content.to_vec()).unwrap());
    }
    assert!(told[0].contains("slow") && told[1].contains("ack") && told[2].contains("pong"), "{told:?}");
}
