//! What is said of applications that work.

use rcgen::{CertificateParams, KeyPair};

use crate::application::{Application, Request, good};
use crate::support::{Scratch, stdout};
use crate::{assert_says, check};

const KEY: &str = "a-key-of-thirty-two-characters-or-more";

#[test]
fn a_good_application_is_walked_through_step_by_step() {
    let application = Application::start(good);
    let url = application.url("/api/{hub}/{event}?code=a-secret");
    let output = check(&[
        "--url",
        &url,
        "--hub",
        "Room",
        "--origin",
        "rt.example.com",
        "--event",
        "order.created",
        "--access-key",
        KEY,
        "--count",
        "2",
    ]);
    assert_says(
        &output,
        0,
        &[
            &format!("Hub \"room\", event handler 1: {}", application.url("/api/{hub}/{event}?…")),
            "ok settings it gets the user event \"order.created\"",
            "ok resolve the URL has the address 127.0.0.1",
            &format!("ok connect {} accepts connections", application.address),
            "- tls not used",
            "ok validation OPTIONS /api/room/validate was answered 200 OK and allows *",
            "- note the application cannot tell the test events from others, and acts on them",
            "ok event POST /api/room/order.created was answered 200 OK; the connection id is hubbub-check-",
            "ok signature made with the key of --access-key",
            "ok reply 50 byte(s) of text: \"echo This is a test by hubbub event-handler check.\"; it sets a connection \
             state of 4 byte(s)",
            "ok latency 2 event(s): fastest",
            "All is well: 1 checked.",
        ],
    );
    let shown = stdout(&output);
    assert!(
        !shown.contains("a-secret") && !shown.contains("a-key-of") && !shown.contains("or-more"),
        "{shown}"
    );

    let options = application.next();
    assert_eq!((&*options.method, &*options.target), ("OPTIONS", "/api/room/validate?code=a-secret"));
    assert_eq!(options.header("webhook-request-origin"), Some("rt.example.com"));
    assert_eq!(options.header("ce-awpsversion"), Some("1.0"));
    assert_eq!(options.header("ce-signature"), None);
    let (first, second) = (application.next(), application.next());
    assert_eq!((&*first.method, &*first.target), ("POST", "/api/room/order.created?code=a-secret"));
    check_event(&first, "1");
    check_event(&second, "2");
    assert_eq!(first.header("ce-connectionid"), second.header("ce-connectionid"));
    assert_ne!(first.header("x-ms-client-request-id"), second.header("x-ms-client-request-id"));
    assert!(application.has_no_more());
}

fn check_event(request: &Request, id: &str) {
    let connection = request.header("ce-connectionid").unwrap();
    assert!(connection.starts_with("hubbub-check-"), "{connection}");
    assert_eq!(request.header("ce-id"), Some(id));
    assert_eq!(request.header("ce-type"), Some("azure.webpubsub.user.order.created"));
    assert_eq!(request.header("ce-hub"), Some("room"));
    assert_eq!(request.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(request.header("webhook-request-origin"), Some("rt.example.com"));
    assert_eq!(request.body, "This is a test by hubbub event-handler check.");
    let signature =
        broker::auth::key::AccessKey::new(KEY).unwrap().hmac_sha256_hex(connection.as_bytes()).unwrap();
    assert_eq!(request.header("ce-signature"), Some(format!("sha256={signature}").as_str()));
    let uuid = request.header("x-ms-client-request-id").unwrap();
    assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"), "{uuid}");
}

#[test]
fn without_an_event_the_application_is_only_asked() {
    let application = Application::start(good);
    let output = check(&["--url", &application.url("/"), "--no-event"]);
    assert_says(&output, 0, &["ok validation", "- event left out, as --no-event says", "All is well"]);
    assert_eq!(application.next().method, "OPTIONS");
    assert!(application.has_no_more());
}

#[test]
fn get_decides_where_options_is_not_found_and_a_name_may_have_a_port() {
    let application = Application::start(|request| match request.method.as_str() {
        "OPTIONS" => ("404 Not Found\r\nConnection: close".into(), String::new()),
        "GET" => ("204 No Content\r\nWebHook-Allowed-Origin: a.test, RT.test:8443".into(), String::new()),
        _ => ("204 No Content".into(), String::new()),
    });
    let output = check(&["--url", &application.url("/"), "--origin", "rt.test", "--count", "1"]);
    assert_says(
        &output,
        0,
        &[
            "ok validation OPTIONS was answered 404, and GET / was answered 204 No Content and allows a.test, RT.test:8443",
            "ok signature made with the public development key",
            "ok reply no reply, so the client is told nothing",
        ],
    );
}

#[test]
fn an_application_may_close_each_connection() {
    let application = Application::start(|request| {
        let (head, body) = good(request);
        (format!("{head}\r\nConnection: close"), body)
    });
    assert_says(&check(&["--url", &application.url("/")]), 0, &["ok latency 3 event(s)"]);
}

#[test]
fn json_says_the_same_for_programs() {
    let application = Application::start(good);
    let output = check(&["--url", &application.url("/{event}"), "--json", "--count", "1"]);
    assert_eq!(output.status.code(), Some(0));
    let whole: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(whole["ok"], true);
    let handler = &whole["handlers"][0];
    assert_eq!((&handler["hub"], &handler["ok"]), (&"chat".into(), &true.into()));
    let steps = handler["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "settings",
            "resolve",
            "connect",
            "tls",
            "validation",
            "note",
            "event",
            "signature",
            "reply",
            "latency"
        ]
    );
    assert_eq!((&steps[3]["outcome"], &steps[4]["outcome"]), (&"skipped".into(), &"ok".into()));
    assert!(steps[4]["milliseconds"].as_f64().unwrap() >= 0.0);
}

#[test]
fn tls_works_with_an_authority_that_is_named() {
    let (chain, key) = certificate();
    let application = Application::start_tls((&chain, &key), good);
    let scratch = Scratch::new();
    let file = scratch.file("ca.pem", &chain);
    let url = format!("https://localhost:{}/{{event}}", application.address.port());
    let output = check(&["--url", &url, "--handler-ca-file", &file]);
    assert_says(&output, 0, &["ok resolve localhost is", "ok tls TLS 1.3", "ok latency"]);
}

pub(crate) fn certificate() -> (String, String) {
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}
