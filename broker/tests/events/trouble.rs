//! Handlers that are slow, dead or overrun harm nobody but those who wait for them.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use crate::support::{Answer, Client, ClientSpec, Gate, Handler, HandlerSpec, Received, Server};
use crate::{acked, event, failed, knock};

/// A port of the loopback interface where nobody listens.
async fn dead_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Raises an event that must succeed, and soon.
async fn check_prompt(client: &mut Client) {
    let start = Instant::now();
    let ack = client.request(json!({"type": "event", "event": "e", "data": 1})).await;
    assert_eq!(ack["success"], true, "{ack}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_hub_whose_handler_does_not_answer_delays_no_other_hub() {
    let (hanging, working) = (Handler::start().await, Handler::start().await);
    let gate = Gate::new();
    hanging.always("slow", Answer::status(204).held_by(&gate));
    let server = Server::with(|setup| {
        setup.handler("hanging", &hanging, |spec| spec.user("*"));
        setup.handler("working", &working, HandlerSpec::everything);
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..150 {
        let mut client = server.connect("hanging", ClientSpec::json()).await;
        client.send_json(event("slow", 1)).await;
        waiting.push(client);
    }
    for _ in 0..150 {
        hanging.expect("slow").await;
    }
    for _ in 0..5 {
        let mut client = server.connect("working", ClientSpec::json()).await;
        check_prompt(&mut client).await;
        client.close().await;
    }
    // The hub itself goes on but for those who wait.
    let mut member = server.connect("hanging", ClientSpec::member().group("g")).await;
    server.rest().post("/api/hubs/hanging/:send").text("hi").expect(202).await;
    assert_eq!(member.next_json().await["data"], "hi");
    for client in &mut waiting {
        assert_eq!(client.next_json().await["data"], "hi");
    }
    gate.open();
    for client in &mut waiting {
        assert_eq!(client.next_json().await, acked(1));
    }
}

#[tokio::test]
async fn a_handler_that_is_not_there_fails_events_at_once_after_a_while_and_delays_no_other_hub() {
    let working = Handler::start().await;
    let port = dead_port().await;
    let server = Server::with(|setup| {
        // Time for two attempts.
        setup.handler_timeout(Duration::from_secs(3));
        setup.handler_at("dead", &format!("http://127.0.0.1:{port}/{{event}}"), |spec| spec.user("*"));
        setup.handler_at("nowhere", "http://nowhere.invalid/{event}", |spec| spec.user("*"));
        setup.handler("working", &working, HandlerSpec::everything);
    })
    .await;
    let mut clients = vec![server.connect("nowhere", ClientSpec::json()).await];
    clients[0].send_json(event("e", 1)).await;
    for _ in 0..30 {
        let mut client = server.connect("dead", ClientSpec::json()).await;
        client.send_json(event("e", 1)).await;
        clients.push(client);
    }
    let mut other = server.connect("working", ClientSpec::json()).await;
    for _ in 0..3 {
        check_prompt(&mut other).await;
    }
    for client in &mut clients {
        let ack = tokio::time::timeout(Duration::from_secs(20), client.next_unhurried()).await;
        let Ok(Received::Text(ack)) = ack else { panic!("{ack:?}") };
        assert_eq!(serde_json::from_str::<Value>(&ack).unwrap(), failed(1));
    }
    let mut quickest = Duration::MAX;
    for (id, client) in (2..).zip(&mut clients[1..]) {
        let start = Instant::now();
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, failed(id));
        quickest = quickest.min(start.elapsed());
        if quickest < Duration::from_millis(500) {
            break;
        }
    }
    assert!(quickest < Duration::from_millis(500), "{quickest:?}");
    check_prompt(&mut other).await;
}

#[tokio::test]
async fn a_client_whose_hub_cannot_reach_its_handler_is_refused_with_500_and_an_empty_body() {
    let port = dead_port().await;
    let server = Server::with(|setup| {
        setup.handler_timeout(Duration::from_secs(1));
        let asked = |spec: HandlerSpec| spec.system(&["connect"]);
        setup.handler_at("chat", &format!("http://127.0.0.1:{port}/{{event}}"), asked);
    })
    .await;
    for spec in [ClientSpec::simple().user("ann"), ClientSpec::json().user("ann").group("g")] {
        let refused = knock(&server, &spec).await;
        assert_eq!((refused.status, &*refused.body), (500, ""), "{refused:?}");
        assert_eq!(refused.header("sec-websocket-protocol"), None, "{refused:?}");
    }
    server.rest().head("/api/hubs/chat/users/ann").expect(404).await;
    server.rest().head("/api/hubs/chat/groups/g").expect(404).await;
}

#[tokio::test]
async fn a_handler_that_comes_back_is_used_again() {
    let port = dead_port().await;
    let server = Server::with(|setup| {
        setup.handler_at("chat", &format!("http://127.0.0.1:{port}/{{event}}"), |spec| spec.user("*"));
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    client.send_json(event("e", 1)).await;
    client.send_json(json!({"type": "ping"})).await;
    let handler = Handler::start_at(port).await;
    // The first attempt found nobody, the next ones do.
    assert_eq!(client.next_json().await, acked(1));
    assert_eq!(client.next_json().await, json!({"type": "pong"}));
    handler.expect("e").await;
}

#[tokio::test]
async fn hundreds_of_events_at_once_all_get_their_answers() {
    let handler = Handler::start().await;
    handler.by("e", |arrived| Answer::body("text/plain", arrived.body.clone()));
    let server = crate::user_events_to(&handler).await;
    let mut clients = Vec::new();
    for n in 0..40 {
        let mut client = server.connect("chat", ClientSpec::json()).await;
        for m in 0..20 {
            let data = format!("{n} {m}");
            client.send_json(json!({"type": "event", "event": "e", "dataType": "text", "data": data})).await;
        }
        clients.push(client);
    }
    for (n, client) in clients.iter_mut().enumerate() {
        for m in 0..20 {
            assert_eq!(client.next_json().await["data"], format!("{n} {m}"));
        }
    }
    assert_eq!(handler.validations().len(), 1);
}

#[tokio::test]
async fn a_handler_with_too_many_calls_lets_some_wait_and_refuses_the_rest() {
    let handler = Handler::start().await;
    let gate = Gate::new();
    handler.always("e", Answer::status(204).held_by(&gate));
    let server = Server::with(|setup| {
        setup.handler_limits(3, 2).handler("chat", &handler, |spec| spec.user("*"));
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect("chat", ClientSpec::json()).await;
        client.send_json(event("e", 1)).await;
        handler.expect("e").await;
        clients.push(client);
    }
    // Of six more two wait, and the others are refused at once.
    let mut acks = FuturesUnordered::new();
    for _ in 0..6 {
        let mut client = server.connect("chat", ClientSpec::json()).await;
        client.send_json(event("e", 1)).await;
        acks.push(async move { client.next_json().await });
    }
    for _ in 0..4 {
        assert_eq!(acks.next().await, Some(failed(1)));
    }
    assert_eq!(handler.events().len(), 3);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.next_json().await, acked(1));
    }
    for _ in 0..2 {
        assert_eq!(acks.next().await, Some(acked(1)));
    }
    assert_eq!(handler.events().len(), 5);
}

#[tokio::test]
async fn a_handler_that_takes_too_long_fails_the_event_and_the_call_is_ended() {
    let handler = Handler::start().await;
    handler.always("e", Answer::never());
    handler.always("connect", Answer::never());
    handler.always("connected", Answer::never());
    // The head comes in time, the rest does not.
    handler.once("late", Answer::announced("text/plain", 5));
    let server = Server::with(|setup| {
        setup.handler_timeout(Duration::from_secs(1));
        setup.handler("asked", &handler, |spec| spec.system(&["connect"]));
        setup.handler("chat", &handler, |spec| spec.user("*").system(&["connected"]));
    })
    .await;
    let path = ClientSpec::json().path(&server, "asked");
    let refused = server.raw().await.upgrade(&path, &[]).await;
    assert_eq!((refused.status, &*refused.body), (500, ""));
    let connect = handler.expect("connect").await;
    connect.cancelled().await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    let connected = handler.expect("connected").await;
    for (id, name) in [(1, "e"), (2, "late")] {
        client.send_json(event(name, id)).await;
        let arrived = handler.expect(name).await;
        assert_eq!(client.next_json().await, failed(id));
        if name == "e" {
            arrived.cancelled().await;
        }
    }
    connected.cancelled().await;
    client.send_json(event("quick", 3)).await;
    assert_eq!(client.next_json().await, acked(3));
}
