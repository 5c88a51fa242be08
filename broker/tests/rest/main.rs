//! Black-box tests of the REST data plane: every operation over real HTTP, and what real clients see of it. Source:
//! `rest-api.md` and its test list.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "../support/mod.rs"]
mod support;

mod audience;
mod bodies;
mod calls;
mod closing;
mod cors;
mod groups;
mod listing;
mod names;
mod operations;
mod permissions;
mod sends;
mod tokens;

use serde_json::Value;

use support::{Client, Reply, Server};

/// A target below the hub `chat`.
fn chat(rest: &str) -> String {
    format!("/api/hubs/chat/{rest}")
}

/// The data of the next message that a JSON client receives.
async fn next_data(client: &mut Client) -> Value {
    client.next_json().await["data"].clone()
}

/// Sends a text to the whole hub and sees it arrive. What was sent before and did not arrive before will never arrive.
async fn expect_nothing_but_marker(server: &Server, client: &mut Client) {
    server.rest().post(&chat(":send")).text("marker").expect(202).await;
    assert_eq!(next_data(client).await, "marker");
}

/// The reply is an error with this code and target, in the body and in the header.
fn assert_error(reply: &Reply, code: &str, target: &str) {
    let body = reply.json();
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body["target"], target, "{body}");
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert_eq!(reply.header("x-ms-error-code"), Some(code));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}
