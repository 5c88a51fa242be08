//! The test event: a user event of a connection that no client has, and what the application answers to it.

use std::time::{SystemTime, UNIX_EPOCH};

use broker::auth::key::Keys;
use broker::events::signature::signature;
use broker::settings::handler::UpstreamAuth;
use bytes::Bytes;
use codec::cloud_event;
use codec::event::{Event, Source, What};
use codec::ids::{ConnectionId, EventName, HubName};
use codec::message::{Content, DataType, Payload};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use url::Url;

use super::exchange::{Answer, request};
use super::report::{Done, Failure};

/// What the test events say.
const TEXT: &str = "This is a test by hubbub event-handler check.";
/// What their connection ids begin with.
const CONNECTION: &str = "hubbub-check-";
/// Most characters of a reply that are shown.
const SHOWN: usize = 60;

/// Makes test events, one after the other, of the same connection.
pub(super) struct Tester<'a> {
    pub(super) hub: &'a HubName,
    pub(super) name: &'a EventName,
    pub(super) origin: &'a HeaderValue,
    pub(super) keys: &'a Keys,
    pub(super) auth: &'a UpstreamAuth,
    pub(super) connection: ConnectionId,
}

/// The id of a connection that no client has. `None` cannot happen.
pub(super) fn connection() -> Option<ConnectionId> {
    ConnectionId::parse(&format!("{CONNECTION}{:016x}", rand::random::<u64>())).ok()
}

impl Tester<'_> {
    /// The event with this number, as a request.
    pub(super) fn request(&self, url: &Url, number: u32) -> Result<Request<Full<Bytes>>, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let event = Event {
            source: Source {
                hub: self.hub.clone(),
                connection_id: self.connection.clone(),
                user_id: None,
                subprotocol: None,
                connection_state: None,
            },
            id: number.into(),
            time: now.as_secs(),
            what: What::User {
                event: self.name.clone(),
                content: Content { payload: Payload::text(TEXT), metadata: None },
            },
        };
        let headers = self.headers(&event)?;
        request(Method::POST, url, headers, cloud_event::body(&event.what))
    }

    fn headers(&self, event: &Event) -> Result<HeaderMap, Failure> {
        let wrong = |detail: String| Failure { detail, advice: None };
        let mut headers = HeaderMap::new();
        for (name, value) in cloud_event::headers(event).map_err(|error| wrong(error.to_string()))? {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(error.to_string()))?;
            let value = HeaderValue::from_bytes(&value).map_err(|error| wrong(error.to_string()))?;
            headers.insert(name, value);
        }
        let signature = signature(self.keys, &self.connection)
            .ok_or_else(|| wrong("the event has no signature".into()))?;
        headers.insert("ce-signature", signature);
        headers.insert("webhook-request-origin", self.origin.clone());
        let id = HeaderValue::from_str(&uuid()).map_err(|error| wrong(error.to_string()))?;
        headers.insert("x-ms-client-request-id", id);
        if let UpstreamAuth::Header { name, value } = self.auth {
            headers.insert(name.clone(), value.clone());
        }
        Ok(headers)
    }
}

/// What a client would be told, in words.
pub(super) fn reply(answer: &Answer) -> Result<Done<()>, Failure> {
    let lines = || answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let state = match cloud_event::connection_state(lines()) {
        Some(state) => format!("; it sets a connection state of {} byte(s)", state.len()),
        None => String::new(),
    };
    let told = match cloud_event::read_reply(lines(), answer.body.clone()) {
        Ok(Some(content)) => describe(&content),
        Ok(None) => "no reply, so the client is told nothing".to_owned(),
        Err(error) => {
            let kind = answer.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let kind = kind.map_or(String::new(), |kind| format!(" (it is {kind:?})"));
            return Err(Failure::new(
                format!("{error}{kind}"),
                "A client's event would fail. An empty body with 200 or 204 means that there is nothing to tell.",
            ));
        }
    };
    Ok(Done { value: (), detail: format!("{told}{state}") })
}

fn describe(content: &Content) -> String {
    let bytes = content.payload.bytes();
    let text = String::from_utf8_lossy(bytes);
    let (kind, is_text) = match content.payload.data_type() {
        DataType::Text => ("text", true),
        DataType::Json => ("JSON", true),
        DataType::Binary => ("binary, as the content type or its absence says", false),
        DataType::Protobuf => ("protobuf", false),
    };
    let entries = content.metadata.as_ref().map_or(0, |metadata| metadata.iter().count());
    let metadata = if entries == 0 { String::new() } else { format!(", with {entries} of metadata") };
    let shown: String = text.chars().take(SHOWN).collect();
    let more = if shown.len() < text.len() { " …" } else { "" };
    let shown = if is_text { format!(": {shown:?}{more}") } else { String::new() };
    format!("{} byte(s) of {kind}{metadata}{shown}", bytes.len())
}

/// A random UUID of version 4.
fn uuid() -> String {
    let bits = rand::random::<u128>() & !(0xf << 76) | 4 << 76;
    let bits = bits & !(0b11 << 62) | 0b10 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
