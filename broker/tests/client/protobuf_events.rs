//! Events of protobuf clients: what the application is sent, and its answers in each content type.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use proto::client::downstream_message::DataMessage;
use proto::client::message_data::Data;
use proto::client::upstream_message::Message;
use tokio::net::TcpListener;

use broker::settings::HubSettings;
use broker::settings::handler::{
    EventHandler, GroupPresence, SystemEvents, UpstreamAuth, UrlTemplate, UserEventPattern,
};
use codec::ids::HubName;

use crate::support::protobuf::{event, failure, of, success, text};
use crate::support::{Client, ClientSpec, PROTOBUF, Server};

/// An event handler that answers each event with the same body, and remembers what it got.
struct Handler {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Handler {
    async fn start(answer: impl Fn() -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, seen) = (Arc::new(answer), Arc::new(Mutex::default()));
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
                let service =
                    service_fn(move |request| respond(request, Arc::clone(&answer), Arc::clone(&kept)));
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(socket), service));
            }
        });
        Self { address, seen }
    }

    /// A broker whose hub `chat` raises its events here.
    async fn server(&self, system_events: SystemEvents) -> Server {
        let handler = EventHandler {
            url: UrlTemplate::parse(&format!("http://{}/{{event}}", self.address)).unwrap(),
            user_events: UserEventPattern::Every,
            system_events,
            presence: GroupPresence::default(),
            auth: UpstreamAuth::None,
        };
        let settings = HubSettings { event_handlers: vec![Arc::new(handler)], ..HubSettings::default() };
        let hub = HubName::new("chat").unwrap();
        Server::with(|setup| {
            setup.config.settings.hubs.insert(hub, Arc::new(settings));
        })
        .await
    }

    /// Content type and body of the event that came last.
    fn last(&self) -> (String, Bytes) {
        let seen = self.seen.lock().unwrap();
        let (headers, body) = seen.last().unwrap();
        (headers["content-type"].to_str().unwrap().to_owned(), body.clone())
    }
}

async fn respond(
    request: Request<Incoming>,
    answer: Arc<impl Fn() -> Response<Full<Bytes>>>,
    seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    if head.method == Method::OPTIONS {
        let agreement = Response::builder().header("webhook-allowed-origin", "*");
        return Ok(agreement.body(Full::default()).unwrap());
    }
    let body = body.collect().await.unwrap().to_bytes();
    seen.lock().unwrap().push((head.headers, body));
    Ok(answer())
}

fn reply(content_type: &str, body: &[u8]) -> Response<Full<Bytes>> {
    let body = Full::new(Bytes::copy_from_slice(body));
    Response::builder().header("content-type", content_type).body(body).unwrap()
}

fn any() -> prost_types::Any {
    prost_types::Any { type_url: "t/x".into(), value: vec![8, 1] }
}

async fn raise(client: &mut Client, data: Data, ack_id: u64) {
    let mut message = event("e", data);
    message.ack_id = Some(ack_id);
    client.send_protobuf(Message::EventMessage(message)).await;
}

#[tokio::test]
async fn each_kind_of_data_has_its_content_type() {
    let handler = Handler::start(|| reply("text/plain", b"")).await;
    let server = handler.server(SystemEvents::default()).await;
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    let cases = [
        (text("hé"), "text/plain; charset=utf-8", "hé".into()),
        (Data::JsonData("[1 ]".into()), "application/json", "[1 ]".into()),
        (Data::BinaryData(vec![0, 255].into()), "application/octet-stream", vec![0, 255]),
        (Data::ProtobufData(any()), "application/x-protobuf", any().encode_to_vec()),
    ];
    for (ack_id, (data, content_type, body)) in (0..).zip(cases) {
        raise(&mut client, data, ack_id).await;
        assert_eq!(client.next_protobuf().await, success(ack_id), "{content_type}");
        assert_eq!(handler.last(), (content_type.to_owned(), Bytes::from(body)));
    }
}

#[tokio::test]
async fn an_answer_comes_before_its_ack_in_the_form_of_its_content_type() {
    let cases = [
        ("text/plain", b"hi".to_vec(), text("hi")),
        ("application/json", b"{\"a\": 1}".to_vec(), Data::JsonData("{\"a\": 1}".into())),
        ("application/octet-stream", vec![0, 255], Data::BinaryData(vec![0, 255].into())),
        ("application/x-protobuf", any().encode_to_vec(), Data::ProtobufData(any())),
    ];
    for (content_type, body, data) in cases {
        let handler = Handler::start(move || reply(content_type, &body)).await;
        let server = handler.server(SystemEvents::default()).await;
        let mut client = server.connect("chat", ClientSpec::protobuf()).await;
        raise(&mut client, text("x"), 1).await;
        let expected = DataMessage { from: "server".into(), data: Some(of(data)), ..DataMessage::default() };
        assert_eq!(client.next_data().await, expected, "{content_type}");
        assert_eq!(client.next_protobuf().await, success(1), "{content_type}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_any_fails_the_event() {
    let handler = Handler::start(|| reply("application/x-protobuf", b"hello")).await;
    let server = handler.server(SystemEvents::default()).await;
    let mut client = server.connect("chat", ClientSpec::protobuf()).await;
    raise(&mut client, text("x"), 1).await;
    let expected = failure(1, "InternalServerError", "Internal server error");
    assert_eq!(client.next_protobuf().await, expected);
}

#[tokio::test]
async fn the_application_sees_the_subprotocol_and_may_choose_it() {
    let answer = format!(r#"{{"userId":"bob","subprotocol":"{PROTOBUF}"}}"#);
    let handler = Handler::start(move || reply("application/json", answer.as_bytes())).await;
    let connect = SystemEvents { connect: true, ..SystemEvents::default() };
    let server = handler.server(connect).await;
    let offer = format!("json.webpubsub.azure.v1, {PROTOBUF}");
    let mut client = server.open("chat", ClientSpec::simple().offer(&offer)).await;
    assert_eq!(client.subprotocol(), Some(PROTOBUF));
    assert_eq!(client.next_connected().await.user_id, "bob");
    raise(&mut client, text("x"), 1).await;
    client.next_data().await;
    let seen = handler.seen.lock().unwrap();
    assert_eq!(seen.last().unwrap().0["ce-subprotocol"], PROTOBUF);
}
