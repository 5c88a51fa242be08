//! What handlers get, and what is made of their answers.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Method, Version};
use rcgen::{CertifiedKey, KeyPair};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::{TlsAcceptor, rustls};

use super::server::{agreement, answer, streamed};
use super::*;

#[tokio::test(start_paused = true)]
async fn an_event_arrives_whole_and_the_answer_comes_back() {
    let server = Server::agreeing(|_| {
        let mut response = answer(202, "hi");
        response.headers_mut().insert("ce-connectionstate", "s".parse().unwrap());
        response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        Some(response)
    })
    .await;
    let client = client(config());
    let got = client.call(&call(&server)).await.unwrap();
    assert_eq!((got.status.as_u16(), &got.body[..]), (202, &b"hi"[..]));
    assert_eq!(
        (&got.headers["ce-connectionstate"], &got.headers["content-encoding"]),
        (&"s".parse().unwrap(), &"gzip".parse().unwrap())
    );

    let mut empty = call(&server);
    empty.body = Bytes::new();
    client.call(&empty).await.unwrap();
    let events = server.events();
    assert_eq!(events[0].uri, "/api/chat/room.new?code=k3y");
    assert_eq!(events[0].body, "hello");
    assert_eq!(events[0].version, Version::HTTP_11);
    let header = |number: usize, name: &str| events[number].headers[name].to_str().unwrap();
    assert_eq!((header(0, "ce-id"), header(0, "webhook-request-origin")), ("17", "rt.example.com"));
    assert_eq!((header(0, "content-length"), header(1, "content-length")), ("5", "0"));
    assert_eq!(header(0, "host"), server.address.to_string());
    assert!(!events[0].headers.contains_key("authorization"));
    assert_eq!(server.connections(), 1, "a connection is used again");
}

#[tokio::test(start_paused = true)]
async fn some_statuses_are_worth_four_attempts_and_all_are_the_same() {
    for (code, attempts) in
        [(200, 1), (204, 1), (400, 1), (401, 1), (404, 1), (408, 4), (429, 1), (500, 4), (503, 4), (599, 4)]
    {
        let server = Server::agreeing(move |_| Some(answer(code, "no"))).await;
        let started = Instant::now();
        let got = client(config()).call(&call(&server)).await;
        match code {
            200..=299 => drop(got.unwrap()),
            _ => assert_eq!(got.unwrap_err(), status(code)),
        }
        let events = server.events();
        assert_eq!(events.len(), attempts, "{code}");
        assert!(events.iter().all(|event| *event == events[0]), "{events:?}");
        let expected = if attempts == 4 { 9 } else { 0 };
        assert_eq!(started.elapsed().as_secs(), expected, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_attempt_may_succeed() {
    let number = AtomicUsize::new(0);
    let server = Server::agreeing(move |_| match number.fetch_add(1, Ordering::Relaxed) {
        0 => Some(streamed(&[b"half an"], true)),
        1 => Some(answer(500, "")),
        _ => Some(answer(200, "whole")),
    })
    .await;
    let started = Instant::now();
    let got = client(config()).call(&call(&server)).await.unwrap();
    assert_eq!(got.body, "whole");
    assert_eq!((server.events().len(), started.elapsed().as_secs()), (3, 4));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_in_the_middle_of_each_answer_is_a_failure() {
    let server = Server::agreeing(|_| Some(streamed(&[b"half an"], true))).await;
    let error = client(config()).call(&call(&server)).await.unwrap_err();
    assert_eq!(error.reason(), "unreachable");
    assert!(!error.to_string().contains("k3y"), "{error}");
    assert_eq!(server.events().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn answers_have_a_largest_size_announced_or_not() {
    static FITS: [u8; 1000] = [b'x'; 1000];
    static OVER: [u8; 1001] = [b'x'; 1001];
    static FITTING: [&[u8]; 1] = [&FITS];
    static PIECES: [&[u8]; 2] = [&FITS, b"x"];
    let check = async |response: fn() -> http::Response<server::Body>, expected: Option<usize>| {
        let server = Server::agreeing(move |_| Some(response())).await;
        let got = client(config()).call(&call(&server)).await;
        match expected {
            Some(size) => assert_eq!(got.unwrap().body.len(), size),
            None => assert_eq!(got.unwrap_err(), CallError::AnswerTooLarge(1000)),
        }
        assert_eq!(server.events().len(), 1);
    };
    check(|| answer(200, &FITS[..]), Some(1000)).await;
    check(|| answer(200, &OVER[..]), None).await;
    check(|| streamed(&FITTING, false), Some(1000)).await;
    check(|| streamed(&PIECES, false), None).await;
}

#[tokio::test(start_paused = true)]
async fn redirects_are_not_followed() {
    let other = Server::agreeing(|_| Some(answer(200, ""))).await;
    let location = other.url("/elsewhere");
    for code in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let server = Server::agreeing(move |_| {
            let mut response = answer(code, "");
            response.headers_mut().insert("location", location.parse().unwrap());
            Some(response)
        })
        .await;
        assert_eq!(client(config()).call(&call(&server)).await.unwrap_err(), status(code));
        assert_eq!(server.events().len(), 1);
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn handlers_that_the_operator_names_get_http_2_without_tls() {
    let server = Server::agreeing(|_| Some(answer(200, "h2"))).await;
    let client = client(WebhookConfig { h2c: vec![server.url("")], ..config() });
    let calls = futures_util::future::join_all(
        (0..20).map(|_| async { client.call(&call(&server)).await.unwrap().body }),
    );
    assert!(calls.await.iter().all(|body| body == "h2"));
    assert!(server.seen().iter().all(|seen| seen.version == Version::HTTP_2));
    assert_eq!(server.connections(), 1);
    assert_eq!(server.events()[0].headers["content-length"], "5");
}

fn acceptor(made: &CertifiedKey<KeyPair>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(server))
}

#[tokio::test]
async fn tls_agrees_on_http_2_and_believes_the_configured_authority_only() {
    let made = rcgen::generate_simple_self_signed(vec!["handler.test".to_owned()]).unwrap();
    let chain = made.cert.pem();
    let server = Server::start(Some(acceptor(&made)), |seen| match seen.method {
        Method::OPTIONS => Some(agreement()),
        _ => Some(answer(200, "tls")),
    })
    .await;
    let names: [(&str, &[&str]); 1] = [("handler.test", &["127.0.0.1"])];
    let url = format!("https://handler.test:{}/{{event}}", server.address.port());

    let authorities = Authorities::from_pem(chain.as_bytes()).unwrap();
    let client = client_that_knows(WebhookConfig { authorities, ..config() }, &names);
    assert_eq!(client.call(&call_to(&url)).await.unwrap().body, "tls");
    assert!(server.seen().iter().all(|seen| seen.version == Version::HTTP_2));

    let before = server.seen().len();
    let stranger = client_that_knows(config(), &names);
    let error = stranger.call(&call_to(&url)).await.unwrap_err();
    assert_eq!(error.reason(), "not_validated");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(server.seen().len(), before);
}
