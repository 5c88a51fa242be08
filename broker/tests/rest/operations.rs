//! All operations at once: what each answers when it succeeds, and what all have in common.

use hyper::Method;
use serde_json::json;

use crate::support::{Call, ClientSpec, Rest, Server};
use crate::{assert_error, chat, expect_nothing_but_marker};

/// One call of an operation, and the status of its success while the connection `{c}` of user `ann` is in `room`.
struct Row {
    method: Method,
    target: &'static str,
    body: Body,
    status: u16,
}

enum Body {
    None,
    Text,
    Batch,
}

const fn row(method: Method, target: &'static str, body: Body, status: u16) -> Row {
    Row { method, target, body, status }
}

/// Every operation of `rest-api.md` 6 that a key may call, those that close connections last.
fn rows() -> [Row; 24] {
    use Body::{Batch, None, Text};
    let (head, get, put) = (Method::HEAD, Method::GET, Method::PUT);
    let (post, delete) = (Method::POST, Method::DELETE);
    [
        row(head.clone(), "/api/health", None, 200),
        row(post.clone(), "/api/hubs/chat/:addToGroups", Batch, 200),
        row(post.clone(), "/api/hubs/chat/:removeFromGroups", Batch, 200),
        row(post.clone(), "/api/hubs/chat/:send", Text, 202),
        row(head.clone(), "/api/hubs/chat/connections/{c}", None, 200),
        row(post.clone(), "/api/hubs/chat/connections/{c}/:send", Text, 202),
        row(head.clone(), "/api/hubs/chat/groups/room", None, 200),
        row(get, "/api/hubs/chat/groups/room/connections", None, 200),
        row(post.clone(), "/api/hubs/chat/groups/room/:send", Text, 202),
        row(put.clone(), "/api/hubs/chat/groups/a/connections/{c}", None, 200),
        row(delete.clone(), "/api/hubs/chat/groups/a/connections/{c}", None, 204),
        row(put.clone(), "/api/hubs/chat/permissions/sendToGroup/connections/{c}?targetName=a", None, 200),
        row(head.clone(), "/api/hubs/chat/permissions/sendToGroup/connections/{c}?targetName=a", None, 200),
        row(delete.clone(), "/api/hubs/chat/permissions/sendToGroup/connections/{c}?targetName=a", None, 204),
        row(head, "/api/hubs/chat/users/ann", None, 200),
        row(post.clone(), "/api/hubs/chat/users/ann/:send", Text, 202),
        row(put, "/api/hubs/chat/users/ann/groups/a", None, 200),
        row(delete.clone(), "/api/hubs/chat/users/ann/groups/a", None, 204),
        row(delete.clone(), "/api/hubs/chat/users/ann/groups", None, 204),
        row(delete.clone(), "/api/hubs/chat/connections/{c}/groups", None, 204),
        row(delete, "/api/hubs/chat/connections/{c}", None, 204),
        row(post.clone(), "/api/hubs/chat/users/ann/:closeConnections", None, 204),
        row(post.clone(), "/api/hubs/chat/groups/room/:closeConnections", None, 204),
        row(post, "/api/hubs/chat/:closeConnections", None, 204),
    ]
}

impl Row {
    fn target(&self, connection: &str) -> String {
        self.target.replace("{c}", connection)
    }

    fn call(&self, rest: &Rest, target: &str) -> Call {
        let call = rest.call(self.method.clone(), target);
        match self.body {
            Body::None => call,
            Body::Text => call.text("text"),
            Body::Batch => call.json(&json!({"groups": ["a"]})),
        }
    }
}

fn with_query(target: &str, query: &str) -> String {
    let separator = if target.contains('?') { '&' } else { '?' };
    format!("{target}{separator}{query}")
}

#[tokio::test]
async fn every_operation_succeeds_with_its_own_status_and_an_empty_body() {
    let server = Server::start().await;
    let client = server.connect("chat", ClientSpec::json().user("ann").group("room")).await;
    for row in rows() {
        let target = with_query(&row.target(client.connection_id()), "api-version=2024-12-01");
        let reply = row.call(&server.rest(), &target).expect(row.status).await;
        let is_listing = row.method == Method::GET;
        assert_eq!(reply.body.is_empty(), !is_listing, "{}: {:?}", row.target, reply.body);
        assert_eq!(reply.header("x-ms-error-code"), None, "{}", row.target);
    }
}

#[tokio::test]
async fn every_operation_works_under_every_version_and_without_one() {
    let server = Server::start().await;
    let versions = [
        "2021-05-01-preview",
        "2021-08-01-preview",
        "2021-10-01",
        "2022-11-01",
        "2023-07-01",
        "2024-01-01",
        "2024-12-01",
    ];
    let queries = versions.map(|version| format!("?api-version={version}"));
    for query in queries.iter().map(String::as_str).chain([""]) {
        let client = server.connect("chat", ClientSpec::json().user("ann").group("room")).await;
        for row in rows() {
            let target = match query.strip_prefix('?') {
                Some(query) => with_query(&row.target(client.connection_id()), query),
                None => row.target(client.connection_id()),
            };
            row.call(&server.rest(), &target).expect(row.status).await;
        }
    }
}

#[tokio::test]
async fn a_bad_version_is_refused_by_every_operation_and_nothing_happens() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().user("ann").group("room")).await;
    let id = client.connection_id().to_owned();
    for row in rows() {
        for query in
            ["api-version=2019-01-01", "api-version=", "api-version=2024-12-01&api-version=2024-12-01"]
        {
            let target = with_query(&row.target(&id), query);
            let reply = row.call(&server.rest(), &target).expect(400).await;
            assert_eq!(reply.header("x-ms-error-code"), Some("Error.BadRequest"), "{}", row.target);
            if row.method == Method::HEAD {
                assert!(reply.body.is_empty(), "{}", row.target);
            } else {
                assert_error(&reply, "Error.BadRequest", "api-version");
            }
        }
    }
    server.rest().head(&chat("groups/room")).expect(200).await;
    server.rest().head(&chat("groups/a")).expect(404).await;
    expect_nothing_but_marker(&server, &mut client).await;
}

#[tokio::test]
async fn every_operation_but_health_needs_a_token_and_nothing_happens_without() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().user("ann").group("room")).await;
    let id = client.connection_id().to_owned();
    for row in rows().iter().filter(|row| row.target != "/api/health") {
        // A bad version beside it tells nothing to who has no token.
        for target in [row.target(&id), with_query(&row.target(&id), "api-version=x")] {
            let reply = row.call(&server.rest(), &target).without_token().expect(401).await;
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{}", row.target);
            assert_eq!(reply.header("x-ms-error-code"), Some("Error.Unauthorized"), "{}", row.target);
            assert_eq!(reply.body.is_empty(), row.method == Method::HEAD, "{}", row.target);
        }
    }
    server.rest().head(&chat("groups/a")).expect(404).await;
    expect_nothing_but_marker(&server, &mut client).await;
}

#[tokio::test]
async fn a_bad_hub_name_is_refused_by_every_operation() {
    let server = Server::start().await;
    for row in rows().iter().filter(|row| row.target != "/api/health") {
        for hub in ["1chat", "ch-at", "ch%20at", "%20", "ch%C3%A4t"] {
            let target = row.target("c").replace("/hubs/chat/", &format!("/hubs/{hub}/"));
            let reply = row.call(&server.rest(), &target).expect(400).await;
            if row.method != Method::HEAD {
                assert_error(&reply, "Error.BadRequest", "Request");
                assert_eq!(reply.json()["message"], "Invalid hub name.", "{}", row.target);
            }
        }
    }
}

#[tokio::test]
async fn hub_names_ignore_case() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    server.rest().post("/api/hubs/CHAT/:send").text("loud").expect(202).await;
    assert_eq!(client.next_json().await["data"], "loud");
    let odd = "/api/hubs/A%60_%2C.%5B9%5D/:send";
    server.rest().post(odd).text("odd").expect(202).await;
    let longest = format!("/api/hubs/a{}/:send", "b".repeat(127));
    server.rest().post(&longest).text("long").expect(202).await;
    let too_long = format!("/api/hubs/a{}/:send", "b".repeat(128));
    server.rest().post(&too_long).text("long").expect(400).await;
}
