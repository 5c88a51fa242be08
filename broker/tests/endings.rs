//! Black-box tests of every way in which a connection ends, one for each row of `client-protocols.md` 4.1: what each
//! kind of client is sent last, by which code and text its socket is closed, and what the application is told. Who may
//! come back afterwards is in `reliable/`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::time::Duration;

use prost::Message as _;
use proto::client::DownstreamMessage;
use proto::client::downstream_message::{Message as Downstream, SystemMessage, system_message};
use serde_json::json;
use support::{
    Answer, Arrived, ClientSpec, Frame, Handler, JSON, JSON_RELIABLE, Opcode, PROTOBUF, PROTOBUF_RELIABLE,
    RawSocket, Server, Setup, within_deadline,
};
use tokio::io::AsyncWriteExt;

/// Pause between two looks whether the application has been told.
const LOOK: Duration = Duration::from_millis(20);
/// What a client is told that may not come back.
const NOT_RECOVERED: &str = "The connection could not be recovered.";
const ENDED: &str = "The connection ended.";
const NOT_RECOVERED_IN_TIME: &str = "The connection recovery timeout expired.";

/// What a client speaks: nothing but payloads, or a subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind(Option<&'static str>);

const SIMPLE: Kind = Kind(None);
const PLAIN: [Kind; 3] = [SIMPLE, Kind(Some(JSON)), Kind(Some(PROTOBUF))];
const RELIABLE: [Kind; 2] = [Kind(Some(JSON_RELIABLE)), Kind(Some(PROTOBUF_RELIABLE))];
const JSONS: [Kind; 2] = [Kind(Some(JSON)), Kind(Some(JSON_RELIABLE))];
const PROTOBUFS: [Kind; 2] = [Kind(Some(PROTOBUF)), Kind(Some(PROTOBUF_RELIABLE))];

fn every_kind() -> impl Iterator<Item = Kind> {
    PLAIN.into_iter().chain(RELIABLE)
}

impl Kind {
    fn spec(self) -> ClientSpec {
        let spec = ClientSpec::simple().group("g");
        match self.0 {
            Some(name) => spec.offer(name),
            None => spec,
        }
    }

    fn is_reliable(self) -> bool {
        RELIABLE.contains(&self)
    }

    fn opcode(self) -> Opcode {
        if PROTOBUFS.contains(&self) { Opcode::BINARY } else { Opcode::TEXT }
    }

    /// What the application is told of a connection whose socket is gone, once nobody has come back.
    fn reason_of_a_loss(self) -> &'static str {
        if self.is_reliable() { NOT_RECOVERED_IN_TIME } else { ENDED }
    }

    /// The proof by which a reliable client may come back, out of what it is told when it has connected.
    fn reconnection_token(self, connected: &Frame) -> Option<String> {
        if !self.is_reliable() {
            return None;
        }
        if JSONS.contains(&self) {
            let connected: serde_json::Value = serde_json::from_slice(&connected.content).unwrap();
            return Some(connected["reconnectionToken"].as_str().unwrap().to_owned());
        }
        let message = DownstreamMessage::decode(&connected.content[..]).unwrap().message;
        let Some(Downstream::SystemMessage(SystemMessage {
            message: Some(system_message::Message::ConnectedMessage(connected)),
        })) = message
        else {
            panic!("{self:?} was not greeted: {message:?}");
        };
        connected.reconnection_token
    }

    /// What a client is sent before the application closes its connection.
    fn farewell(self, text: &str) -> Option<Frame> {
        let frame = match self {
            SIMPLE => return None,
            kind if JSONS.contains(&kind) => {
                Frame::text(&format!(r#"{{"type":"system","event":"disconnected","message":"{text}"}}"#))
            }
            _ => {
                let message = Some(support::protobuf::disconnected(text));
                Frame::binary(DownstreamMessage { message }.encode_to_vec())
            }
        };
        Some(frame.unmasked())
    }
}

/// A broker that tells the handler of connections that begin and end, and keeps those without a socket for a second.
struct Scene {
    server: Server,
    handler: Handler,
}

/// A connected client.
struct Subject {
    kind: Kind,
    socket: RawSocket,
    id: String,
    /// The proof by which a reliable one may come back.
    token: Option<String>,
}

impl Scene {
    async fn begin() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let handler = Handler::start().await;
        handler.always("message", Answer::status(400));
        let server = Server::with(|setup| {
            setup.reconnect_window(Duration::from_secs(1));
            setup.handler("chat", &handler, |spec| {
                spec.user("message").system(&["connected", "disconnected"])
            });
            change(setup);
        });
        let server = server.await;
        Self { server, handler }
    }

    async fn connect(&self, kind: Kind) -> Subject {
        self.connect_as(kind, &kind.spec()).await
    }

    async fn connect_as(&self, kind: Kind, spec: &ClientSpec) -> Subject {
        let mut socket = self.server.raw_upgraded("chat", spec).await;
        let mut token = None;
        if kind != SIMPLE {
            let connected = socket.read_frame().await;
            assert_eq!(connected.opcode, kind.opcode(), "connected");
            token = kind.reconnection_token(&connected);
        }
        let id = self.handler.expect("connected").await.connection_id().to_owned();
        Subject { kind, socket, id, token }
    }

    /// A socket on which this client comes back, or is refused.
    async fn come_back(&self, subject: &Subject) -> RawSocket {
        let spec = subject.kind.spec().query("awps_connection_id", &subject.id);
        let spec = spec.query("awps_reconnection_token", subject.token.as_ref().unwrap());
        self.server.raw_upgraded("chat", &spec).await
    }

    /// The application is told of the end of this connection, and of no other, in these words.
    async fn expect_told(&self, subject: &Subject, reason: &str) {
        let mut arrived = self.handler.next_event().await;
        if arrived.event() == "message" {
            arrived = self.handler.next_event().await;
        }
        assert_eq!(arrived.event(), "disconnected", "{:?}", subject.kind);
        assert_eq!(arrived.connection_id(), subject.id, "{:?}", subject.kind);
        assert_eq!(arrived.json(), json!({"reason": reason}), "{:?}", subject.kind);
    }

    /// A client sends frames, is sent this close frame and nothing else, and the application is told the same words.
    async fn check(&self, kind: Kind, frames: &[Frame], (code, reason): (u16, &str)) {
        let mut subject = self.connect(kind).await;
        for frame in frames {
            subject.socket.send(frame).await;
        }
        assert_eq!(subject.rest().await, [Frame::close(code, reason).unmasked()], "{kind:?}");
        self.expect_told(&subject, reason).await;
    }

    async fn publish(&self, text: &str) {
        self.server.rest().post("/api/hubs/chat/groups/g/:send").text(text).expect(202).await;
    }

    /// Publishes until the application has been told that a connection has ended.
    async fn publish_until_told(&self, subject: &Subject, text: &str) {
        let told = || self.handler.events().iter().any(|event| subject.is_end(event));
        for _ in 0..100 {
            if told() {
                return;
            }
            self.publish(text).await;
        }
        panic!("{:?} was not cut off", subject.kind);
    }
}

impl Subject {
    /// Whether the application is told that this connection has ended.
    fn is_end(&self, event: &Arrived) -> bool {
        event.event() == "disconnected" && event.connection_id() == self.id
    }

    /// All that comes until the socket ends, but pings.
    async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.socket.try_read_frame().await {
            if frame.opcode != Opcode::PING {
                frames.push(frame);
            }
        }
        assert!(self.socket.buffer.is_empty(), "half a frame came before the end of {:?}", self.kind);
        frames
    }

    /// The socket ends without a close frame; what came before may be broken off.
    async fn expect_abort(&mut self) {
        while let Some(frame) = self.socket.try_read_frame().await {
            assert_ne!(frame.opcode, Opcode::CLOSE, "{:?}", self.kind);
        }
    }
}

#[tokio::test]
async fn a_client_that_closes_with_1000_is_answered_and_its_reason_told() {
    let scene = Scene::begin().await;
    for kind in every_kind() {
        for reason in ["bye ü", ""] {
            scene.check(kind, &[Frame::close(1000, reason)], (1000, reason)).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_closes_with_another_code_or_none_is_answered_and_a_reliable_one_awaited() {
    let scene = Scene::begin().await;
    for kind in every_kind() {
        for close in [Frame::close(1001, "going"), Frame::close(4000, "mine"), Frame::close_without_code()] {
            let mut subject = scene.connect(kind).await;
            subject.socket.send(&close).await;
            assert_eq!(subject.rest().await, [close.unmasked()], "{kind:?}");
            scene.expect_told(&subject, kind.reason_of_a_loss()).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_is_lost_has_ended_and_a_reliable_one_is_awaited() {
    let scene = Scene::begin().await;
    for kind in every_kind() {
        let Subject { socket, id, .. } = scene.connect(kind).await;
        drop(socket);
        let socket = scene.server.raw().await;
        scene.expect_told(&Subject { kind, socket, id, token: None }, kind.reason_of_a_loss()).await;
    }
}

#[tokio::test]
async fn a_client_that_the_application_closes_is_told_so_and_closed_with_1000() {
    let scene = Scene::begin().await;
    for kind in every_kind() {
        for (query, text) in [
            ("", "Application server closed the connection."),
            ("?reason=so%20long", "Application server closed the connection. Reason: so long"),
        ] {
            let mut subject = scene.connect(kind).await;
            let target = format!("/api/hubs/chat/connections/{}{query}", subject.id);
            scene.server.rest().delete(&target).expect(204).await;
            let mut expected: Vec<Frame> = kind.farewell(text).into_iter().collect();
            expected.push(Frame::close(1000, "").unmasked());
            assert_eq!(subject.rest().await, expected, "{kind:?}");
            scene.expect_told(&subject, text).await;
        }
    }
}

#[tokio::test]
async fn a_message_of_more_than_1_mib_closes_with_1009() {
    let scene = Scene::begin().await;
    let content = vec![b'x'; (1 << 20) + 1];
    for kind in every_kind() {
        for part in [content.len(), 1 << 20, 100_000] {
            let frames = Frame::fragments(kind.opcode(), &content, part);
            scene.check(kind, &frames, (1009, "The client message is too large.")).await;
        }
    }
}

#[tokio::test]
async fn a_frame_that_the_rfc_forbids_closes_with_1002() {
    let scene = Scene::begin().await;
    for kind in every_kind() {
        let message = || Frame::new(kind.opcode(), "x");
        let broken = [
            vec![message().not_final(), message()],
            vec![Frame::new(Opcode::CONTINUATION, "x")],
            vec![message().with_reserved(4)],
            vec![message().unmasked()],
            vec![Frame::new(Opcode(3), "x")],
        ];
        for frames in broken {
            scene.check(kind, &frames, (1002, "The client frame is invalid.")).await;
        }
    }
}

#[tokio::test]
async fn a_message_of_the_wrong_kind_closes_with_1003() {
    let scene = Scene::begin().await;
    for kind in JSONS {
        let close = (1003, "The JSON subprotocol requires text messages.");
        scene.check(kind, &[Frame::binary(r#"{"type":"ping"}"#)], close).await;
    }
    for kind in PROTOBUFS {
        let close = (1003, "The protobuf.webpubsub.azure.v1 subprotocol requires binary messages.");
        scene.check(kind, &[Frame::text("J\0")], close).await;
    }
}

#[tokio::test]
async fn a_message_that_the_protocol_does_not_know_closes_with_1007() {
    let scene = Scene::begin().await;
    for kind in JSONS {
        let close = (1007, "The client message is not a valid JSON protocol message.");
        for text in ["{", "[]", r#"{"type":"unknown","ackId":1}"#, r#"{"type":"joinGroup","ackId":1}"#] {
            scene.check(kind, &[Frame::text(text)], close).await;
        }
        scene.check(kind, &[Frame::new(Opcode::TEXT, b"{\"type\":\"ping\",\"x\":\"\xff\"}")], close).await;
    }
    for kind in PROTOBUFS {
        let close = (1007, "The client message is not a valid protobuf.webpubsub.azure.v1 protocol message.");
        for bytes in [&b""[..], b"\xff", b"\x32\x00", b"\x0a\x06\x0a\x04room"] {
            scene.check(kind, &[Frame::binary(bytes)], close).await;
        }
    }
}

#[tokio::test]
async fn a_simple_client_that_publishes_without_permission_is_closed_with_1008() {
    let scene = Scene::begin().await;
    let reason = "The connection is not authorized for raw sendToGroup mode.";
    for opcode in [Opcode::TEXT, Opcode::BINARY] {
        let mut subject = scene.connect_as(SIMPLE, &ClientSpec::publisher("g")).await;
        subject.socket.send(&Frame::new(opcode, "hi")).await;
        assert_eq!(subject.rest().await, [Frame::close(1008, reason).unmasked()]);
        scene.expect_told(&subject, reason).await;
    }
}

#[tokio::test]
async fn a_simple_client_whose_event_fails_is_closed_with_1011() {
    let scene = Scene::begin().await;
    for opcode in [Opcode::TEXT, Opcode::BINARY] {
        scene.check(SIMPLE, &[Frame::new(opcode, "hi")], (1011, "Internal server error")).await;
    }
}

#[tokio::test]
async fn a_simple_client_whose_event_nobody_takes_is_closed_with_1011() {
    let handler = Handler::start().await;
    let server = Server::with(|setup| {
        setup.handler("chat", &handler, |spec| spec.user("other").system(&["disconnected"]));
    });
    let server = server.await;
    let mut socket = server.raw_upgraded("chat", &ClientSpec::simple()).await;
    socket.send(&Frame::text("hi")).await;
    socket.expect_close(1011, "Internal server error").await;
    assert_eq!(handler.expect("disconnected").await.json(), json!({"reason": "Internal server error"}));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_when_its_queue_is_full() {
    let scene = Scene::with(|setup| {
        setup.outbox(4, 16 << 20).keep_alive("chat", Duration::from_secs(120));
    })
    .await;
    let text = "x".repeat(900_000);
    for kind in PLAIN {
        let mut subject = scene.connect(kind).await;
        scene.publish_until_told(&subject, &text).await;
        scene.expect_told(&subject, "The outbound message queue is full.").await;
        subject.expect_abort().await;
    }
}

#[tokio::test]
async fn a_reliable_client_that_does_not_read_its_answers_is_cut_off_when_its_queue_is_full() {
    let scene = Scene::with(|setup| {
        setup.outbox(4, 1 << 20).window(4, 1 << 20).keep_alive("chat", Duration::from_secs(120));
    })
    .await;
    // Pongs are not kept in the window; the queue towards the socket has room for 32 of them beside what is.
    let pings = Frame::ping([b'x'; 125]).bytes().repeat(2_000);
    for kind in RELIABLE {
        let mut subject = scene.connect(kind).await;
        // Until then it may come back.
        subject.socket = scene.come_back(&subject).await;
        let flood = async {
            let mut sent = 0;
            // Once it has been told, there is something to read: the end, or a close frame that must not come.
            while !scene.handler.events().iter().any(|event| subject.is_end(event)) {
                let rest = &pings[sent % pings.len()..];
                match tokio::time::timeout(LOOK, subject.socket.stream.write(rest)).await {
                    Ok(Ok(count)) => sent += count,
                    Ok(Err(_)) => break,
                    Err(_) => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), flood).await.expect("the flood was not stopped");
        scene.expect_told(&subject, "The outbound message queue is full.").await;
        subject.expect_abort().await;
        // It has ended for good: it cannot come back, and a second later nothing more is told of it.
        scene.come_back(&subject).await.expect_close(1008, NOT_RECOVERED).await;
        scene.check(SIMPLE, &[Frame::close(1000, "marker")], (1000, "marker")).await;
    }
}

#[tokio::test]
async fn a_reliable_client_that_acknowledges_nothing_is_cut_off_when_its_window_is_full() {
    let scene = Scene::with(|setup| {
        setup.window(4, 1 << 20);
    })
    .await;
    for kind in RELIABLE {
        let mut subject = scene.connect(kind).await;
        for _ in 0..4 {
            scene.publish("x").await;
            assert_eq!(subject.socket.read_frame().await.opcode, kind.opcode());
        }
        scene.publish("one too many").await;
        assert_eq!(subject.rest().await, [], "{kind:?}");
        scene.expect_told(&subject, "The reliable message buffer is full.").await;
    }
}

#[tokio::test]
async fn a_recovery_that_is_refused_closes_with_1008_and_nobody_is_told() {
    let scene = Scene::begin().await;
    for kind in every_kind() {
        let spec = kind.spec().query("awps_connection_id", "unknown").query("awps_reconnection_token", "x");
        let mut socket = scene.server.raw_upgraded("chat", &spec).await;
        socket.expect_close(1008, NOT_RECOVERED).await;
    }
    // Whatever there was to tell would come before this.
    scene.connect(SIMPLE).await;
}

#[tokio::test]
async fn a_client_that_answers_no_pings_is_cut_off_and_a_reliable_one_awaited() {
    let scene = Scene::with(|setup| {
        setup.keep_alive("chat", Duration::from_secs(1));
    })
    .await;
    let mut subjects = Vec::new();
    for kind in every_kind() {
        subjects.push(scene.connect(kind).await);
    }
    // Two intervals and ten seconds, which is more than the usual deadline.
    let events = async {
        while scene.handler.events().len() < 2 * subjects.len() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), events).await.expect("silent clients were kept");
    for subject in &mut subjects {
        assert_eq!(subject.rest().await, [], "{:?}", subject.kind);
        let ends = scene.handler.events();
        let mut ends = ends.iter().filter(|end| end.event() == "disconnected");
        let end = ends.find(|end| end.connection_id() == subject.id).expect("it has ended");
        assert_eq!(end.json(), json!({"reason": subject.kind.reason_of_a_loss()}), "{:?}", subject.kind);
    }
}

#[tokio::test]
async fn a_node_that_stops_closes_with_1001_and_tells_of_all() {
    let mut scene = Scene::begin().await;
    let mut subjects = Vec::new();
    for kind in every_kind() {
        subjects.push(scene.connect(kind).await);
    }
    scene.server.begin_stop();
    for subject in &mut subjects {
        assert_eq!(subject.rest().await, [Frame::close(1001, "").unmasked()], "{:?}", subject.kind);
    }
    let mut told = Vec::new();
    for _ in &subjects {
        let end = scene.handler.expect("disconnected").await;
        assert_eq!(end.json(), json!({"reason": ENDED}));
        told.push(end.connection_id().to_owned());
    }
    let mut ids: Vec<String> = subjects.into_iter().map(|subject| subject.id).collect();
    told.sort();
    ids.sort();
    assert_eq!(told, ids);
    within_deadline("the end of the node", scene.server.stopped()).await;
}
