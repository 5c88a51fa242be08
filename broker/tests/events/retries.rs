//! Which failures are tried again, when, and with what. The clock is the real one, so that each kind of wait is in one
//! test.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Arrived, BareHandler, ClientSpec, Handler, HandlerSpec, Received, Server};
use crate::{acked, broker_with, event, failed, user_events_to};

/// What must be the same on every attempt: URL, headers and body.
fn identity(arrived: &Arrived) -> Vec<(String, Vec<u8>)> {
    let mut parts = arrived.headers.clone();
    parts.push(("target".to_owned(), arrived.target.clone().into_bytes()));
    parts.push(("body".to_owned(), arrived.body.to_vec()));
    parts.sort();
    parts
}

/// A handler fails once in this way, and is asked the same again after a second.
async fn check_asked_again(first: Answer) {
    let handler = Handler::start().await;
    handler.once("e", first);
    handler.once("e", Answer::text("reply"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json().user("ann")).await;
    client.send_json(event("e", 1)).await;
    client.send_json(event("next", 2)).await;
    assert_eq!(client.next_json().await["data"], "reply");
    assert_eq!(client.next_json().await, acked(1));
    assert_eq!(client.next_json().await, acked(2));
    let (one, two) = (handler.expect("e").await, handler.expect("e").await);
    assert_eq!(identity(&one), identity(&two));
    let pause = two.at - one.at;
    assert!(pause >= Duration::from_millis(900) && pause < Duration::from_secs(3), "{pause:?}");
    assert_eq!(handler.expect("next").await.id(), one.id() + 1, "attempts are not counted");
}

#[tokio::test]
async fn an_unready_handler_is_asked_the_same_again_after_a_second() {
    let failures = [
        Answer::status(500),
        Answer::status(503).header("Retry-After", "60"),
        Answer::status(599),
        Answer::status(408),
        Answer::hang_up(),
    ];
    join_all(failures.map(check_asked_again)).await;
}

#[tokio::test]
async fn what_the_application_refuses_is_not_asked_again() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let start = Instant::now();
    for (id, status) in (0..).zip([400, 401, 403, 404, 405, 409, 410, 413, 425, 429, 499]) {
        handler.once("e", Answer::status(status));
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, failed(id), "{status}");
        handler.expect("e").await;
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    client.send_json(event("last", 99)).await;
    assert_eq!(client.next_json().await, acked(99));
    handler.expect("last").await;
}

#[tokio::test]
async fn an_unready_handler_is_tried_four_times_and_then_the_event_fails() {
    let handler = Handler::start().await;
    for kind in ["connect", "e", "disconnected", "message"] {
        handler.always(kind, Answer::status(500));
    }
    let server = Server::with(|setup| {
        setup.handler("asked", &handler, |spec| spec.system(&["connect"]));
        setup.handler("chat", &handler, |spec| spec.user("*").system(&["disconnected"]));
    })
    .await;
    let connect = async {
        let path = ClientSpec::json().path(&server, "asked");
        let refused = server.raw().await.upgrade(&path, &[]).await;
        let text = "The connect event handler rejected the connection.";
        assert_eq!((refused.status, &*refused.body), (500, text));
    };
    let user = async {
        let mut client = server.connect("chat", ClientSpec::json()).await;
        client.send_json(event("e", 1)).await;
        assert_eq!(client.next_json().await, failed(1));
    };
    let simple = async {
        let mut client = server.connect("chat", ClientSpec::simple()).await;
        client.send_text("hi").await;
        client.expect_close(1011, "Internal server error").await;
    };
    let notification = async {
        server.connect("chat", ClientSpec::json()).await.close().await;
        let told = |handler: &Handler| {
            let all = handler.events();
            all.iter().filter(|arrived| arrived.event() == "disconnected").count()
        };
        let start = Instant::now();
        while told(&handler) < 4 {
            assert!(start.elapsed() < Duration::from_secs(15));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::join!(connect, user, simple, notification);
    for kind in ["connect", "e", "message"] {
        let all = handler.events();
        let attempts: Vec<&Arrived> = all.iter().filter(|arrived| arrived.event() == kind).collect();
        assert_eq!(attempts.len(), 4, "{kind}");
        for (pair, seconds) in attempts.windows(2).zip([1, 3, 5]) {
            let pause = (pair[1].at - pair[0].at).as_secs_f64();
            let due = f64::from(seconds);
            assert!(pause > due - 0.1 && pause < due + 1.9, "{kind}: {pause} s instead of {seconds}");
            assert_eq!(identity(pair[0]), identity(pair[1]));
        }
    }
}

#[tokio::test]
async fn a_client_that_is_lost_ends_the_attempts() {
    let handler = Handler::start().await;
    handler.always("e", Answer::status(503));
    let server = broker_with(&handler, |spec| spec.user("*").system(&["disconnected"])).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("e", 1)).await;
    handler.expect("e").await;
    drop(client);
    handler.expect("disconnected").await;
    // The next attempt would come before that of another client that fails later.
    let mut other = server.connect("chat", ClientSpec::json()).await;
    other.send_json(event("e", 1)).await;
    for _ in 0..2 {
        assert_eq!(handler.expect("e").await.connection_id(), other.connection_id());
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_in_the_middle_does_not_end_the_connection() {
    let handler = Handler::start().await;
    handler.once("e", Answer::cut("text/plain", "half of a re"));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("e", 1)).await;
    // The default follows, if it is asked again.
    let ack = client.next_json().await;
    assert!(ack == acked(1) || ack == failed(1), "{ack}");
    client.send_json(event("e", 2)).await;
    assert_eq!(client.next_json().await, acked(2));
}

#[tokio::test]
async fn what_is_not_http_fails_the_event_and_nothing_else() {
    let long_line = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many_lines = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    let answers: Vec<Vec<u8>> = [
        "HELLO\r\n\r\n",
        "",
        "\r\n\r\n\r\n",
        "HTTP/1.1",
        "HTTP/1.1 99999 X\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        &long_line,
        &many_lines,
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([vec![0; 1000], vec![0xFF; 100_000]])
    .collect();
    let mut handlers = Vec::new();
    for answer in answers {
        handlers.push(BareHandler::start(answer).await);
    }
    let hub = |number: usize| format!("hub{number}");
    let server = Server::with(|setup| {
        // Time for two attempts.
        setup.handler_timeout(Duration::from_millis(1500));
        for (number, handler) in handlers.iter().enumerate() {
            setup.handler_at(&hub(number), &handler.url("/{event}"), |spec| spec.user("*"));
        }
    })
    .await;
    let mut clients = Vec::new();
    for number in 0..handlers.len() {
        let mut client = server.connect(&hub(number), ClientSpec::json()).await;
        client.send_json(event("e", 1)).await;
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let ack = tokio::time::timeout(Duration::from_secs(20), client.next_unhurried()).await;
        let Ok(Received::Text(ack)) = ack else { panic!("answer {number}: {ack:?}") };
        assert_eq!(serde_json::from_str::<Value>(&ack).unwrap(), failed(1), "answer {number}");
        client.send_json(json!({"type": "ping"})).await;
        assert_eq!(client.next_json().await, json!({"type": "pong"}));
    }
}

#[tokio::test]
async fn notifications_are_tried_again_as_well() {
    let handler = Handler::start().await;
    handler.once("connected", Answer::status(503));
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let _client = server.connect("chat", ClientSpec::json()).await;
    handler.expect("connect").await;
    let (one, two) = (handler.expect("connected").await, handler.expect("connected").await);
    assert_eq!(identity(&one), identity(&two));
}
