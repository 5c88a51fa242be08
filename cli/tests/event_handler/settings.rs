//! What is checked when settings name event handlers, and the options by which a node would call them.

use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::application::{Application, good};
use crate::support::{Scratch, hubbub, output, stdout};
use crate::{assert_says, check};

#[test]
fn every_event_handler_of_a_hub_is_checked_as_the_settings_say() {
    let (first, second, third) =
        (Application::start(good), Application::start(good), Application::start(good));
    let scratch = Scratch::new();
    let text = format!(
        "hubs:
  quiet:
  other:
    eventHandlers: [{{urlTemplate: 'http://127.0.0.1:9/'}}]
  chat:
    eventHandlers:
      - urlTemplate: {}
        systemEvents: [connect]
      - urlTemplate: {}
        userEventPattern: message
        auth: {{type: Header, header: {{name: x-api-key, value: a-secret}}}}
      - urlTemplate: {}
        userEventPattern: '*'
",
        first.url("/1"),
        second.url("/2"),
        third.url("/3"),
    );
    let hubs = scratch.file("hubs.yaml", &text);
    let output = check(&["--hubs", &hubs, "--hub", "CHAT", "--count", "1"]);
    assert_says(
        &output,
        0,
        &[
            &format!("Hub \"chat\", event handler 1: {}", first.url("/1")),
            "ok settings it does not take the user event \"message\"",
            "- event left out, because the settings do not send it there",
            &format!("Hub \"chat\", event handler 2: {}", second.url("/2")),
            "ok settings it gets the user event \"message\"",
            "ok event POST /2 was answered 200 OK",
            "ok settings an event handler before it gets the user event \"message\", so it never does",
            "ok event POST /3",
            "All is well: 3 checked.",
        ],
    );
    assert!(!stdout(&output).contains("a-secret"));

    assert_eq!(first.next().method, "OPTIONS");
    assert!(first.has_no_more());
    assert_eq!(second.next().header("x-api-key"), None, "validation shows no secret");
    assert_eq!(second.next().header("x-api-key"), Some("a-secret"));

    let all = check(&["--hubs", &hubs, "--no-event", "--json"]);
    assert_eq!(all.status.code(), Some(1));
    let whole: serde_json::Value = serde_json::from_slice(&all.stdout).unwrap();
    let shown: Vec<(&str, bool)> = whole["handlers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|handler| (handler["hub"].as_str().unwrap(), handler["ok"].as_bool().unwrap()))
        .collect();
    assert_eq!(shown, [("chat", true), ("chat", true), ("chat", true), ("other", false)]);
}

#[test]
fn event_handlers_of_the_command_line_are_checked_too() {
    let application = Application::start(good);
    let words = format!("hub=room url-template={} user-event-pattern=*", application.url("/{hub}"));
    let output = check(&["--event-handler", &words, "--event", "a.b"]);
    assert_says(&output, 0, &["Hub \"room\", event handler 1", "ok event POST /room"]);
}

#[test]
fn private_addresses_are_refused_where_the_node_refuses_them() {
    let application = Application::start(good);
    let url = application.url("/");
    let output = check(&["--url", &url, "--refuse-private-handlers"]);
    assert_says(&output, 1, &["failed resolve the URL has the address 127.0.0.1, which must not be called"]);
    let allowed = ["--refuse-private-handlers", "--allow-handler-network", "127.0.0.0/8", "--no-event"];
    assert_says(&check(&[&["--url", &url][..], &allowed].concat()), 0, &["ok validation"]);
}

#[test]
fn a_proxy_that_a_node_would_use_is_told() {
    let application = Application::start(good);
    let scratch = Scratch::new();
    let run = |name: &str| {
        let url = application.url("/");
        let mut command = hubbub(&scratch, &["event-handler", "check", "--url", &url, "--no-event"]);
        command.env(name, "http://127.0.0.1:9");
        output(command)
    };
    assert_says(&run("HTTP_PROXY"), 0, &["- proxy a node would go by the configured proxy"]);
    assert!(!stdout(&run("HTTPS_PROXY")).contains("proxy"));
}

#[test]
fn http2_without_tls_is_spoken_where_the_node_speaks_it() {
    let address = http2_application();
    let origin = format!("http://{address}");
    let url = format!("{origin}/{{event}}");
    let output = check(&["--url", &url, "--handler-h2c", &origin]);
    assert_says(
        &output,
        0,
        &["ok validation OPTIONS /validate", "ok event POST /message", "ok latency 3 event(s)"],
    );
    assert_says(&check(&["--url", &url]), 1, &["failed validation"]);
}

/// An application that speaks HTTP/2 and nothing else.
fn http2_application() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                let connection = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(connection.serve_connection(TokioIo::new(socket), service_fn(answer)));
            }
        });
    });
    address
}

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    assert_eq!(request.version(), Version::HTTP_2);
    Ok(Response::builder().header("webhook-allowed-origin", "localhost").body(Empty::new()).unwrap())
}
