//! Paths, methods, headers and health: what is decided before an operation begins.

use std::collections::BTreeSet;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::support::{ClientSpec, Server, within_deadline};
use crate::{assert_error, chat};

const VERSIONS: &str = "2021-10-01, 2022-11-01, 2023-07-01, 2024-01-01, 2024-12-01";

#[tokio::test]
async fn health_needs_no_token_and_answers_head_and_get() {
    let server = Server::start().await;
    for target in ["/api/health", "/api/health/", "/api/health?api-version=2024-12-01"] {
        for call in [server.rest().head(target), server.rest().get(target)] {
            let reply = call.without_token().expect(200).await;
            assert!(reply.body.is_empty(), "{target}");
            assert_eq!(reply.header("api-supported-versions"), Some(VERSIONS));
        }
    }
    let reply = server.rest().get("/api/health?api-version=1").without_token().expect(400).await;
    assert_error(&reply, "Error.BadRequest", "api-version");
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let server = Server::start().await;
    for target in [
        "/api/",
        "/api/hubs",
        "/api/hubs/chat",
        "/api/hubs/chat/:invoke",
        "/api/hubs/chat/%253Asend",
        "/api/hubs/chat//:send",
        "/api/hubs/chat/:send//",
        "/api/hubs/chat/:send/more",
        "/api/hubs/chat/groups/room/members",
        "/api/hubs/chat/users/ann/groups/room/more",
    ] {
        let reply = server.rest().post(target).text("x").expect(404).await;
        assert_error(&reply, "Error.NotFound", "Request");
    }
}

#[tokio::test]
async fn a_known_path_with_another_method_is_405_and_says_which_are_allowed() {
    let server = Server::start().await;
    let rest = server.rest();
    let rows: [(_, &[&str]); 7] = [
        (rest.get(&chat(":send")), &["POST"]),
        (rest.get(&chat("connections/c")), &["DELETE", "HEAD"]),
        (rest.post(&chat("groups/g")), &["HEAD"]),
        (rest.post(&chat("groups/g/connections/c")), &["DELETE", "PUT"]),
        (rest.get(&chat("permissions/sendToGroup/connections/c")), &["DELETE", "HEAD", "PUT"]),
        (rest.head(&chat("groups/g/connections")), &["GET"]),
        (rest.put("/api/health"), &["GET", "HEAD"]),
    ];
    for (call, expected) in rows {
        let reply = call.expect(405).await;
        let allowed: BTreeSet<_> = reply.header("allow").unwrap().split(", ").collect();
        assert_eq!(allowed, expected.iter().copied().chain(["OPTIONS"]).collect(), "{expected:?}");
        assert_eq!(reply.header("x-ms-error-code"), Some("Error.MethodNotAllowed"));
    }
}

#[tokio::test]
async fn a_trailing_slash_and_an_escaped_colon_are_tolerated() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json().user("ann").group("room")).await;
    let paths = [
        ":send/",
        "%3Asend",
        "%3asend/",
        "groups/room/%3Asend",
        "users/ann/%3Asend",
        "groups/room/:send/?api-version=2024-12-01",
    ];
    for (number, path) in paths.into_iter().enumerate() {
        server.rest().post(&chat(path)).text(&number.to_string()).expect(202).await;
        assert_eq!(client.next_json().await["data"], number.to_string(), "{path}");
    }
    server.rest().head(&chat("groups/room/")).expect(200).await;
}

#[tokio::test]
async fn every_answer_names_the_versions_and_echoes_the_request_id() {
    let server = Server::start().await;
    let id = "5f2a8c1e-0000-4000-8000-000000000001";
    let rest = server.rest();
    for (call, status) in [
        (rest.post(&chat(":send")).text("x"), 202),
        (rest.head(&chat("users/nobody")), 404),
        (rest.post(&chat(":send")).text("x").without_token(), 401),
        (rest.get("/api/nothing"), 404),
        (rest.get(&chat(":send")), 405),
    ] {
        let reply = call.header("x-ms-client-request-id", id).expect(status).await;
        assert_eq!(reply.header("x-ms-client-request-id"), Some(id), "{status}");
        assert_eq!(reply.header("api-supported-versions"), Some(VERSIONS), "{status}");
    }
    let reply = rest.head(&chat("users/nobody")).expect(404).await;
    assert_eq!(reply.header("x-ms-client-request-id"), None);
}

#[tokio::test]
async fn unknown_parameters_are_ignored() {
    let server = Server::start().await;
    let target = chat(":send?api-version=2024-12-01&unknown=1&unknown=%20&another");
    server.rest().post(&target).text("x").expect(202).await;
}

#[tokio::test]
async fn a_path_or_query_that_is_not_utf8_is_400() {
    let server = Server::start().await;
    let rest = server.rest();
    for target in ["groups/%FF/:send", "users/%E4%BD/:send", ":send?filter=%FF", ":send?unknown=%FF"] {
        let reply = rest.post(&chat(target)).text("x").expect(400).await;
        assert_error(&reply, "Error.BadRequest", "Request");
    }
}

#[tokio::test]
async fn an_answer_never_repeats_the_token() {
    let server = Server::start().await;
    let token = server.rest().token("/api/hubs/another/:send").sign();
    let reply = server.rest().post(&chat(":send")).text("x").token(&token).expect(401).await;
    let signature = token.rsplit('.').next().unwrap();
    assert!(!String::from_utf8_lossy(&reply.body).contains(signature));
    assert!(reply.headers.values().all(|value| !value.to_str().unwrap().contains(signature)));
}

#[tokio::test]
async fn one_socket_carries_many_calls() {
    let server = Server::start().await;
    let mut socket = server.raw().await;
    for expected in [404, 404, 200] {
        let target = if expected == 200 { "/api/health" } else { "/api/nothing" };
        let request = format!("HEAD {target} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
        socket.write(request.as_bytes()).await;
        let head = socket.read_response().await;
        assert_eq!(head.status, expected);
    }
}

#[tokio::test]
async fn http_2_is_spoken_too() {
    let server = Server::start().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let driver = tokio::spawn(connection);
    for (path, method, status) in
        [(":send", "POST", 202), ("groups/none", "HEAD", 404), (":send", "GET", 405)]
    {
        let target = chat(path);
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", server.origin()))
            .header("Authorization", format!("Bearer {}", server.rest().token(&target).sign()))
            .header("Content-Type", "text/plain")
            .body(Full::new(Bytes::from_static(b"over h2")))
            .unwrap();
        let response = within_deadline("an answer", sender.send_request(request)).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
    }
    assert_eq!(client.next_json().await["data"], "over h2");
    driver.abort();
}
