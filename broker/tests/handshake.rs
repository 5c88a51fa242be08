//! Black-box tests of the handshake: who gets in, how, and what the others are told. Source: `client-protocols.md` 1 to
//! 3 and its test list; tokens as such are in `auth.rs`, what comes after the handshake in `client/`.

mod support;

use std::time::Duration;

use serde_json::json;
use support::{
    ClientSpec, Frame, JSON, JSON_RELIABLE, PROTOBUF, PROTOBUF_RELIABLE, RawSocket, Response, Server, escape,
    within_deadline,
};

/// Asks for an upgrade on a socket of its own.
async fn upgrade(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    server.raw().await.upgrade(path, headers).await
}

/// A path of hub `chat` with a valid token and these further parameters.
fn with_token(server: &Server, query: &str) -> String {
    format!("/client/hubs/chat?access_token={}&{query}", server.client_token("chat").sign())
}

fn assert_refused(response: &Response, status: u16, body: &str, case: &str) {
    assert_eq!((response.status, response.body.as_str()), (status, body), "{case}");
}

#[tokio::test]
async fn the_answer_to_an_upgrade_follows_rfc_6455() {
    let server = Server::start().await;
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")];
    let response = upgrade(&server, &with_token(&server, ""), &offer).await;
    assert_eq!(response.status, 101);
    assert_eq!(response.header("upgrade").map(str::to_ascii_lowercase).as_deref(), Some("websocket"));
    assert_eq!(response.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(response.header("sec-websocket-extensions"), None, "no extension is spoken");
    assert_eq!(response.header("sec-websocket-protocol"), None, "none was offered");
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_400() {
    let server = Server::start().await;
    let path = with_token(&server, "");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let cases = [
        ("an ordinary GET", "GET", String::new()),
        ("no Upgrade header", "GET", format!("Connection: Upgrade\r\n{version}{key}")),
        ("no Connection header", "GET", format!("Upgrade: websocket\r\n{version}{key}")),
        ("another protocol", "GET", format!("Connection: Upgrade\r\nUpgrade: h2c\r\n{version}{key}")),
        ("no key", "GET", format!("{upgrade}{version}")),
        ("another method", "POST", format!("{upgrade}{version}{key}Content-Length: 0\r\n")),
    ];
    for (case, method, headers) in cases {
        let mut socket = server.raw().await;
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", server.address());
        socket.write(request.as_bytes()).await;
        assert_refused(&socket.read_response().await, 400, "", case);
    }
}

#[tokio::test]
async fn a_hub_that_is_absent_or_malformed_is_400_whatever_else_is_wrong() {
    let server = Server::start().await;
    let too_long = format!("/client/hubs/{}", "a".repeat(129));
    let paths = [
        "/client/hubs/1chat",
        "/client/hubs/ch-at",
        "/client/hubs/%20",
        "/client/hubs/ch%C3%A4t",
        "/client/hubs/%ff",
        &too_long,
        "/client/",
        "/client",
        "/client/?hub=",
        "/client?hub=%20",
        "/client/?hub=1chat",
        "/client/hubs/1chat?awps_connection_id=x",
    ];
    for path in paths {
        assert_refused(&upgrade(&server, path, &[]).await, 400, "", path);
    }
}

#[tokio::test]
async fn without_a_token_the_answer_is_401() {
    let server = Server::start().await;
    for path in
        ["/client/hubs/chat", "/client/hubs/chat?access_token=", "/client/hubs/chat?webpubsub_mode=bogus"]
    {
        assert_refused(&upgrade(&server, path, &[]).await, 401, "", path);
    }
    for header in ["", "Bearer", "Bearer ", "Basic YTpi"] {
        let response = upgrade(&server, "/client/hubs/chat", &[("Authorization", header)]).await;
        assert_refused(&response, 401, "", header);
    }
}

#[tokio::test]
async fn an_invalid_group_in_the_token_is_400() {
    let server = Server::start().await;
    let long = "g".repeat(1025);
    for group in ["", "  ", &long] {
        let token = server.client_token("chat").groups(["fine", group]).sign();
        // The mode is wrong too, but the group is looked at first.
        let path = format!("/client/hubs/chat?webpubsub_mode=bogus&access_token={token}");
        let response = upgrade(&server, &path, &[]).await;
        assert_refused(&response, 400, "The token contains an invalid group name.", group);
    }
    let single = server.client_token("chat").claim("webpubsub.group", " ").sign();
    let response = upgrade(&server, &format!("/client/hubs/chat?access_token={single}"), &[]).await;
    assert_refused(&response, 400, "The token contains an invalid group name.", "one text");
}

#[tokio::test]
async fn wrong_parameters_of_the_raw_mode_are_400_for_every_client() {
    const MODE: &str = "Invalid webpubsub_mode. Valid modes are sendToGroup and sendEvent.";
    const GROUP: &str = "The raw sendToGroup group name is invalid.";
    const NO_ECHO: &str = "Invalid noEcho. Valid values are true and false.";
    let server = Server::start().await;
    let long = format!("webpubsub_mode=sendToGroup&group={}", "g".repeat(1025));
    let cases = [
        ("webpubsub_mode=bogus", MODE),
        ("webpubsub_mode=%20", MODE),
        ("webpubsub_mode=sendEvent&webpubsub_mode=bogus", MODE),
        ("webpubsub_mode=sendToGroup", GROUP),
        ("webpubsub_mode=sendToGroup&group=", GROUP),
        ("webpubsub_mode=sendToGroup&group=%20%09", GROUP),
        ("webpubsub_mode=sendToGroup&group=g&group=", GROUP),
        (&long, GROUP),
        ("webpubsub_mode=sendToGroup&group=g&noEcho=1", NO_ECHO),
        ("webpubsub_mode=sendToGroup&group=g&noEcho=yes", NO_ECHO),
        ("webpubsub_mode=sendToGroup&group=g&noEcho=true&noEcho=no", NO_ECHO),
    ];
    for (query, body) in cases {
        let path = with_token(&server, query);
        assert_refused(&upgrade(&server, &path, &[]).await, 400, body, query);
        let offer = [("Sec-WebSocket-Protocol", JSON)];
        assert_refused(&upgrade(&server, &path, &offer).await, 400, body, query);
    }
}

#[tokio::test]
async fn good_parameters_of_the_raw_mode_are_taken_in_any_case_and_the_last_one_counts() {
    let server = Server::start().await;
    let queries = [
        "webpubsub_mode=",
        "webpubsub_mode=SENDEVENT",
        "webpubsub_mode=sendEvent&group=&noEcho=yes",
        "group=&noEcho=yes",
        "webpubsub_mode=bogus&webpubsub_mode=sendEvent",
        "webpubsub_mode=SendToGroup&group=g&noEcho=TRUE",
        "webpubsub_mode=sendToGroup&group=g&noEcho=",
        "webpubsub_mode=sendToGroup&group=&group=g&noEcho=no&noEcho=False",
        "color=blue&empty&=x&color=red",
    ];
    for query in queries {
        let response = upgrade(&server, &with_token(&server, query), &[]).await;
        assert_eq!(response.status, 101, "{query}: {response:?}");
    }
}

#[tokio::test]
async fn the_group_of_the_raw_mode_is_percent_decoded() {
    let server = Server::start().await;
    let mut member = server.connect("chat", ClientSpec::member()).await;
    member.join("a/b ü%").await;
    let spec = ClientSpec::publisher("a/b ü%").role("webpubsub.sendToGroup");
    let mut publisher = server.connect("chat", spec).await;
    publisher.send_text("hi").await;
    let message = member.next_json().await;
    assert_eq!((&message["group"], &message["data"]), (&json!("a/b ü%"), &json!("hi")));
}

#[tokio::test]
async fn the_token_may_stand_in_the_header_and_the_query_wins() {
    let server = Server::start().await;
    let good = server.client_token("chat").sign();
    let bad = server.client_token("chat").key("some-other-key-of-at-least-32-bytes-").sign();
    let cases = [
        ("only the header", "", Some(&good), 101),
        ("only a bad header", "", Some(&bad), 401),
        ("both good", &*format!("access_token={good}"), Some(&good), 101),
        ("the query is bad", &*format!("access_token={bad}"), Some(&good), 401),
        ("the header is bad", &*format!("access_token={good}"), Some(&bad), 101),
        ("an empty query parameter", "access_token=", Some(&good), 101),
        ("a name in another case", &*format!("Access_Token={good}"), None, 101),
    ];
    for (case, query, header, status) in cases {
        let value = header.map(|token| format!("bEARER {token}"));
        let headers: Vec<_> = value.iter().map(|value| ("Authorization", value.as_str())).collect();
        let response = upgrade(&server, &format!("/client/hubs/chat?{query}"), &headers).await;
        assert_eq!(response.status, status, "{case}");
    }
}

#[tokio::test]
async fn hubs_are_told_apart_ignoring_case() {
    let server = Server::start().await;
    let mut upper = server.connect("CHAT", ClientSpec::json()).await;
    let token = server.client_token("Chat").sign();
    let mut lower = server.connect("chat", ClientSpec::json().token(&token)).await;
    server.rest().post("/api/hubs/cHaT/:send").text("one hub").expect(202).await;
    assert_eq!(upper.next_json().await["data"], "one hub");
    assert_eq!(lower.next_json().await["data"], "one hub");
}

#[tokio::test]
async fn the_legacy_paths_name_the_hub_in_the_query() {
    let server = Server::start().await;
    let origin = server.origin();
    for path in ["/client/?hub=chat", "/client?hub=chat", "/client/?hub=CHAT"] {
        for audience in ["/client/hubs/chat", "/client/?hub=chat", "/client?hub=chat"] {
            let token = server.client_token("chat").audience(format!("{origin}{audience}")).sign();
            let response = upgrade(&server, &format!("{path}&access_token={token}"), &[]).await;
            assert_eq!(response.status, 101, "{path} with {audience}: {response:?}");
        }
        let other = server.client_token("other").sign();
        let response = upgrade(&server, &format!("{path}&access_token={other}"), &[]).await;
        assert_refused(&response, 401, "", path);
    }
}

#[tokio::test]
async fn the_first_supported_subprotocol_is_chosen_and_echoed_as_spelled() {
    let server = Server::start().await;
    let cases: [(&[&str], Option<&str>); 7] = [
        (&[], None),
        (&[JSON], Some(JSON)),
        (&["JSON.WebPubSub.Azure.V1"], Some("JSON.WebPubSub.Azure.V1")),
        (&["mqtt, chat"], None),
        (&["unknown, Json.webpubsub.azure.v1, json.webpubsub.azure.v1"], Some("Json.webpubsub.azure.v1")),
        (&["unknown", JSON], Some(JSON)),
        (&["json.webpubsub.azure.v11,xjson.webpubsub.azure.v1"], None),
    ];
    for (offers, chosen) in cases {
        let headers: Vec<_> = offers.iter().map(|offer| ("Sec-WebSocket-Protocol", *offer)).collect();
        let response = upgrade(&server, &with_token(&server, ""), &headers).await;
        assert_eq!(response.status, 101, "{offers:?}");
        assert_eq!(response.header("sec-websocket-protocol"), chosen, "{offers:?}");
    }
}

#[tokio::test]
async fn of_the_four_service_subprotocols_the_first_that_is_offered_is_chosen() {
    let server = Server::start().await;
    let names = [JSON, JSON_RELIABLE, PROTOBUF, PROTOBUF_RELIABLE];
    for first in names {
        for second in names {
            let spelled = first.replace("web", "WEB");
            let offer = format!("chat.example, {spelled}, {second}, {first}");
            let offer = [("Sec-WebSocket-Protocol", offer.as_str())];
            let response = upgrade(&server, &with_token(&server, ""), &offer).await;
            assert_eq!(response.header("sec-websocket-protocol"), Some(&*spelled), "{offer:?}");
        }
    }
}

#[tokio::test]
async fn a_client_whose_offers_are_all_unknown_is_a_simple_one() {
    let server = Server::start().await;
    // Its library would refuse an answer without a subprotocol, hence the bare socket.
    let spec = ClientSpec::publisher("g").group("g").role("webpubsub.sendToGroup").offer("chat.example");
    let mut socket = server.raw_upgraded("chat", &spec).await;
    let ping = Frame::text("{\"type\":\"ping\"}");
    socket.send(&ping).await;
    assert_eq!(socket.read_frame().await, ping.unmasked(), "published as it is");
}

#[tokio::test]
async fn an_attempt_at_recovery_is_upgraded_and_closed_with_1008() {
    let server = Server::start().await;
    let queries = [
        "awps_connection_id=unknown",
        "awps_connection_id=unknown&awps_reconnection_token=bogus",
        "awps_connection_id=unknown&access_token=bogus&webpubsub_mode=bogus",
    ];
    for query in queries {
        for offer in [None, Some("Json.WebPubSub.Azure.v1"), Some("json.reliable.webpubsub.azure.v1")] {
            let mut socket = server.raw().await;
            let headers: Vec<_> = offer.iter().map(|offer| ("Sec-WebSocket-Protocol", *offer)).collect();
            let response = socket.upgrade(&format!("/client/hubs/chat?{query}"), &headers).await;
            assert_eq!(response.status, 101, "{query}");
            assert_eq!(response.header("sec-websocket-protocol"), offer, "{query}");
            socket.expect_close(1008, "The connection could not be recovered.").await;
        }
    }
}

#[tokio::test]
async fn an_empty_connection_id_or_a_reconnection_token_alone_is_an_ordinary_connect() {
    let server = Server::start().await;
    for query in ["awps_connection_id=", "awps_reconnection_token=x"] {
        let spec = ClientSpec::json();
        let path = format!("{}&{query}", spec.path(&server, "chat"));
        let mut socket = server.raw().await;
        assert_eq!(socket.upgrade(&path, &spec.headers()).await.status, 101, "{query}");
        let first = String::from_utf8(socket.read_frame().await.content).unwrap();
        assert!(first.contains("\"connected\""), "{first}");
        let response = upgrade(&server, &format!("/client/hubs/chat?{query}"), &[]).await;
        assert_refused(&response, 401, "", query);
    }
}

#[tokio::test]
async fn a_token_of_six_kilobytes_in_the_url_is_taken() {
    let server = Server::start().await;
    let roles: Vec<String> = (0..100).map(|n| format!("webpubsub.sendToGroup.room-{n:04}-of-many")).collect();
    let token = server.client_token("chat").roles(&roles).sign();
    assert!(token.len() > 5_000);
    let mut client = server.connect("chat", ClientSpec::json().token(&token)).await;
    let send = json!({"type": "sendToGroup", "group": "room-0099-of-many", "data": 1});
    assert_eq!(client.request(send).await["success"], true);
}

#[tokio::test]
async fn a_url_or_header_without_measure_is_refused() {
    let server = Server::start().await;
    let megabyte = "a".repeat(1 << 20);
    let long_header: &[(&str, &str)] = &[("X-Long", &megabyte)];
    let many: Vec<(&str, &str)> = (0..5_000).map(|_| ("X-Many", "value")).collect();
    let long_url = with_token(&server, &format!("pad={megabyte}"));
    let short_url = with_token(&server, "");
    for (case, path, headers) in [
        ("long URL", &*long_url, &[][..]),
        ("long header", &*short_url, long_header),
        ("many headers", &*short_url, &many[..]),
    ] {
        let response = upgrade(&server, path, headers).await;
        assert!(matches!(response.status, 400 | 414 | 431), "{case}: {response:?}");
    }
    server.connect("chat", ClientSpec::json()).await;
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_cut_off() {
    let server = Server::with(|setup| {
        setup.handshake_timeout(Duration::from_millis(500));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let beginnings = ["", "GET /client/hubs/chat HT", "GET /client/hubs/chat HTTP/1.1\r\nHost: x\r\n"];
    for beginning in beginnings {
        let mut socket = server.raw().await;
        socket.write(beginning.as_bytes()).await;
        read_to_end(&mut socket).await;
    }
    // It came in before all of those and is not meant.
    client.expect_nothing_before_pong().await;
}

#[tokio::test]
async fn beyond_the_connection_cap_clients_are_told_to_come_back() {
    let server = Server::with(|setup| {
        setup.max_connections(2);
    })
    .await;
    let first = server.connect("chat", ClientSpec::json()).await;
    let mut second = server.connect("other", ClientSpec::simple()).await;
    for _ in 0..3 {
        let response = upgrade(&server, &with_token(&server, ""), &[]).await;
        assert_eq!(response.status, 429, "{response:?}");
        let wait: u64 = response.header("retry-after").expect("Retry-After").parse().unwrap();
        assert!(wait >= 1);
    }
    second.expect_nothing_before_pong().await;
    first.close().await;
    // The place is free once the broker has noticed, which the client cannot see directly.
    let enter = async { while upgrade(&server, &with_token(&server, ""), &[]).await.status == 429 {} };
    within_deadline("a free place", enter).await;
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let server = Server::start().await;
    let token = escape(&server.client_token("chat").sign());
    for path in ["/", "/clients/hubs/chat", "/clients", "/Client/hubs/chat"] {
        let response = upgrade(&server, &format!("{path}?access_token={token}"), &[]).await;
        assert_eq!(response.status, 404, "{path}");
    }
}

async fn read_to_end(socket: &mut RawSocket) {
    while socket.fill().await {}
}
