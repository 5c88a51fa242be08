//! How events travel: versions of HTTP, connections that are used again, headers that show who the broker is, and what
//! becomes of a change of the settings.

use std::fs;
use std::path::PathBuf;

use hyper::Version;
use serde_json::json;

use crate::support::{
    Answer, BareHandler, Client, ClientSpec, Handler, HandlerSpec, Server, within_deadline,
};
use crate::{acked, event, user_events_to};

/// A file of its own in the folder for temporary files, gone when this is dropped.
struct HubsFile(PathBuf);

impl HubsFile {
    fn new(text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("hubbub-events-{}.yaml", rand::random::<u64>())));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }
}

impl Drop for HubsFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Raises events until one of them reaches the handler, and returns how many there were before.
async fn raise_until_it_reaches(client: &mut Client, handler: &Handler) -> usize {
    let known = handler.events().len();
    let mut count = 0;
    let reached = async {
        while handler.events().len() == known {
            client.request(json!({"type": "event", "event": "e", "data": 1})).await;
            count += 1;
        }
    };
    within_deadline("the change of a handler", reached).await;
    count - 1
}

#[tokio::test]
async fn events_travel_by_http_1_unless_the_operator_says_that_the_handler_knows_http_2() {
    for (is_2, version) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let handler = Handler::start().await;
        handler.once("slow", Answer::never());
        let server = Server::with(|setup| {
            setup.handler("chat", &handler, HandlerSpec::everything);
            if is_2 {
                setup.http_2(&handler);
            }
        })
        .await;
        let mut client = server.connect("chat", ClientSpec::json().user("zoë")).await;
        client.send_json(event("e", 1)).await;
        assert_eq!(client.next_json().await, acked(1));
        for arrived in handler.expect_all(&["connect", "connected", "e"]).await {
            assert_eq!(arrived.version, version);
            assert_eq!(arrived.bytes("ce-userid"), Some("zoë".as_bytes()));
            assert!(arrived.header("content-length").is_some());
        }
        assert_eq!(handler.validations()[0].version, version);
        client.send_json(event("slow", 2)).await;
        let slow = handler.expect("slow").await;
        drop(client);
        slow.cancelled().await;
    }
}

#[tokio::test]
async fn a_configured_header_shows_the_broker_on_events_and_a_clients_own_is_not_passed_on() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        setup.handler("chat", &handler, |spec| {
            spec.everything().header("Authorization", "Bearer of-the-broker")
        });
    })
    .await;
    let bearer = format!("Bearer {}", server.client_token("chat").sign());
    let mut socket = server.raw().await;
    let response = socket.upgrade("/client/hubs/chat", &[("Authorization", &bearer)]).await;
    assert_eq!(response.status, 101);
    for arrived in handler.expect_all(&["connect", "connected"]).await {
        assert_eq!(arrived.header("authorization"), Some("Bearer of-the-broker"));
    }
    assert_eq!(handler.validations()[0].header("authorization"), None);
}

#[tokio::test]
async fn one_after_the_other_events_share_a_connection_to_the_handler() {
    let handler = Handler::start().await;
    let server = user_events_to(&handler).await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    for id in 0..50 {
        client.send_json(event("e", id)).await;
        assert_eq!(client.next_json().await, acked(id));
    }
    assert!(handler.connections() <= 2, "{} connections", handler.connections());
}

#[tokio::test]
async fn answers_in_every_form_that_http_1_has_are_understood() {
    for (answer, reply) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None),
        ("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end", Some("to the end")),
        ("HTTP/1.1 200\r\ncontent-type:text/plain\r\ncontent-length:2\r\n\r\nhi", Some("hi")),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nhi", Some("hi")),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nch\r\n4\r\nunks\r\n0\r\n\r\n",
            Some("chunks"),
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
            Some("hi"),
        ),
    ] {
        let bare = BareHandler::start(answer).await;
        let server = Server::with(|setup| {
            setup.handler_at("chat", &bare.url("/{event}"), |spec| spec.user("*"));
        })
        .await;
        let mut client = server.connect("chat", ClientSpec::json()).await;
        for id in 0..3 {
            client.send_json(event("e", id)).await;
            if let Some(reply) = reply {
                assert_eq!(client.next_json().await["data"], reply, "{answer}");
            }
            assert_eq!(client.next_json().await, acked(id), "{answer}");
        }
    }
}

#[tokio::test]
async fn changed_settings_hold_for_the_next_event_of_connections_that_exist() {
    let (old, new) = (Handler::start().await, Handler::start().await);
    let settings = |handler: &Handler| {
        let url = handler.url("/{event}");
        format!(
            "hubs:\n  chat:\n    eventHandlers:\n      - urlTemplate: {url}\n        userEventPattern: \"*\"\n"
        )
    };
    let file = HubsFile::new(&settings(&old));
    let server = Server::with(|setup| {
        setup.hubs_file(&file.0);
    })
    .await;
    let mut client = server.connect("chat", ClientSpec::json()).await;
    raise_until_it_reaches(&mut client, &old).await;
    file.write(&settings(&new));
    raise_until_it_reaches(&mut client, &new).await;
    let of_old = old.events().len();
    // A file that cannot be read changes nothing: the last good settings stay.
    file.write("hubs: [");
    let mut other = server.connect("other", ClientSpec::json()).await;
    for _ in 0..10 {
        assert_eq!(raise_until_it_reaches(&mut client, &new).await, 0);
        other.request(json!({"type": "event", "event": "e", "data": 1})).await;
    }
    assert_eq!(old.events().len(), of_old);
    file.write(&settings(&old));
    raise_until_it_reaches(&mut client, &old).await;
}
