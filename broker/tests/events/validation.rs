//! How the broker asks a handler whether it wants events at all, before it sends any.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Answer, Arrived, ClientSpec, Gate, Handler, HandlerSpec, Server};
use crate::{acked, broker_with, connect_to, event, failed, knock, knock_unanswered, user_events_to};

/// Names of headers but those that belong to HTTP.
fn names(arrived: &Arrived) -> Vec<&str> {
    let of_http = ["host", "accept", "user-agent", "content-length"];
    let mut names: Vec<&str> = arrived
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !of_http.contains(name))
        .collect();
    names.sort_unstable();
    names
}

/// Whether an event gets through to a handler that answers the question like this.
async fn is_wanted(script: impl FnOnce(&Handler)) -> (bool, Handler) {
    let handler = Handler::start().await;
    script(&handler);
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let ack = client.request(json!({"type": "event", "event": "e", "data": 1})).await;
    let is_wanted = ack["success"] == true;
    assert_eq!(handler.events().len(), usize::from(is_wanted), "{ack}");
    (is_wanted, handler)
}

#[tokio::test]
async fn the_question_comes_first_with_two_headers_and_no_others() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        setup.handler_at("Chat", &handler.url("/{hub}/{event}?code=k"), |spec| spec.user("*"));
    })
    .await;
    let bearer = ClientSpec::json().user("ann");
    let mut client = server.connect("chat", bearer).await;
    client.send_json(json!({"type": "event", "event": "e", "data": 1, "metadata": {"k": "v"}})).await;
    let arrived = handler.expect("e").await;
    let [question] = &handler.validations()[..] else { panic!("{:?}", handler.validations()) };
    assert_eq!((question.method.as_str(), &*question.target), ("OPTIONS", "/chat/validate?code=k"));
    assert_eq!(names(question), ["ce-awpsversion", "webhook-request-origin"]);
    assert_eq!(question.header("ce-awpsversion"), Some("1.0"));
    assert_eq!(question.header("webhook-request-origin"), Some("127.0.0.1"));
    assert!(question.body.is_empty());
    assert!(question.at <= arrived.at);
    assert_eq!(arrived.header("webhook-request-origin"), Some("127.0.0.1"));
}

#[tokio::test]
async fn the_answers_that_mean_yes() {
    let lines = |lines: &[&str]| {
        lines.iter().fold(Answer::status(200), |answer, line| answer.header("WebHook-Allowed-Origin", line))
    };
    for answer in [
        Answer::allowed("*"),
        Answer::allowed("127.0.0.1"),
        Answer::allowed("*").with_status(204),
        Answer::allowed("*").with_status(299),
        lines(&["other.example", "*"]),
        lines(&["other.example", "127.0.0.1"]),
        lines(&["other.example, 127.0.0.1"]),
        lines(&["other.example,*"]),
        Answer::text("anything").header("WebHook-Allowed-Origin", "*"),
    ] {
        let (is_wanted, handler) = is_wanted(|handler| handler.always("OPTIONS", answer)).await;
        assert!(is_wanted, "{:?}", handler.validations());
        assert_eq!(handler.validations().len(), 1);
    }
    // Some middleware repeats the port that the caller used.
    let (is_wanted, _) = is_wanted(|handler| {
        handler.by("OPTIONS", |question| {
            Answer::allowed(&format!("{}:8080", question.header("webhook-request-origin").unwrap()))
        });
    })
    .await;
    assert!(is_wanted);
}

#[tokio::test]
async fn the_origin_in_the_answer_ignores_case() {
    let handler = Handler::start().await;
    handler.always("OPTIONS", Answer::allowed("RT.Example.COM"));
    let server = Server::with(|setup| {
        setup.allow_anonymous("chat").handler("chat", &handler, |spec| spec.system(&["connect"]));
    })
    .await;
    let mut socket = server.raw().await;
    socket
        .write(
            b"GET /client/hubs/chat HTTP/1.1\r\nHost: rt.example.com:81\r\nConnection: Upgrade\r\n\
              Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert_eq!(socket.read_response().await.status, 101);
    assert_eq!(handler.validations()[0].header("webhook-request-origin"), Some("rt.example.com"));
}

#[tokio::test]
async fn the_answers_that_mean_no() {
    for answer in [
        Answer::status(200),
        Answer::allowed("other.example"),
        Answer::allowed(""),
        Answer::allowed("127.0.0.10"),
        Answer::allowed("example.127.0.0.1"),
        Answer::allowed("*.0.0.1"),
        Answer::allowed("*").with_status(400),
        Answer::allowed("*").with_status(401),
        Answer::allowed("*").with_status(405),
        Answer::allowed("*").with_status(429),
        Answer::allowed("*").with_status(302).header("Location", "/elsewhere"),
    ] {
        let (is_wanted, handler) = is_wanted(|handler| {
            handler.always("OPTIONS", answer);
            handler.always("GET", Answer::allowed("*"));
        })
        .await;
        let asked = handler.validations();
        assert!(!is_wanted, "{asked:?}");
        assert_eq!(asked.len(), 1, "{asked:?}");
    }
}

#[tokio::test]
async fn where_options_is_not_known_get_decides() {
    for (get, expected) in [
        (Answer::allowed("*"), true),
        (Answer::allowed("127.0.0.1").with_status(204), true),
        (Answer::status(200), false),
        (Answer::allowed("*").with_status(404), false),
        (Answer::allowed("*").with_status(405), false),
    ] {
        let (is_wanted, handler) = is_wanted(|handler| {
            handler.always("OPTIONS", Answer::allowed("*").with_status(404));
            handler.always("GET", get);
        })
        .await;
        let asked = handler.validations();
        let methods: Vec<&str> = asked.iter().map(|question| question.method.as_str()).collect();
        assert_eq!((is_wanted, &*methods), (expected, &["OPTIONS", "GET"][..]));
        assert_eq!(names(&asked[1]), ["ce-awpsversion", "webhook-request-origin"]);
        assert_eq!(asked[0].target, asked[1].target);
    }
}

#[tokio::test]
async fn the_first_events_share_one_question_and_wait_for_its_answer() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.once("OPTIONS", Answer::allowed("*").held_by(&gate));
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(knock_unanswered(&server, &ClientSpec::json()).await);
    }
    handler.validated(1).await;
    // An answer on later sockets of both workers shows that they have read the others.
    for _ in 0..8 {
        server.rest().head("/api/health").expect(200).await;
    }
    assert_eq!((handler.validations().len(), handler.events().len()), (1, 0));
    gate.open();
    for socket in &mut sockets {
        assert_eq!(socket.read_response().await.status, 101);
    }
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("e", 1)).await;
    assert_eq!(client.next_json().await, acked(1));
    assert_eq!(handler.validations().len(), 1);
}

#[tokio::test]
async fn each_validation_url_has_an_answer_of_its_own() {
    let handler = Handler::start().await;
    handler.by("OPTIONS", |question| match &*question.target {
        "/yes/validate?code=1" => Answer::allowed("*"),
        _ => Answer::status(403),
    });
    let server = Server::with(|setup| {
        setup.handler_at("chat", &handler.url("/yes/{event}?code=1"), |spec| spec.user("a, b"));
        setup.handler_at("chat", &handler.url("/yes/{event}?code=2"), |spec| spec.user("c"));
        setup.handler_at("chat", &handler.url("/no/{event}?code=1"), |spec| spec.user("d"));
        setup.handler_at("other", &handler.url("/yes/{event}?code=1"), |spec| spec.user("*"));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for (id, name, is_wanted) in [(1, "a", true), (2, "b", true), (3, "c", false), (4, "d", false)] {
        client.send_json(event(name, id)).await;
        assert_eq!(client.next_json().await, if is_wanted { acked(id) } else { failed(id) }, "{name}");
    }
    let mut other = server.connect("other", ClientSpec::json()).await;
    other.send_json(event("e", 1)).await;
    assert_eq!(other.next_json().await, acked(1));
    let mut asked: Vec<String> = handler.validations().into_iter().map(|asked| asked.target).collect();
    asked.sort();
    assert_eq!(asked, ["/no/validate?code=1", "/yes/validate?code=1", "/yes/validate?code=2"]);
}

#[tokio::test]
async fn a_handler_that_does_not_want_events_gets_none_and_everybody_is_told_at_once() {
    let handler = Handler::start().await;
    handler.always("OPTIONS", Answer::status(403));
    let server = Server::with(|setup| {
        setup.handler("asked", &handler, |spec| spec.system(&["connect"]));
        setup.handler("chat", &handler, |spec| spec.user("*").system(&["connected", "disconnected"]));
    })
    .await;
    let path = ClientSpec::json().path(&server, "asked");
    let start = Instant::now();
    for _ in 0..3 {
        let refused = server.raw().await.upgrade(&path, &[]).await;
        assert_eq!((refused.status, &*refused.body), (500, ""));
    }
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for id in 0..3 {
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, failed(id));
    }
    client.close().await;
    let mut simple = server.connect("chat", ClientSpec::simple()).await;
    simple.send_text("hi").await;
    simple.expect_close(1011, "Internal server error").await;
    assert!(handler.events().is_empty());
    // One question for each of the two hubs, unless the machine was so slow that it was time to ask again.
    let asked = handler.validations().len();
    assert!(asked == 2 || start.elapsed() > Duration::from_secs(2), "{asked}");
}

#[tokio::test]
async fn a_handler_that_changes_its_mind_is_asked_again_after_a_while() {
    let handler = Handler::start().await;
    handler.once("OPTIONS", Answer::status(403));
    let server = connect_to(&handler).await;
    assert_eq!(knock(&server, &ClientSpec::json()).await.status, 500);
    let refused = Instant::now();
    let mut attempts = 0;
    while knock(&server, &ClientSpec::json()).await.status != 101 {
        attempts += 1;
        assert!(refused.elapsed() < Duration::from_secs(8), "not asked again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(attempts > 0);
    let asked = handler.validations();
    assert_eq!(asked.len(), 2);
    let pause = asked[1].at - asked[0].at;
    assert!(pause >= Duration::from_millis(1900), "asked again after {pause:?}");
}

#[tokio::test]
async fn a_question_that_finds_the_handler_unready_is_asked_again_before_the_event_fails() {
    let (is_wanted, handler) = is_wanted(|handler| handler.once("OPTIONS", Answer::status(503))).await;
    assert!(is_wanted);
    let asked = handler.validations();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].at - asked[0].at >= Duration::from_millis(900));
}

#[tokio::test]
async fn nobody_waits_for_the_question_behind_a_notification() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.always("OPTIONS", Answer::allowed("*").held_by(&gate));
    let server = broker_with(&handler, |spec| spec.system(&["connected", "disconnected"])).await;
    let mut client = server.connect("chat", ClientSpec::member()).await;
    client.join("g").await;
    handler.validated(1).await;
    client.close().await;
    gate.open();
    handler.expect_all(&["connected", "disconnected"]).await;
}

#[tokio::test]
async fn a_hub_without_events_asks_nothing() {
    let handler = Handler::start().await;
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut other = server.connect("other", ClientSpec::member()).await;
    other.join("g").await;
    other.close().await;
    assert!(handler.validations().is_empty());
}

#[tokio::test]
async fn a_host_that_no_name_is_as_long_as_is_not_kept() {
    let handler = Handler::start().await;
    handler.always("OPTIONS", Answer::allowed("*"));
    let server = Server::with(|setup| {
        setup.allow_anonymous("chat").handler("chat", &handler, |spec| spec.system(&["connect"]));
    })
    .await;
    for (length, expected) in [(255, 255), (256, 0)] {
        let host = "h".repeat(length);
        let request = format!(
            "GET /client/hubs/chat HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let mut socket = server.raw().await;
        socket.write(request.as_bytes()).await;
        assert_eq!(socket.read_response().await.status, 101);
        let arrived = handler.expect("connect").await;
        assert_eq!(arrived.header("webhook-request-origin").unwrap().len(), expected);
    }
}
