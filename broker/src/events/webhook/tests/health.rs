//! Dead and slow handlers.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::time::advance;

use super::server::answer;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_left_when_time_is_over() {
    let server = Server::agreeing(|_| None).await;
    let started = Instant::now();
    assert_eq!(client(config()).call(&call(&server)).await.unwrap_err(), CallError::TimedOut);
    assert_eq!((started.elapsed().as_secs(), server.events().len()), (100, 1));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_not_there_cannot_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{{event}}?code=k3y", listener.local_addr().unwrap());
    drop(listener);
    let error = client(config()).call(&call_to(&url)).await.unwrap_err();
    assert_eq!(error.reason(), "not_validated");
    let text = format!("{error} {error:?}");
    assert!(text.contains("refused") && !text.contains("k3y"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_ends_the_request() {
    let server = Server::agreeing(|_| None).await;
    let client = client(config());
    let left = tokio::time::timeout(Duration::from_secs(5), client.call(&call(&server))).await;
    left.unwrap_err();
    assert_eq!(server.events().len(), 1);
    let ended = async {
        while server.busy() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_always_fails_is_left_alone_until_it_works_again() {
    let works = Arc::new(AtomicBool::new(false));
    let server = {
        let works = Arc::clone(&works);
        Server::agreeing(move |seen| {
            let well = works.load(Ordering::Relaxed) || seen.uri.path().contains("news");
            Some(answer(if well { 200 } else { 503 }, ""))
        })
        .await
    };
    let client = client(config());
    let event = call(&server);
    // Four attempts each; the twentieth failure opens it, and what waits for another attempt ends.
    let started = Instant::now();
    let results = join_all((0..7).map(|_| client.call(&event))).await;
    assert!(results.iter().all(|result| matches!(result, Err(error) if *error == status(503))));
    let attempts = server.events().len();
    assert!((20..28).contains(&attempts), "{attempts}");
    assert_eq!(started.elapsed().as_secs(), 4);

    assert_eq!(client.call(&event).await.unwrap_err(), CallError::CircuitOpen);
    assert_eq!((server.events().len(), started.elapsed().as_secs()), (attempts, 4), "nothing was sent");

    // Another hub has nothing to do with it.
    let other = call_for("news", "rt.example.com", &call(&server).route.handler);
    client.call(&other).await.unwrap();
    let attempts = attempts + 1;

    advance(Duration::from_secs(5)).await;
    let results = join_all((0..3).map(|_| client.call(&event))).await;
    let reasons: Vec<_> = results.into_iter().map(|result| result.unwrap_err().reason()).collect();
    assert_eq!(reasons, ["status", "circuit_open", "circuit_open"]);
    assert_eq!(server.events().len(), attempts + 1, "one finds out, once");

    works.store(true, Ordering::Relaxed);
    assert_eq!(client.call(&event).await.unwrap_err(), CallError::CircuitOpen);
    advance(Duration::from_secs(5)).await;
    for _ in 0..3 {
        client.call(&event).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_do_not_count_as_failures() {
    let server = Server::agreeing(|_| Some(answer(401, ""))).await;
    let client = client(config());
    for _ in 0..30 {
        assert_eq!(client.call(&call(&server)).await.unwrap_err(), status(401));
    }
    assert_eq!(server.connections(), 1, "short answers leave their connection to the next");
}
