//! Black-box tests of the TLS listener: clients and REST callers get through it what they get without TLS.
//!
//! What matters is that records are not sockets: a message may wait inside TLS although the socket is writable, and
//! bytes of the next message may have been decrypted although the socket has nothing to read.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::{ClientSpec, JSON, JSON_RELIABLE, Server, escape, within_deadline};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;

/// A broker with a TLS listener, and a client side that trusts its certificate.
struct Secured {
    server: Server,
    trust: Arc<ClientConfig>,
}

impl Secured {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let server = Server::with(|setup| {
            setup.tls(&chain, &key).workers(4);
        })
        .await;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(made.cert.der().to_vec())).unwrap();
        let provider = Arc::new(crypto::ring::default_provider());
        let trust = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server, trust: Arc::new(trust) }
    }

    async fn dial(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.server.tls_address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connected = TlsConnector::from(Arc::clone(&self.trust)).connect(name, stream);
        within_deadline("the TLS handshake", connected).await.unwrap()
    }

    /// A JSON client that may do everything with groups, after its `connected`.
    async fn connect(&self) -> WebSocketStream<TlsStream<TcpStream>> {
        let mut socket = self.open(&self.path(), JSON).await;
        assert_eq!(next(&mut socket).await["event"], "connected");
        socket
    }

    /// Path and query of such a client, with its token.
    fn path(&self) -> String {
        let authority = format!("localhost:{}", self.server.tls_address().port());
        let audience = format!("https://{authority}/client/hubs/chat");
        let roles = ["webpubsub.sendToGroup", "webpubsub.joinLeaveGroup"];
        let token = self.server.client_token("chat").audience(audience).roles(roles).sign();
        format!("/client/hubs/chat?access_token={}", escape(&token))
    }

    async fn open(&self, path: &str, subprotocol: &'static str) -> WebSocketStream<TlsStream<TcpStream>> {
        let url = format!("wss://localhost:{}{path}", self.server.tls_address().port());
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
        let handshake = tokio_tungstenite::client_async(request, self.dial().await);
        within_deadline("the handshake", handshake).await.unwrap().0
    }
}

/// The next message that is no ping.
async fn next(socket: &mut WebSocketStream<TlsStream<TcpStream>>) -> Value {
    loop {
        let message = within_deadline("a message", socket.next()).await.unwrap().unwrap();
        if !message.is_ping() {
            return serde_json::from_str(message.to_text().unwrap()).unwrap();
        }
    }
}

async fn send(socket: &mut WebSocketStream<TlsStream<TcpStream>>, message: Value) {
    within_deadline("sending", socket.send(Message::text(message.to_string()))).await.unwrap();
}

#[tokio::test]
async fn messages_of_every_size_come_back_through_tls() {
    let secured = Secured::start().await;
    let mut client = secured.connect().await;
    send(&mut client, json!({"type": "joinGroup", "group": "g", "ackId": 1})).await;
    assert_eq!(next(&mut client).await["success"], true);
    for size in [0, 1, 16_383, 16_384, 16_385, 100_000, 1_000_000] {
        let data = "x".repeat(size);
        send(&mut client, json!({"type": "sendToGroup", "group": "g", "dataType": "text", "data": data}))
            .await;
        assert!(next(&mut client).await["data"] == data, "{size} bytes");
    }
}

#[tokio::test]
async fn a_reliable_client_comes_back_through_tls_on_any_worker() {
    let secured = Secured::start().await;
    let mut client = secured.open(&secured.path(), JSON_RELIABLE).await;
    let connected = next(&mut client).await;
    let value = |name: &str| escape(connected[name].as_str().unwrap());
    let (id, token) = (value("connectionId"), value("reconnectionToken"));
    let path = format!("/client/hubs/chat?awps_connection_id={id}&awps_reconnection_token={token}");
    send(&mut client, json!({"type": "joinGroup", "group": "g", "ackId": 1})).await;
    assert_eq!(next(&mut client).await["success"], true);
    // Larger than what the kernel, or TLS, takes at once.
    let data = "x".repeat(700_000);
    for sequence_id in 1..=24 {
        secured.server.rest().post("/api/hubs/chat/groups/g/:send").text(&data).expect(202).await;
        if sequence_id % 2 == 0 {
            drop(client);
            client = secured.open(&path, JSON_RELIABLE).await;
            for expected in [sequence_id - 1, sequence_id] {
                let message = next(&mut client).await;
                assert_eq!(message["sequenceId"], expected);
                assert!(message["data"] == data);
            }
            send(&mut client, json!({"type": "sequenceAck", "sequenceId": sequence_id})).await;
            send(&mut client, json!({"type": "ping"})).await;
            assert_eq!(next(&mut client).await["type"], "pong");
        }
    }
}

#[tokio::test]
async fn many_messages_in_one_record_are_all_answered() {
    let secured = Secured::start().await;
    let mut client = secured.connect().await;
    for ack in 0..500 {
        let join = json!({"type": "joinGroup", "group": format!("g{ack}"), "ackId": ack});
        client.feed(Message::text(join.to_string())).await.unwrap();
    }
    client.flush().await.unwrap();
    for ack in 0..500 {
        assert_eq!(next(&mut client).await["ackId"], ack);
    }
}

#[tokio::test]
async fn a_client_that_pauses_gets_all_that_waited() {
    let secured = Secured::start().await;
    let mut reader = secured.connect().await;
    send(&mut reader, json!({"type": "joinGroup", "group": "g", "ackId": 1})).await;
    assert_eq!(next(&mut reader).await["success"], true);
    // Ten mebibytes: more than the kernel takes, less than the broker keeps.
    let mut publisher = secured.server.connect("chat", ClientSpec::member()).await;
    let text = |number: usize| format!("{number:0>9}").repeat(1800);
    for number in 0..640 {
        publisher.publish("g", &text(number)).await;
    }
    for number in 0..640 {
        assert!(next(&mut reader).await["data"] == text(number), "message {number}");
    }
}

#[tokio::test]
async fn the_end_of_a_burst_does_not_stay_inside_tls() {
    let secured = Secured::start().await;
    let mut reader = secured.connect().await;
    send(&mut reader, json!({"type": "joinGroup", "group": "g", "ackId": 1})).await;
    assert_eq!(next(&mut reader).await["success"], true);
    let mut publisher = secured.server.connect("chat", ClientSpec::member()).await;
    let text = "y".repeat(30_000);
    // Where the kernel stops taking is not ours to say, so bursts of many sizes are tried, each followed by silence.
    for messages in (4..60).step_by(4) {
        for _ in 0..messages {
            publisher.publish("g", &text).await;
        }
        // Nothing is read until the broker has written what it can.
        publisher.expect_nothing_before_pong().await;
        for number in 0..messages {
            assert!(next(&mut reader).await["data"] == text, "message {number} of {messages}");
        }
    }
}

#[tokio::test]
async fn a_close_by_the_application_arrives_through_tls() {
    let secured = Secured::start().await;
    let mut client = secured.connect().await;
    let reply = secured.server.rest().post("/api/hubs/chat/:closeConnections?reason=bye").send().await;
    assert_eq!(reply.status, 204);
    let farewell = next(&mut client).await;
    assert_eq!(farewell["message"], "Application server closed the connection. Reason: bye");
    let close = within_deadline("a close frame", client.next()).await.unwrap().unwrap();
    assert!(matches!(close, Message::Close(Some(frame)) if u16::from(frame.code) == 1000));
}

#[tokio::test]
async fn rest_is_answered_through_tls() {
    let secured = Secured::start().await;
    let mut stream = secured.dial().await;
    stream
        .write_all(b"HEAD /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    within_deadline("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_client_without_tls_is_cut_off_and_harms_nobody() {
    let secured = Secured::start().await;
    let mut plain = TcpStream::connect(secured.server.tls_address()).await.unwrap();
    plain.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    within_deadline("the end", plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"));
    secured.connect().await;
}
