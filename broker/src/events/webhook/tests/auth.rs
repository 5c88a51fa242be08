//! How the broker shows who it is.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio::time::advance;

use super::server::answer;
use super::*;

/// A provider whose tokens are numbered and live that long; after so many `good` ones it fails.
async fn provider(life: u64, good: usize) -> Server {
    let number = AtomicUsize::new(0);
    Server::agreeing(move |_| {
        let number = number.fetch_add(1, Ordering::Relaxed) + 1;
        let token = format!(r#"{{"token_type":"Bearer","access_token":"t{number}","expires_in":{life}}}"#);
        Some(if number <= good { answer(200, token) } else { answer(400, r#"{"error":"s3cret"}"#) })
    })
    .await
}

fn with_provider(provider: &Server) -> WebhookConfig {
    let tokens = TokenConfig {
        url: provider.url("/token").parse().unwrap(),
        client_id: "me".to_owned(),
        client_secret: Secret::new("s3cret"),
        credentials: Credentials::Basic,
        scope: "{resource}/.default".to_owned(),
        default_resource: Some("api://default".to_owned()),
    };
    WebhookConfig { tokens: Some(tokens), ..config() }
}

fn call_with(server: &Server, auth: UpstreamAuth) -> Call {
    call_for("chat", "rt.example.com", &handler(&server.url("/{event}"), auth))
}

fn token(resource: Option<&str>) -> UpstreamAuth {
    UpstreamAuth::Token { resource: resource.map(str::to_owned) }
}

fn shown(server: &Server) -> Vec<String> {
    let shown = |seen: &server::Seen| seen.headers["authorization"].to_str().unwrap().to_owned();
    server.events().iter().map(shown).collect()
}

#[tokio::test(start_paused = true)]
async fn a_header_of_the_settings_goes_with_events_and_not_with_the_question() {
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let name = HeaderName::from_static("x-functions-key");
    let auth = UpstreamAuth::Header { name: name.clone(), value: HeaderValue::from_static("k3y") };
    client(config()).call(&call_with(&server, auth)).await.unwrap();
    assert_eq!(server.events()[0].headers[&name], "k3y");
    assert!(!server.seen()[0].headers.contains_key(name));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_once_for_all_and_replaced_before_its_end() {
    let provider = provider(3600, 99).await;
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let client = client(with_provider(&provider));
    let event = call_with(&server, token(Some("api://app/")));
    for result in join_all((0..10).map(|_| client.call(&event))).await {
        result.unwrap();
    }
    assert_eq!(shown(&server), ["Bearer t1"; 10]);
    let asked = provider.events();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].body, "grant_type=client_credentials&scope=api%3A%2F%2Fapp%2F.default");
    assert_eq!(asked[0].headers["authorization"], "Basic bWU6czNjcmV0");

    advance(Duration::from_secs(3299)).await;
    client.call(&event).await.unwrap();
    advance(Duration::from_secs(2)).await;
    client.call(&event).await.unwrap();
    assert_eq!(shown(&server)[10..], ["Bearer t1", "Bearer t2"]);

    client.call(&call_with(&server, token(None))).await.unwrap();
    assert_eq!(shown(&server)[12..], ["Bearer t3"]);
    let last = provider.events().pop().unwrap();
    assert_eq!(last.body, "grant_type=client_credentials&scope=api%3A%2F%2Fdefault%2F.default");
}

#[tokio::test(start_paused = true)]
async fn without_a_token_the_event_fails_and_one_that_still_lives_is_used() {
    let provider = provider(900, 1).await;
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let client = client(with_provider(&provider));
    let event = call_with(&server, token(Some("api://app")));
    client.call(&event).await.unwrap();
    advance(Duration::from_secs(601)).await;
    for _ in 0..3 {
        client.call(&event).await.unwrap();
    }
    assert_eq!((shown(&server), provider.events().len()), (vec!["Bearer t1".to_owned(); 4], 2));
    advance(Duration::from_secs(300)).await;
    for error in join_all((0..5).map(|_| client.call(&event))).await {
        let error = error.unwrap_err();
        assert_eq!(error.reason(), "no_token");
        assert!(error.to_string().contains("400") && !error.to_string().contains("s3cret"), "{error}");
    }
    assert_eq!((server.events().len(), provider.events().len()), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_can_never_be_called_fails() {
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let error = client(config()).call(&call_with(&server, token(None))).await.unwrap_err();
    assert_eq!(error.reason(), "no_token");

    let permits = |url: &str| config().permits(&hub("chat"), &handler(url, UpstreamAuth::None));
    assert!(permits("https://app.test/{event}"));
    assert!(!permits("http://169.254.169.254/{event}"));
}

#[tokio::test(start_paused = true)]
async fn the_token_endpoint_goes_by_the_same_rules_for_addresses() {
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let mut config = with_provider(&server);
    config.tokens.as_mut().unwrap().url = "http://169.254.169.254/token".parse().unwrap();
    let error = client(config).call(&call_with(&server, token(None))).await.unwrap_err();
    assert!(error.to_string().contains("must not be called"), "{error}");
    assert!(server.events().is_empty());
}
