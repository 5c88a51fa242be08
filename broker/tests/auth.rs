//! Black-box tests of tokens, roles and anonymous clients. Source: `auth.md` 3, 5, 6, 8 and its checks 2, 3, 4 and 6;
//! where a token stands in the request is in `handshake.rs`, grants by the application are in the REST suites.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use support::{Client, ClientSpec, SECONDARY_KEY, Server, Token, escape};

const OTHER_KEY: &str = "another-key-that-nobody-configured-0123456789";

/// Status of an upgrade with this token on hub `chat`.
async fn status(server: &Server, token: &str) -> u16 {
    let path = format!("/client/hubs/chat?access_token={}", escape(token));
    server.raw().await.upgrade(&path, &[]).await.status
}

/// Tokens that differ in how they are signed: name, token, whether it is good.
fn signatures(token: &Token) -> Vec<(&'static str, String, bool)> {
    let unsigned = |algorithm: &str| token.clone().header("alg", algorithm).unsigned();
    let tampered = {
        let good = token.sign();
        let (content, signature) = good.rsplit_once('.').unwrap();
        let forged = token.clone().claim("sub", "mallory").unsigned();
        assert_ne!(content, forged);
        format!("{forged}.{signature}")
    };
    vec![
        ("primary key", token.sign(), true),
        ("secondary key", token.clone().key(SECONDARY_KEY).sign(), true),
        ("unknown key", token.clone().key(OTHER_KEY).sign(), false),
        ("HS384", token.clone().algorithm(Algorithm::HS384).sign(), true),
        (
            "HS512 by the secondary key",
            token.clone().algorithm(Algorithm::HS512).key(SECONDARY_KEY).sign(),
            true,
        ),
        ("garbage as kid", token.clone().header("kid", "\u{1f511} ' OR 1=1").sign(), true),
        ("no typ", token.clone().header("typ", Value::Null).sign(), true),
        ("none without a signature", format!("{}.", unsigned("none")), false),
        ("NONE without a signature", format!("{}.", unsigned("NONE")), false),
        ("none with a good signature", token.clone().header("alg", "none").sign(), false),
        ("RS256 with the key as public key", token.clone().header("alg", "RS256").sign(), false),
        ("ES256", token.clone().header("alg", "ES256").sign(), false),
        ("HS384 signed as HS256", token.clone().header("alg", "HS384").sign(), false),
        ("an unknown algorithm", token.clone().header("alg", "HS1024").sign(), false),
        ("no signature", token.unsigned(), false),
        ("an empty signature", format!("{}.", token.unsigned()), false),
        ("other claims under the signature", tampered, false),
        ("four parts", format!("{}.x", token.sign()), false),
        ("empty text", String::new(), false),
        ("no token at all", "hello".into(), false),
        ("only dots", "..".into(), false),
        ("not base64", "a.b.c".into(), false),
    ]
}

/// Tokens that differ in their times: name, token, whether it is good.
fn times(token: &Token) -> Vec<(&'static str, String, bool)> {
    let token = || token.clone();
    vec![
        ("ended within the skew", token().expires_in(-290).sign(), true),
        ("ended before the skew", token().expires_in(-301).sign(), false),
        ("begins within the skew", token().begins_in(299).sign(), true),
        ("begins after the skew", token().begins_in(320).sign(), false),
        ("without an end", token().without("exp").sign(), false),
        ("an end that is no number", token().claim("exp", "tomorrow").sign(), false),
        ("an end in the far future", token().claim("exp", i64::MAX).sign(), true),
        ("a negative end", token().claim("exp", -1).sign(), false),
        ("issued in the future", token().claim("iat", 9_999_999_999_i64).sign(), true),
        ("some issuer", token().claim("iss", "https://example.com").claim("jti", "x").sign(), true),
    ]
}

#[tokio::test]
async fn client_tokens_are_checked_for_key_and_algorithm() {
    let server = Server::start().await;
    for (case, token, is_good) in signatures(&server.client_token("chat")) {
        assert_eq!(status(&server, &token).await, if is_good { 101 } else { 401 }, "{case}");
    }
}

#[tokio::test]
async fn rest_tokens_are_checked_for_key_and_algorithm() {
    let server = Server::start().await;
    let target = "/api/hubs/chat/:send?api-version=2024-12-01";
    for (case, token, is_good) in signatures(&server.rest().token(target)) {
        let reply = server.rest().post(target).text("hi").token(&token).send().await;
        assert_eq!(reply.status, if is_good { 202 } else { 401 }, "{case}");
    }
    let reply = server.rest().post(target).text("hi").without_token().send().await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn client_tokens_are_checked_for_their_time() {
    let server = Server::start().await;
    for (case, token, is_good) in times(&server.client_token("chat")) {
        assert_eq!(status(&server, &token).await, if is_good { 101 } else { 401 }, "{case}");
    }
}

#[tokio::test]
async fn rest_tokens_are_checked_for_their_time() {
    let server = Server::start().await;
    let target = "/api/hubs/chat/:send";
    for (case, token, is_good) in times(&server.rest().token(target)) {
        let reply = server.rest().post(target).text("hi").token(&token).send().await;
        assert_eq!(reply.status, if is_good { 202 } else { 401 }, "{case}");
    }
}

#[tokio::test]
async fn the_audience_must_name_this_hub_at_this_endpoint() {
    let server = Server::start().await;
    let host = server.address();
    let port = host.port();
    let good = format!("http://{host}/client/hubs/chat");
    let azure = "https://webpubsub.azure.com";
    let cases: Vec<(Value, bool)> = vec![
        (json!(good), true),
        (json!(good.to_uppercase()), true),
        (json!(format!("https://{host}/client/hubs/chat")), true),
        (json!(format!("ws://{host}/client/hubs/chat")), true),
        (json!(format!("wss://{host}/client/hubs/CHAT")), true),
        (json!([good]), true),
        (json!(["https://elsewhere.example/x", good]), true),
        (json!([]), false),
        (json!(""), false),
        (json!(7), false),
        (Value::Null, false),
        (json!(format!("ftp://{host}/client/hubs/chat")), false),
        (json!(format!("{host}/client/hubs/chat")), false),
        (json!(format!("http://{host}/client/hubs/other")), false),
        (json!(format!("http://{host}/client/hubs/chat2")), false),
        (json!(format!("http://{host}/client/hubs/cha")), false),
        (json!(format!("http://{host}/client/hubs/chat/more")), false),
        (json!(format!("http://{host}/clients/mqtt/hubs/chat")), false),
        (json!(format!("http://{host}/clients/socketio/hubs/chat")), false),
        (json!(format!("http://{host}/api/hubs/chat")), false),
        (json!(format!("http://{host}")), false),
        (json!(format!("http://example.com:{port}/client/hubs/chat")), false),
        (json!(format!("http://127.0.0.1:{}/client/hubs/chat", port ^ 1)), false),
        (json!("http://127.0.0.1/client/hubs/chat"), false),
        (json!(azure), false),
        (json!([azure, good]), false),
    ];
    for (audience, is_good) in cases {
        let token = server.client_token("chat").audience(audience.clone()).sign();
        assert_eq!(status(&server, &token).await, if is_good { 101 } else { 401 }, "{audience}");
    }
    let token = server.client_token("chat").without("aud").sign();
    assert_eq!(status(&server, &token).await, 401, "no audience");
}

#[tokio::test]
async fn the_audience_may_name_a_public_endpoint() {
    let server = Server::with(|setup| {
        setup.public_endpoints(&["https://rt.example.com", "http://proxy.example.com:8080/live"]);
    })
    .await;
    let cases = [
        ("https://rt.example.com/client/hubs/chat", 101),
        ("wss://RT.example.com:443/client/hubs/chat", 101),
        ("http://proxy.example.com:8080/live/client/hubs/chat", 101),
        ("https://rt.example.com:8443/client/hubs/chat", 401),
        ("https://rt.example.com.evil.example/client/hubs/chat", 401),
        ("https://rt.example.com/live/client/hubs/chat", 401),
        ("http://proxy.example.com:8080/client/hubs/chat", 401),
    ];
    for (audience, expected) in cases {
        let token = server.client_token("chat").audience(audience).sign();
        assert_eq!(status(&server, &token).await, expected, "{audience}");
    }
    let rest = server.rest();
    for (audience, expected) in [
        ("https://rt.example.com/api/hubs/chat/:send", 202),
        ("https://rt.example.com/api/hubs/chat/:send?api-version=2024-12-01", 202),
        ("https://other.example.com/api/hubs/chat/:send", 401),
    ] {
        let call = rest.post("/api/hubs/chat/:send").text("hi").token(&Token::for_audience(audience).sign());
        call.expect(expected).await;
    }
}

#[tokio::test]
async fn the_hub_in_the_audience_may_be_percent_encoded_or_not() {
    let server = Server::start().await;
    for audience in ["/client/hubs/room%5B1%5D", "/client/hubs/room[1]", "/client/hubs/Room%5b1%5d"] {
        let token = server.client_token("x").audience(format!("{}{audience}", server.origin())).sign();
        let path = format!("/client/hubs/room%5B1%5D?access_token={token}");
        assert_eq!(server.raw().await.upgrade(&path, &[]).await.status, 101, "{audience}");
    }
}

#[tokio::test]
async fn a_key_by_which_a_client_comes_in_does_not_open_rest_for_it() {
    let server = Server::start().await;
    let token = server.client_token("chat").sign();
    let reply = server.rest().post("/api/hubs/chat/:send").text("hi").token(&token).send().await;
    assert_eq!(reply.status, 401);
    let rest_token = server.rest().token("/api/hubs/chat/:send").sign();
    assert_eq!(status(&server, &rest_token).await, 401);
}

#[tokio::test]
async fn anonymous_clients_come_in_where_the_hub_allows_them() {
    let server = Server::with(|setup| {
        setup.allow_anonymous("lobby");
    })
    .await;
    let bad = server.client_token("lobby").key(OTHER_KEY).sign();
    let expired = server.client_token("lobby").expires_in(-4000).sign();
    let good = server.client_token("lobby").sign();
    let cases = [
        ("no token", String::new(), 101),
        ("an empty token", "?access_token=".into(), 101),
        ("a valid token", format!("?access_token={good}"), 101),
        ("a token by another key", format!("?access_token={bad}"), 401),
        ("an expired token", format!("?access_token={expired}"), 401),
    ];
    for (case, query, expected) in cases {
        let response = server.raw().await.upgrade(&format!("/client/hubs/lobby{query}"), &[]).await;
        assert_eq!(response.status, expected, "{case}");
    }
    let header = format!("Bearer {bad}");
    let response = server.raw().await.upgrade("/client/hubs/lobby", &[("Authorization", &header)]).await;
    assert_eq!(response.status, 401, "a bad token in the header");
    let response = server.raw().await.upgrade("/client/hubs/chat", &[]).await;
    assert_eq!(response.status, 401, "another hub keeps the default");
}

#[tokio::test]
async fn an_anonymous_client_has_no_user_and_no_roles() {
    let server = Server::with(|setup| {
        setup.allow_anonymous("Lobby");
    })
    .await;
    let mut client = server.open("LOBBY", ClientSpec::json().anonymous()).await;
    assert_eq!(client.next_json().await["userId"], Value::Null);
    let ack = client.request(json!({"type": "joinGroup", "group": "g"})).await;
    assert_eq!(ack["error"]["name"], "Forbidden");
}

#[tokio::test]
async fn a_token_without_a_subject_or_with_an_empty_one_has_no_user() {
    let server = Server::start().await;
    for token in [server.client_token("chat"), server.client_token("chat").user("")] {
        let mut client = server.open("chat", ClientSpec::json().token(&token.sign())).await;
        assert_eq!(client.next_json().await["userId"], Value::Null);
    }
    let token = server.client_token("chat").user(" Ünï 💡 ").sign();
    let mut client = server.open("chat", ClientSpec::json().token(&token)).await;
    assert_eq!(client.next_json().await["userId"], " Ünï 💡 ");
}

/// What a connection may do in a group, as its acks say.
async fn may(client: &mut Client, action: &str, group: &str) -> bool {
    let mut request = json!({"type": action, "group": group});
    if action == "sendToGroup" {
        request["data"] = json!(1);
        request["noEcho"] = json!(true);
    }
    let ack = client.request(request).await;
    if ack["success"] == false {
        let verb = match action {
            "joinGroup" => "join",
            "leaveGroup" => "leave",
            _ => "send to",
        };
        let message = format!("The client does not have permission to {verb} group '{group}'.");
        assert_eq!(ack["error"], json!({"name": "Forbidden", "message": message}));
    }
    ack["success"] == true
}

#[tokio::test]
async fn each_role_grants_what_it_says_and_nothing_else() {
    const NONE: [bool; 3] = [false; 3];
    const MEMBERSHIP: [bool; 3] = [true, true, false];
    const SENDING: [bool; 3] = [false, false, true];
    let server = Server::start().await;
    // Role, group, and whether the client may join, leave and publish.
    let cases = [
        ("", "g", NONE),
        ("webpubsub.sendToGroup", "g", SENDING),
        ("webpubsub.joinLeaveGroup", "g", MEMBERSHIP),
        ("webpubsub.sendToGroup.g", "g", SENDING),
        ("webpubsub.sendToGroup.g", "G", NONE),
        ("webpubsub.sendToGroup.g", "g2", NONE),
        ("webpubsub.sendToGroup.a.b*c?", "a.b*c?", SENDING),
        ("webpubsub.sendToGroup.a*", "ab", NONE),
        ("webpubsub.joinLeaveGroup.g", "g", MEMBERSHIP),
        ("webpubsub.joinLeaveGroup.g", "h", NONE),
        ("webpubsub.sendToGroups.room*", "room1", SENDING),
        ("webpubsub.sendToGroups.room*", "room.1", NONE),
        ("webpubsub.joinLeaveGroups.room*", "room1", MEMBERSHIP),
        ("webpubsub.joinLeaveGroups.**", "a.b.c", MEMBERSHIP),
        ("webpubsub.sendToGroups.plain", "plain", SENDING),
        ("WebPubSub.SendToGroup", "g", NONE),
        (" webpubsub.sendToGroup", "g", NONE),
        ("webpubsub.sendToGroup ", "g", NONE),
        ("webpubsub.sendtogroup", "g", NONE),
        ("webpubsub.invented", "g", NONE),
    ];
    for (role, group, expected) in cases {
        let mut client = server.connect("chat", ClientSpec::json().role(role)).await;
        let actions = ["joinGroup", "leaveGroup", "sendToGroup"];
        for (action, expected) in actions.into_iter().zip(expected) {
            assert_eq!(may(&mut client, action, group).await, expected, "{role}: {action} {group}");
        }
    }
}

#[tokio::test]
async fn one_role_may_be_given_as_a_text() {
    let server = Server::start().await;
    let token = server.client_token("chat").claim("role", "webpubsub.sendToGroup.g").sign();
    let mut client = server.connect("chat", ClientSpec::json().token(&token)).await;
    assert!(may(&mut client, "sendToGroup", "g").await);
    assert!(!may(&mut client, "joinGroup", "g").await);
}

#[tokio::test]
async fn patterns_match_as_documented() {
    let cases: [(&str, &[&str], &[&str]); 18] = [
        ("ab*", &["ab", "abcd"], &["ab.cd", "bcd"]),
        ("*", &["room"], &[".", "a.b"]),
        ("a*c", &["ac", "a123c"], &["a1.3c", "a123cd"]),
        ("ab**", &["ab", "ab.cd.ef"], &["xab"]),
        ("**ab", &["cd.ef.ab"], &["cd.ef.abc"]),
        ("a?c", &["abc"], &["ac", "abbc", "a.c"]),
        ("a.**.b", &["a..b", "a.x.y.b"], &["a.b"]),
        ("a*.**.*b", &["ab.cd.ef.ab"], &["b.cd.ef.b"]),
        (r"a\*.***b", &["a*.ab"], &["aa.ab"]),
        (r"a\\.***b", &[r"a\.ab"], &["aa.ab"]),
        (r"a\?*", &["a?bc"], &["abc"]),
        ("Room*", &["Room1"], &["room1"]),
        ("clientA.*", &["clientA.alpha"], &["clientA.alpha.room1"]),
        ("clientA.rooms.?1", &["clientA.rooms.a1"], &["clientA.rooms.1", "clientA.rooms.a.1"]),
        ("*.*.*.*.*", &["a.b.c.d.e"], &["a.b.c.d"]),
        ("******", &[], &["a", "******"]),
        (r"\******", &["*room.nested"], &["room"]),
        (r"\*******", &[], &["*room"]),
    ];
    let server = Server::start().await;
    for (pattern, allowed, denied) in cases {
        let role = format!("webpubsub.sendToGroups.{pattern}");
        let mut client = server.connect("chat", ClientSpec::json().role(&role)).await;
        for (groups, expected) in [(allowed, true), (denied, false)] {
            for group in groups {
                assert_eq!(may(&mut client, "sendToGroup", group).await, expected, "{pattern} {group}");
            }
        }
    }
}

#[tokio::test]
async fn bad_patterns_are_dropped_and_the_connection_goes_on() {
    let server = Server::start().await;
    let long = format!("webpubsub.sendToGroups.{}", "a".repeat(1025));
    for bad in [
        "webpubsub.sendToGroups.",
        "webpubsub.sendToGroups.*.*.*.*.*.*",
        "webpubsub.sendToGroups.??????",
        r"webpubsub.sendToGroups.a\b*",
        r"webpubsub.sendToGroups.a\",
        &long,
    ] {
        let spec = ClientSpec::json().role(bad).role("webpubsub.sendToGroup.fine");
        let mut client = server.connect("chat", spec).await;
        assert!(may(&mut client, "sendToGroup", "fine").await, "{bad}");
        for group in ["abcdef", "a.b.c.d.e.f", "a", "ab", "ab*"] {
            assert!(!may(&mut client, "sendToGroup", group).await, "{bad} {group}");
        }
    }
}

#[tokio::test]
async fn ten_patterns_count_and_those_that_sort_last_are_dropped() {
    let server = Server::start().await;
    let role = |n: usize| format!("webpubsub.sendToGroups.p{n:02}*");
    // In reverse, to show that not the order of the token decides.
    let spec = (0..12).rev().fold(ClientSpec::json(), |spec, n| spec.role(&role(n)));
    let mut client = server.connect("chat", spec.role("webpubsub.joinLeaveGroups.q*")).await;
    for n in 0..12 {
        assert_eq!(may(&mut client, "sendToGroup", &format!("p{n:02}x")).await, n < 10, "pattern {n}");
    }
    assert!(may(&mut client, "joinGroup", "qx").await, "each action has its own ten");
}
