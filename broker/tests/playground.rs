//! Black-box tests of the playground: its files, who may read the trace, and what stands in it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use hyper::Method;
use serde_json::{Value, json};
use support::{ClientSpec, PRIMARY_KEY, RawSocket, Server, Setup, Token, within_deadline};

const TRACE: &str = "/playground/trace";

fn switched_on(setup: &mut Setup) {
    setup.config.playground = true;
}

async fn server() -> Server {
    Server::with(switched_on).await
}

/// A reader of the trace.
struct Trace {
    socket: RawSocket,
}

impl Trace {
    /// Reads until the stream has begun: nothing is missed from then on.
    async fn open(server: &Server) -> Self {
        let mut trace = Self { socket: server.raw().await };
        let token = server.rest().token(TRACE).sign();
        let head = format!(
            "GET {TRACE} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
            server.address()
        );
        trace.socket.write(head.as_bytes()).await;
        let response = trace.socket.read_response().await;
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.header("content-type"), Some("text/event-stream; charset=utf-8"));
        trace.line_with(": listening").await;
        trace
    }

    /// The rest of the first line that begins with `start`; what came before it is forgotten.
    async fn line_with(&mut self, start: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.socket.buffer).into_owned();
            let found = text.match_indices(start).find(|(at, _)| *at == 0 || text[..*at].ends_with('\n'));
            if let Some((at, _)) = found
                && let Some(end) = text[at..].find('\n')
            {
                self.socket.buffer.drain(..at + end);
                return text[at + start.len()..at + end].to_owned();
            }
            assert!(self.socket.fill().await, "the trace ended: {text}");
        }
    }

    async fn record(&mut self) -> Value {
        serde_json::from_str(&self.line_with("data: ").await).unwrap()
    }

    async fn record_of(&mut self, connection: &str) -> Value {
        loop {
            let record = self.record().await;
            if record["connection"] == connection {
                return record;
            }
        }
    }
}

#[tokio::test]
async fn the_page_is_served_under_a_strict_policy() {
    let server = server().await;
    let page = server.rest().get("/").without_token().expect(200).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let policy = page.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.split("; ").any(|shown| shown == part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");

    // Everything that the page loads is there, with its type.
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let mut loaded: Vec<&str> =
        text.split('"').filter(|part| part.starts_with("playground/") && part.contains('.')).collect();
    loaded.sort_unstable();
    assert_eq!(loaded, ["playground/page.css", "playground/page.js"]);
    for (path, content_type) in
        [(loaded[0], "text/css; charset=utf-8"), (loaded[1], "text/javascript; charset=utf-8")]
    {
        let file = server.rest().get(&format!("/{path}")).without_token().expect(200).await;
        assert_eq!(file.header("content-type"), Some(content_type));
        assert!(!file.body.is_empty());
    }
    server.rest().get("/playground/nothing.js").expect(404).await;
    server.stop().await;
}

#[tokio::test]
async fn head_is_answered_without_a_body_and_other_methods_not_at_all() {
    let server = server().await;
    let page = server.rest().get("/").expect(200).await;
    let mut socket = server.raw().await;
    socket.write(format!("HEAD / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()).as_bytes()).await;
    loop {
        let text = String::from_utf8_lossy(&socket.buffer).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert!(head.contains(&format!("content-length: {}", page.body.len())), "{head}");
            assert_eq!(rest, "");
            break;
        }
        assert!(socket.fill().await);
    }
    for (method, path, allowed) in [
        (Method::POST, "/", "GET, HEAD"),
        (Method::DELETE, "/playground/page.js", "GET, HEAD"),
        (Method::HEAD, TRACE, "GET"),
        (Method::POST, TRACE, "GET"),
    ] {
        let refused = server.rest().call(method, path).expect(405).await;
        assert_eq!(refused.header("allow"), Some(allowed));
    }
    server.stop().await;
}

#[tokio::test]
async fn it_is_absent_where_it_is_not_switched_on() {
    let server = Server::start().await;
    for path in ["/", "/playground/page.js", TRACE] {
        let refused = server.rest().get(path).expect(404).await;
        assert_eq!(refused.json()["code"], "Error.NotFound", "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_trace_is_for_those_who_may_make_rest_calls() {
    let server = server().await;
    let call = || server.rest().get(TRACE);
    let refused = call().without_token().expect(401).await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    let tokens = [
        server.rest().token(TRACE).key("another-key-that-is-long-enough-0123456789"),
        server.rest().token("/playground/page.js"),
        server.rest().token(TRACE).expires_in(-3600),
        server.client_token("chat"),
        Token::for_audience(&format!("http://example.com{TRACE}")).key(PRIMARY_KEY),
    ];
    for token in tokens {
        call().token(&token.sign()).expect(401).await;
    }
    call().token("nonsense").expect(401).await;
    // A client's token, in the query of a URL, is no way in either.
    let target = format!("{TRACE}?access_token={}", server.rest().token(TRACE).sign());
    server.rest().get(&target).without_token().expect(401).await;
    server.stop().await;
}

#[tokio::test]
async fn who_comes_and_goes_stands_in_the_trace() {
    let server = server().await;
    let mut trace = Trace::open(&server).await;
    let client = server.connect("chat", ClientSpec::json().user("ann")).await;
    let id = client.connection_id().to_owned();
    let came = trace.record_of(&id).await;
    let expected = json!({"kind": "connected", "hub": "chat", "connection": id, "user": "ann",
                          "protocol": "json.webpubsub.azure.v1"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&came[name], value, "{came}");
    }
    assert!(came["time"].as_u64().unwrap() > 1_600_000_000_000, "{came}");
    client.close().await;
    let went = trace.record_of(&id).await;
    assert_eq!((&went["kind"], &went["category"]), (&json!("ended"), &json!("Normal")));
    assert!(went["number"].as_u64() > came["number"].as_u64(), "{came} {went}");

    let mut simple = server.connect("news", ClientSpec::simple()).await;
    let came = trace.record().await;
    assert_eq!(
        (&came["hub"], &came["user"], &came["protocol"]),
        (&json!("news"), &Value::Null, &Value::Null)
    );
    let id = came["connection"].as_str().unwrap().to_owned();
    server.rest().delete(&format!("/api/hubs/news/connections/{id}")).expect(204).await;
    simple.drain().await;
    assert_eq!(trace.record_of(&id).await["category"], "ClosedByAppServer");
    server.stop().await;
}

#[tokio::test]
async fn every_reader_hears_all_and_there_is_a_limit_of_readers() {
    let server = server().await;
    let mut readers = Vec::new();
    for _ in 0..16 {
        readers.push(Trace::open(&server).await);
    }
    server.rest().get(TRACE).expect(429).await;
    let client = server.connect("chat", ClientSpec::json()).await;
    for reader in &mut readers {
        assert_eq!(reader.record().await["connection"], client.connection_id());
    }
    // Who hangs up makes room.
    readers.truncate(15);
    within_deadline("a free place", async {
        loop {
            let mut socket = server.raw().await;
            let token = server.rest().token(TRACE).sign();
            let head = format!(
                "GET {TRACE} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
                server.address()
            );
            socket.write(head.as_bytes()).await;
            if socket.read_response().await.status == 200 {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(readers);
    server.stop().await;
}
