//! Which audiences a token for REST may name. Source: `auth.md` 4.

use crate::chat;
use crate::support::{ClientSpec, Server, Token};

/// Calls the hub's send with a token of this audience; `{origin}` and `{host}` stand for the broker's.
async fn check(server: &Server, target: &str, audience: &str, status: u16) {
    let origin = server.origin();
    let audience = audience.replace("{origin}", &origin).replace("{host}", &server.address().to_string());
    let token = Token::for_audience(&audience).sign();
    let reply = server.rest().get(target).token(&token).send().await;
    assert_eq!(reply.status, status, "{target} {audience}");
}

#[tokio::test]
async fn the_audience_is_the_url_of_the_call() {
    let server = Server::start().await;
    let path = "/api/hubs/chat/groups/room/connections";
    for (target, audience, status) in [
        (path.to_owned(), format!("{{origin}}{path}"), 200),
        (format!("{path}?maxpagesize=1"), format!("{{origin}}{path}"), 200),
        (format!("{path}?maxpagesize=1"), format!("{{origin}}{path}?maxpagesize=1"), 200),
        (format!("{path}?maxpagesize=1"), format!("{{origin}}{path}?maxpagesize=99"), 200),
        (format!("{path}/"), format!("{{origin}}{path}"), 200),
        (path.to_owned(), format!("wss://{{host}}{path}"), 200),
        (path.to_owned(), format!("https://{{host}}{path}"), 200),
        (path.to_owned(), format!("HTTP://{{host}}{}", path.to_uppercase()), 200),
        (path.to_owned(), format!("{{origin}}{path}/child"), 200),
        (path.to_owned(), format!("ftp://{{host}}{path}"), 401),
        (path.to_owned(), format!("{{host}}{path}"), 401),
        (path.to_owned(), format!("{{origin}}{path}Suffix"), 401),
        (path.to_owned(), format!("{{origin}}{path}%253Fquery"), 401),
        (path.to_owned(), "{origin}/api/hubs/other/groups/room/connections".into(), 401),
        (path.to_owned(), "{origin}/api/hubs/chat/groups/hall/connections".into(), 401),
        (path.to_owned(), format!("http://elsewhere.example.com{path}"), 401),
        (path.to_owned(), "{origin}/api/hubs/chat".into(), 401),
        (path.to_owned(), "{origin}/client/hubs/chat".into(), 401),
        (path.to_owned(), String::new(), 401),
    ] {
        check(&server, &target, &audience, status).await;
    }
}

#[tokio::test]
async fn names_in_the_audience_may_be_escaped_as_in_the_url_or_decoded() {
    let server = Server::start().await;
    for (segment, decoded) in [
        ("room%252Fpart", "room%2Fpart"),
        ("literal%2520value", "literal%20value"),
        ("room%20name", "room name"),
        ("room+part", "room+part"),
        ("room%2Fpart", "room/part"),
        ("room%3Fpart", "room?part"),
        ("%E4%BD%A0", "你"),
    ] {
        for hub in ["chat", "chat%5B1%5D"] {
            let path = |segment: &str| format!("/api/hubs/{hub}/groups/{segment}/connections");
            let raw = path(segment);
            check(&server, &raw, &format!("{{origin}}{raw}"), 200).await;
            check(&server, &format!("{raw}?top=1"), &format!("{{origin}}{raw}?top=1"), 200).await;
            check(&server, &raw, &format!("{{origin}}{}", path(decoded)).replace("%5B1%5D", "[1]"), 200)
                .await;
        }
    }
}

#[tokio::test]
async fn the_url_is_that_by_which_the_caller_knows_the_host() {
    let server = Server::start().await;
    let target = chat(":send");
    let token = Token::for_audience(&format!("http://rt.example.com:8080{target}")).sign();
    let call = || server.rest().post(&target).text("x").token(&token);
    call().expect(401).await;
    call().header("Host", "rt.example.com:8080").expect(202).await;
    // A proxy is believed only where it is named.
    call().header("X-Forwarded-Host", "rt.example.com:8080").expect(401).await;
}

#[tokio::test]
async fn a_public_endpoint_with_a_prefix_is_a_name_of_the_service() {
    let server = Server::with(|setup| {
        setup.public_endpoints(&["https://rt.example.com/prefix"]);
    })
    .await;
    let target = chat(":send");
    let public = format!("https://rt.example.com/prefix{target}");
    for path in [format!("/prefix{target}"), target.clone()] {
        let token = Token::for_audience(&public).sign();
        server.rest().post(&path).text("x").token(&token).expect(202).await;
    }
    let token = Token::for_audience(&format!("https://rt.example.com{target}")).sign();
    server.rest().post(&target).text("x").token(&token).header("Host", "other").expect(401).await;
    server.rest().get("/prefix/api/health").without_token().expect(200).await;
    server.rest().get("/prefixed/api/health").without_token().expect(404).await;
}

#[tokio::test]
async fn links_name_the_endpoint_that_the_caller_used() {
    let server = Server::with(|setup| {
        setup.public_endpoints(&["https://rt.example.com:8443/prefix"]);
    })
    .await;
    let _first = server.connect("chat", ClientSpec::json().group("room")).await;
    let _second = server.connect("chat", ClientSpec::json().group("room")).await;
    let path = chat("groups/room/connections");
    let public = format!("https://rt.example.com:8443/prefix{path}");
    let call = || {
        let token = Token::for_audience(&public).sign();
        server.rest().get(&format!("/prefix{path}?maxpagesize=1")).token(&token)
    };
    // Behind the proxy that ends TLS the request is plain, but the link leads to the proxy.
    let page = call().header("Host", "rt.example.com:8443").expect(200).await.json();
    assert!(page["nextLink"].as_str().unwrap().starts_with(&format!("{public}?")), "{page}");
    let page = call().expect(200).await.json();
    let own = format!("{}/prefix{path}?", server.origin());
    assert!(page["nextLink"].as_str().unwrap().starts_with(&own), "{page}");
}
