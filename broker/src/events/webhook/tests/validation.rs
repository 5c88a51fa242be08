//! Who wants events.

use futures_util::future::join_all;
use http::Method;

use super::server::{agreement, answer};
use super::*;

fn paths(server: &Server) -> Vec<String> {
    server.seen().iter().map(|seen| format!("{} {}", seen.method, seen.uri)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_asked_once_before_its_first_event() {
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let client = client(config());
    for _ in 0..3 {
        client.call(&call(&server)).await.unwrap();
    }
    let event = "POST /api/chat/room.new?code=k3y";
    assert_eq!(paths(&server), ["OPTIONS /api/chat/validate?code=k3y", event, event, event]);
    let mut headers = server.seen()[0].headers.clone();
    assert_eq!(headers.remove("webhook-request-origin").unwrap(), "rt.example.com");
    assert_eq!(headers.remove("ce-awpsversion").unwrap(), "1.0");
    // What HTTP itself adds.
    headers.remove("host");
    headers.remove("accept");
    assert!(headers.is_empty(), "{headers:?}");
}

#[tokio::test(start_paused = true)]
async fn get_decides_where_options_does_not_exist() {
    let server = Server::start(None, |seen| match seen.method {
        Method::OPTIONS => Some(answer(404, "")),
        Method::GET => Some(agreement()),
        _ => Some(answer(200, "")),
    })
    .await;
    client(config()).call(&call(&server)).await.unwrap();
    let validate = "/api/chat/validate?code=k3y";
    assert_eq!(paths(&server)[..2], [format!("OPTIONS {validate}"), format!("GET {validate}")]);
    assert_eq!(server.seen()[1].headers["ce-awpsversion"], "1.0");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_agree_gets_no_events_and_is_not_asked_again_at_once() {
    for (code, expected) in [(405, 1), (401, 1), (302, 1), (200, 1), (404, 2), (500, 4), (408, 4)] {
        let server = Server::start(None, move |_| Some(answer(code, ""))).await;
        let client = client(config());
        for _ in 0..3 {
            assert_eq!(client.call(&call(&server)).await.unwrap_err().reason(), "not_validated", "{code}");
        }
        assert_eq!(server.seen().len(), expected, "{code}");
        tokio::time::advance(Duration::from_secs(2)).await;
        client.call(&call(&server)).await.unwrap_err();
        assert_eq!(server.seen().len(), expected * 2, "{code}");
        assert!(server.events().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_answers_the_question_has_ten_seconds() {
    let server = Server::start(None, |_| None).await;
    let started = Instant::now();
    let error = client(config()).call(&call(&server)).await.unwrap_err();
    assert!(error.to_string().contains("within 10 seconds"), "{error}");
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn first_events_of_all_workers_share_the_question() {
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let hooks = Webhooks::new(config(), metrics()).unwrap();
    let workers = [hooks.client().unwrap(), hooks.client().unwrap()];
    let calls = (0..20).map(|number: usize| {
        let (worker, server) = (&workers[number % 2], &server);
        async move { worker.call(&call(server)).await.unwrap() }
    });
    join_all(calls).await;
    assert_eq!(server.seen().len() - server.events().len(), 1);
    assert_eq!(server.events().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn each_origin_and_each_validation_url_is_asked_by_itself() {
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let client = client(config());
    let handler = &call(&server).route.handler;
    let other_origin = call_for("chat", "rt2.example.com", handler);
    let other_case = call_for("chat", "RT.example.com", handler);
    let other_hub = call_for("news", "rt.example.com", handler);
    for call in [call(&server), other_case, other_origin, other_hub] {
        client.call(&call).await.unwrap();
    }
    let asked: Vec<_> = server.seen().into_iter().filter(|seen| seen.method == Method::OPTIONS).collect();
    let origins: Vec<_> =
        asked.iter().map(|seen| seen.headers["webhook-request-origin"].to_str().unwrap()).collect();
    assert_eq!(origins, ["rt.example.com", "rt2.example.com", "rt.example.com"]);
    assert_eq!(asked[2].uri, "/api/news/validate?code=k3y");
}

#[test]
fn an_origin_that_is_no_header_is_an_invalid_request() {
    let handler = handler("http://127.0.0.1/{event}", UpstreamAuth::None);
    let odd = Route::new(&hub("chat"), &handler, "room.new", "a\nb");
    assert_eq!(odd.unwrap_err().reason(), "invalid_request");
}
