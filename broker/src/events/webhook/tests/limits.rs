//! How much one handler may take up.

use std::future::Future;
use std::pin::pin;

use futures_util::future::join_all;

use super::server::answer;
use super::*;

fn small(waiting_calls: usize, waiting_bytes: usize) -> WebhookConfig {
    WebhookConfig {
        limits: HandlerLimits { calls: 2, waiting_calls, waiting_bytes, answer_room: 1 << 20 },
        ..config()
    }
}

async fn reasons(client: &WebhookClient, events: &[Call]) -> Vec<&'static str> {
    let calls = events.iter().map(|event| async { client.call(event).await });
    let results = join_all(calls).await;
    results.iter().map(|result| result.as_ref().map_or_else(CallError::reason, |_| "succeeded")).collect()
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limit_wait_and_beyond_that_fail_at_once() {
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let client = client(small(3, usize::MAX));
    client.call(&call(&server)).await.unwrap();
    let events: Vec<_> = (0..7).map(|_| call(&server)).collect();
    // Two under way and three that wait.
    let got = reasons(&client, &events).await;
    assert_eq!(got[..5], ["succeeded"; 5]);
    assert_eq!(got[5..], ["overloaded"; 2]);
    assert_eq!(server.events().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_wait_are_limited_too_and_no_call_is_too_large_to_wait_alone() {
    let server = Server::agreeing(|_| Some(answer(200, ""))).await;
    let client = client(small(100, 10_000));
    client.call(&call(&server)).await.unwrap();
    let sized = |size| Call { body: vec![b'x'; size].into(), ..call(&server) };
    let events = [sized(1), sized(1), sized(20_000), sized(1)];
    assert_eq!(reasons(&client, &events).await, ["succeeded", "succeeded", "succeeded", "overloaded"]);
    let events = [sized(1), sized(1), sized(4_000), sized(3_000), sized(5_000)];
    assert_eq!(
        reasons(&client, &events).await,
        ["succeeded", "succeeded", "succeeded", "succeeded", "overloaded"]
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_counts_towards_the_time_for_a_call_and_other_hubs_do_not_wait() {
    let server = Server::agreeing(|seen| match seen.uri.path().contains("news") {
        true => Some(answer(200, "")),
        false => None,
    })
    .await;
    let client = client(small(100, usize::MAX));
    let events: Vec<_> = (0..4).map(|_| call(&server)).collect();
    let started = Instant::now();
    let mut busy = pin!(reasons(&client, &events));
    let other = call_for("news", "rt.example.com", &call(&server).route.handler);
    tokio::select! {
        _ = &mut busy => panic!("the handler hangs"),
        got = client.call(&other) => drop(got.unwrap()),
    }
    assert_eq!(started.elapsed().as_secs(), 0);
    assert_eq!(busy.await, ["timed_out"; 4]);
    assert_eq!((started.elapsed().as_secs(), server.events().len()), (100, 3));
}

#[tokio::test(start_paused = true)]
async fn metrics_show_what_is_under_way_and_what_became_of_it() {
    let server = Server::agreeing(|_| None).await;
    let metrics = metrics();
    let client = Webhooks::new(small(1, usize::MAX), Arc::clone(&metrics)).unwrap().client().unwrap();
    let shows = |line: &str| metrics.render().lines().any(|shown| shown == line);
    let event = call(&server);
    let call = |event| Box::pin(client.call(event)) as std::pin::Pin<Box<dyn Future<Output = _>>>;
    let mut calls = vec![call(&event)];
    let started = tokio::time::timeout(Duration::from_secs(1), &mut calls[0]).await;
    started.unwrap_err();
    calls.extend([call(&event), call(&event)]);
    tokio::time::timeout(Duration::from_secs(1), join_all(calls.iter_mut())).await.unwrap_err();
    assert!(shows(r#"hubbub_handler_calls_in_flight{hub="chat"} 2"#), "{}", metrics.render());
    assert!(shows(r#"hubbub_handler_waiting{hub="chat"} 1"#));
    assert_eq!(client.call(&event).await.unwrap_err(), CallError::Overloaded);
    drop(calls);
    for line in [
        r#"hubbub_handler_calls_in_flight{hub="chat"} 0"#,
        r#"hubbub_handler_waiting{hub="chat"} 0"#,
        r#"hubbub_handler_calls_total{hub="chat",outcome="abandoned"} 3"#,
        r#"hubbub_handler_calls_total{hub="chat",outcome="overloaded"} 1"#,
    ] {
        assert!(shows(line), "{line}\n{}", metrics.render());
    }
}

#[tokio::test(start_paused = true)]
async fn long_answers_share_the_room_that_their_handler_has() {
    let server = Server::agreeing(|seen| {
        let size = if seen.body == "short" { 64 << 10 } else { 600 << 10 };
        Some(answer(200, "x".repeat(size)))
    })
    .await;
    let limits = HandlerLimits { answer_room: 1 << 20, ..config().limits };
    let client = client(WebhookConfig { limits, answer_bytes: 1 << 20, ..config() });
    let sized = |body: &'static str| Call { body: body.into(), ..call(&server) };
    let first = client.call(&sized("long")).await.unwrap();
    assert_eq!(first.body.len(), 600 << 10);
    assert_eq!(client.call(&sized("long")).await.unwrap_err(), CallError::Overloaded);
    assert_eq!(client.call(&sized("short")).await.unwrap().body.len(), 64 << 10);
    drop(first);
    client.call(&sized("long")).await.unwrap();
}
