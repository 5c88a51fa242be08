//! Black-box tests of what the broker tells and asks an application, and of what the answers do, over real sockets on
//! both sides. Source: `event-handlers.md`, and `client-protocols.md` where a client sees it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod choice;
mod connect_answer;
mod connect_refusal;
mod connect_request;
mod cookies;
mod disconnected;
mod headers;
mod invocation;
mod invocation_order;
mod lifecycle;
mod order;
mod outcomes;
mod presence;
mod protobuf;
mod replies;
mod responses;
mod retries;
mod stopping;
mod transport;
mod trouble;
mod validation;

use serde_json::{Value, json};

use support::{ClientSpec, Handler, HandlerSpec, RawSocket, Response, Server};

/// A broker whose hub `chat` has this one handler.
async fn broker_with(handler: &Handler, change: impl FnOnce(HandlerSpec) -> HandlerSpec) -> Server {
    Server::with(|setup| {
        setup.handler("chat", handler, change);
    })
    .await
}

/// A broker whose hub `chat` sends every user event to the handler.
async fn user_events_to(handler: &Handler) -> Server {
    broker_with(handler, |spec| spec.user("*")).await
}

/// A broker whose hub `chat` asks the handler about every client.
async fn connect_to(handler: &Handler) -> Server {
    broker_with(handler, |spec| spec.system(&["connect"])).await
}

/// A user event of text that wants an ack.
fn event(name: &str, ack_id: u64) -> Value {
    json!({"type": "event", "event": name, "dataType": "text", "data": "hi", "ackId": ack_id})
}

fn acked(ack_id: u64) -> Value {
    json!({"type": "ack", "ackId": ack_id, "success": true})
}

fn failed(ack_id: u64) -> Value {
    let error = json!({"name": "InternalServerError", "message": "Internal server error"});
    json!({"type": "ack", "ackId": ack_id, "success": false, "error": error})
}

fn duplicate(ack_id: u64) -> Value {
    let message = format!("Message with ack-id: {ack_id} has been processed");
    let error = json!({"name": "Duplicate", "message": message});
    json!({"type": "ack", "ackId": ack_id, "success": false, "error": error})
}

/// An invocation of an event with text.
fn invoke(id: &str, event: &str) -> Value {
    json!({
        "type": "invoke", "invocationId": id, "target": "event", "event": event, "dataType": "text", "data": "hi",
    })
}

fn failed_invocation(id: &str) -> Value {
    let error = json!({"name": "InternalServerError", "message": "Internal server error"});
    json!({"type": "invokeResponse", "invocationId": id, "success": false, "error": error})
}

/// Asks for an upgrade that may be refused.
async fn knock(server: &Server, spec: &ClientSpec) -> Response {
    server.raw().await.upgrade(&spec.path(server, "chat"), &spec.headers()).await
}

/// Asks for an upgrade and does not wait for the answer.
async fn knock_unanswered(server: &Server, spec: &ClientSpec) -> RawSocket {
    let mut socket = server.raw().await;
    let offer = spec.headers().iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n",
        spec.path(server, "chat"),
        server.address(),
    );
    socket.write(request.as_bytes()).await;
    socket
}
