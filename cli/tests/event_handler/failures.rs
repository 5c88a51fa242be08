//! What is said of applications that do not work, each in its own way.

use std::io::Write;
use std::net::TcpListener;
use std::thread;

use crate::application::{Application, good};
use crate::success::certificate;
use crate::support::{Scratch, stdout};
use crate::{assert_says, check};

const KEY: &str = "a-key-of-thirty-two-characters-or-more";

#[test]
fn nothing_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let output = check(&["--url", &format!("http://{address}/")]);
    assert_says(
        &output,
        1,
        &[
            &format!("failed connect {address}: nothing listens there"),
            "Is the application running",
            "1 of 1 failed.",
        ],
    );
}

#[test]
fn an_address_of_nobody_is_not_called() {
    let output = check(&["--url", "http://169.254.169.254/latest/meta-data"]);
    assert_says(
        &output,
        1,
        &["failed resolve the URL has the address 169.254.169.254, which must not be called"],
    );
}

#[test]
fn another_origin_is_allowed() {
    let application =
        Application::start(|_| ("200 OK\r\nWebHook-Allowed-Origin: other.test".into(), String::new()));
    let output = check(&["--url", &application.url("/"), "--origin", "rt.example.com"]);
    assert_says(
        &output,
        1,
        &[
            "failed validation OPTIONS / allows other.test, and not rt.example.com",
            "name it here with --origin",
        ],
    );
    application.next();
    assert!(application.has_no_more(), "no event is sent to an application that does not want it");
}

#[test]
fn no_origin_is_allowed() {
    let silent = Application::start(|_| ("200 OK".into(), String::new()));
    let output = check(&["--url", &silent.url("/")]);
    assert_says(
        &output,
        1,
        &["OPTIONS / was answered 200 OK without WebHook-Allowed-Origin", "Does the path lead"],
    );
    let cors = Application::start(|_| {
        ("204 No Content\r\nAccess-Control-Allow-Methods: POST".into(), String::new())
    });
    assert_says(
        &check(&["--url", &cors.url("/")]),
        1,
        &["A CORS middleware has answered in the application's place"],
    );
}

#[test]
fn statuses_of_the_validation_are_explained() {
    for (head, parts) in [
        (
            "404 Not Found",
            &["OPTIONS was answered 404, and GET /x was answered 404 Not Found", "/api/webpubsub/hubs/HUB/"]
                [..],
        ),
        ("405 Method Not Allowed", &["does not answer OPTIONS at this path"]),
        ("401 Unauthorized", &["must let OPTIONS through without one"]),
        (
            "302 Found\r\nLocation: http://a.test/login?token=a-secret",
            &["302 Found, to http://a.test/login", "Redirects are not followed"],
        ),
        ("503 Service Unavailable", &["look into its log"]),
    ] {
        let application = Application::start(move |_| (head.into(), String::new()));
        let output = check(&["--url", &application.url("/x")]);
        assert_says(&output, 1, parts);
        assert!(!stdout(&output).contains("a-secret"));
    }
}

#[test]
fn the_signature_is_refused() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let application = Application::start(move |request| match request.method.as_str() {
            "OPTIONS" => good(request),
            _ => (status.into(), "wrong signature".into()),
        });
        let output = check(&["--url", &application.url("/"), "--access-key", KEY]);
        assert_says(
            &output,
            1,
            &[
                &format!("failed event POST /, event 1 of 3, was answered {status}"),
                "The event was signed with the key of --access-key.",
                "must have the same AccessKey",
            ],
        );
        let shown = stdout(&output);
        assert!(!shown.contains("more") && !shown.contains("a-key"), "nothing of the key is shown: {shown}");
    }
}

#[test]
fn a_reply_of_another_type_is_refused() {
    let application = Application::start(|request| match request.method.as_str() {
        "OPTIONS" => good(request),
        _ => ("200 OK\r\nContent-Type: text/html".into(), "<p>ok".into()),
    });
    let output = check(&["--url", &application.url("/")]);
    assert_says(
        &output,
        1,
        &["failed reply the content type of a reply must be text/plain", "(it is \"text/html\")"],
    );
}

#[test]
fn a_later_event_fails() {
    let application = Application::start(|request| match request.header("ce-id") {
        Some("3") => ("500 Internal Server Error".into(), String::new()),
        _ => good(request),
    });
    let output = check(&["--url", &application.url("/")]);
    assert_says(&output, 1, &["ok reply", "failed latency POST /, event 3 of 3, was answered 500"]);
}

#[test]
fn the_application_hangs() {
    let application = Application::start(|_| (String::new(), String::new()));
    let output = check(&["--url", &application.url("/"), "--timeout", "1"]);
    assert_says(&output, 1, &["ok connect", "failed validation no answer in 1s", "--timeout waits longer"]);
}

#[test]
fn something_else_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let _ = socket.write_all(b"220 mail.test ESMTP\r\n");
        }
    });
    let output = check(&["--url", &format!("http://{address}/")]);
    assert_says(&output, 1, &["failed validation", "Another program may be listening on this port"]);
    let output = check(&["--url", &format!("https://{address}/"), "--timeout", "5"]);
    assert_says(&output, 1, &["failed tls what answers there does not speak TLS", "must begin with http://"]);
}

#[test]
fn certificates_are_judged_in_plain_words() {
    let (chain, key) = certificate();
    let application = Application::start_tls((&chain, &key), good);
    let port = application.address.port();
    let output = check(&["--url", &format!("https://localhost:{port}/")]);
    assert_says(
        &output,
        1,
        &[
            "failed tls the certificate is of an authority that this machine does not know",
            "Give the authority's certificate with --handler-ca-file",
        ],
    );
    let scratch = Scratch::new();
    let file = scratch.file("ca.pem", &chain);
    let output = check(&["--url", &format!("https://127.0.0.1:{port}/"), "--handler-ca-file", &file]);
    assert_says(&output, 1, &["failed tls the certificate is not for 127.0.0.1 but for localhost"]);
    let output = check(&["--url", &format!("http://localhost:{port}/"), "--timeout", "5"]);
    assert_says(&output, 1, &["failed validation", "the URL must begin with https://"]);
}
