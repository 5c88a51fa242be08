//! Calls from web pages of other origins.

use hyper::Method;

use crate::chat;
use crate::support::Server;

const PAGE: &str = "http://127.0.0.1:9080";

#[tokio::test]
async fn a_preflight_is_answered_without_a_token() {
    let server = Server::start().await;
    for target in
        [chat(":send"), chat("groups/g/connections/c"), "/api/health".into(), "/api/any/path".into()]
    {
        let reply = server
            .rest()
            .call(Method::OPTIONS, &target)
            .without_token()
            .header("Origin", PAGE)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization,content-type,x-ms-client-request-id")
            .expect(204)
            .await;
        assert!(reply.body.is_empty());
        let header = |name| reply.header(name).unwrap_or_default();
        assert_eq!(header("access-control-allow-origin"), "*");
        assert_eq!(header("access-control-allow-methods"), "GET,HEAD,POST,PUT,DELETE,OPTIONS");
        assert_eq!(
            header("access-control-allow-headers"),
            "authorization,content-type,x-ms-client-request-id"
        );
        assert_eq!(header("access-control-max-age"), "600");
    }
}

#[tokio::test]
async fn a_page_may_read_answers_and_errors() {
    let server = Server::start().await;
    let rest = server.rest();
    for (call, status) in [
        (rest.post(&chat(":send")).text("x"), 202),
        (rest.post(&chat(":send")).text("x").without_token(), 401),
        (rest.get("/api/nothing"), 404),
    ] {
        let reply = call.header("Origin", PAGE).expect(status).await;
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{status}");
        assert_eq!(
            reply.header("access-control-expose-headers"),
            Some("x-ms-error-code, api-supported-versions"),
            "{status}"
        );
    }
    let reply = rest.post(&chat(":send")).text("x").expect(202).await;
    assert_eq!(reply.header("access-control-allow-origin"), None, "nobody asked");
}

#[tokio::test]
async fn only_listed_origins_are_let_in_where_there_is_a_list() {
    let server = Server::with(|setup| {
        setup.config.rest.cors_origins =
            broker::rest::CorsOrigins::List(vec!["https://app.example.com".into()]);
    })
    .await;
    for (origin, allowed) in [("https://app.example.com", true), ("https://evil.example.com", false)] {
        let preflight = server.rest().call(Method::OPTIONS, &chat(":send")).without_token();
        for call in [preflight, server.rest().post(&chat(":send")).text("x")] {
            let reply = call.header("Origin", origin).send().await;
            let expected = allowed.then_some(origin);
            assert_eq!(reply.header("access-control-allow-origin"), expected);
            assert_eq!(reply.header("vary"), Some("Origin"));
        }
    }
}
