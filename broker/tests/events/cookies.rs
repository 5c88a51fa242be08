//! Cookies that the application sets: kept for each connection, and sent back where the rules of cookies say so.

use serde_json::json;

use crate::support::{Answer, Arrived, Client, ClientSpec, Handler, HandlerSpec, Server, within_deadline};
use crate::{broker_with, user_events_to};

/// The cookies of an event in alphabetical order.
fn cookies(arrived: &Arrived) -> Vec<&str> {
    let mut cookies: Vec<&str> =
        arrived.header("cookie").map(|line| line.split("; ").collect()).unwrap_or_default();
    cookies.sort_unstable();
    cookies
}

/// Raises an event, which the handler answers with these cookies.
async fn raise(client: &mut Client, handler: &Handler, event: &str, status: u16, set: &[&str]) -> Arrived {
    let answer = set.iter().fold(Answer::status(status), |answer, line| answer.header("Set-Cookie", line));
    handler.once(event, answer);
    client.request(json!({"type": "event", "event": event, "data": 1})).await;
    handler.expect(event).await
}

#[tokio::test]
async fn cookies_are_sent_back_where_their_domain_path_and_age_allow_it() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        setup.handler_at("chat", &handler.url("/app/{event}"), |spec| spec.user("*"));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let set = [
        "everywhere=1; Path=/",
        "default=2",
        "of_event=3; Path=/app/a",
        "elsewhere=4; Path=/other",
        "old=5; Path=/; Max-Age=0",
        "expired=6; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "lasting=7; Path=/; Max-Age=60",
        "hidden=8; Path=/; HttpOnly; SameSite=Strict",
        "foreign=9; Path=/; Domain=example.com",
        "=nameless",
        "nonsense",
        "quoted=\"q\"; Path=/",
    ];
    assert_eq!(cookies(&raise(&mut client, &handler, "a", 200, &set).await), [""; 0]);
    let everywhere = ["default=2", "everywhere=1", "hidden=8", "lasting=7"];
    let second = raise(&mut client, &handler, "a", 200, &[]).await;
    let mut found = cookies(&second);
    found.retain(|cookie| !cookie.starts_with("quoted="));
    assert_eq!(found, ["default=2", "everywhere=1", "hidden=8", "lasting=7", "of_event=3"]);
    let third = raise(
        &mut client,
        &handler,
        "b",
        200,
        &["everywhere=changed; Path=/", "hidden=; Path=/; Max-Age=-1"],
    )
    .await;
    let mut found = cookies(&third);
    found.retain(|cookie| !cookie.starts_with("quoted="));
    assert_eq!(found, everywhere);
    let fourth = raise(&mut client, &handler, "c", 200, &[]).await;
    let mut found = cookies(&fourth);
    found.retain(|cookie| !cookie.starts_with("quoted="));
    assert_eq!(found, ["default=2", "everywhere=changed", "lasting=7"]);
}

#[tokio::test]
async fn each_connection_has_cookies_of_its_own() {
    let handler = Handler::start().await;
    handler.by("connect", |arrived| {
        let user = arrived.header("ce-userid").unwrap();
        Answer::status(200).header("Set-Cookie", format!("user={user}; Path=/"))
    });
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut clients = Vec::new();
    for user in ["ann", "bob"] {
        let client = server.connect("chat", ClientSpec::json().user(user)).await;
        assert_eq!(cookies(&handler.expect("connect").await), [""; 0]);
        assert_eq!(cookies(&handler.expect("connected").await), [format!("user={user}")]);
        clients.push((user, client));
    }
    for (user, client) in &mut clients {
        let own = [format!("user={user}")];
        assert_eq!(cookies(&raise(client, &handler, "e", 200, &["user=eve; Path=/no"]).await), own);
        assert_eq!(cookies(&raise(client, &handler, "e", 200, &[]).await), own);
    }
    for (user, client) in clients {
        client.close().await;
        assert_eq!(cookies(&handler.expect("disconnected").await), [format!("user={user}")]);
    }
}

#[tokio::test]
async fn failed_answers_and_validations_set_no_cookies() {
    let handler = Handler::start().await;
    let set = |answer: Answer| answer.header("Set-Cookie", "bad=1; Path=/");
    handler.always("OPTIONS", set(Answer::allowed("*")));
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for status in [400, 401, 302, 429] {
        let arrived = raise(&mut client, &handler, "e", status, &["bad=2; Path=/"]).await;
        assert_eq!(cookies(&arrived), [""; 0]);
    }
    handler.once("e", set(Answer::body("text/html", "not a reply")));
    client.request(json!({"type": "event", "event": "e", "data": 1})).await;
    handler.expect("e").await;
    assert_eq!(cookies(&raise(&mut client, &handler, "e", 200, &[]).await), [""; 0]);
}

#[tokio::test]
async fn cookies_of_notifications_are_kept() {
    let handler = Handler::start().await;
    handler.always("connected", Answer::status(204).header("Set-Cookie", "told=1; Path=/"));
    let server = broker_with(&handler, HandlerSpec::everything).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    handler.expect("connect").await;
    handler.expect("connected").await;
    let known = async { while cookies(&raise(&mut client, &handler, "e", 204, &[]).await) != ["told=1"] {} };
    within_deadline("the cookie of a notification", known).await;
}

#[tokio::test]
async fn handlers_on_other_hosts_get_none_of_them() {
    let handler = Handler::start().await;
    let other = Handler::start().await;
    let server = Server::with(|setup| {
        setup.handler("chat", &handler, |spec| spec.user("a"));
        let elsewhere = format!("http://localhost:{}/", other.address().port());
        setup.handler_at("chat", &elsewhere, |spec| spec.user("b"));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    raise(&mut client, &handler, "a", 200, &["first=1; Path=/"]).await;
    assert_eq!(cookies(&raise(&mut client, &other, "b", 200, &["second=2; Path=/"]).await), [""; 0]);
    assert_eq!(cookies(&raise(&mut client, &handler, "a", 200, &[]).await), ["first=1"]);
    assert_eq!(cookies(&raise(&mut client, &other, "b", 200, &[]).await), ["second=2"]);
}

#[tokio::test]
async fn cookies_without_end_do_not_grow_without_end() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let mut longest = 0;
    for round in 0..60 {
        let set: Vec<String> = (0..60).map(|n| format!("c{round}_{n}={}; Path=/", "x".repeat(100))).collect();
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let arrived = raise(&mut client, &handler, "e", 200, &set).await;
        longest = longest.max(arrived.header("cookie").unwrap_or_default().len());
    }
    assert!(longest > 0 && longest < 32 << 10, "{longest} bytes");
}
