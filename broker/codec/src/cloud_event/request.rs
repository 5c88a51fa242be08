//! What an event is sent as: headers and a body. Source: `event-handlers.md` 2, 6, 7 and 9.1.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use super::{InvalidEvent, METADATA_PREFIX, content_type};
use crate::event::{ConnectRequest, Event, EventKind, What};
use crate::metadata::Metadata;

/// Most headers of an event without metadata.
const HEADERS: usize = 13;

/// A header: its name in lower case, and the bytes of its value.
type Header = (Cow<'static, str>, Vec<u8>);

/// The headers that tell of an event: `ce-…`, its metadata and the type of its body. Names are in lower case, which
/// HTTP takes for the same. The value of `ce-userid` is UTF-8, all others are ASCII.
///
/// # Errors
/// [`InvalidEvent`] when a value cannot stand in a header. The event has failed then, and need not be tried again.
pub fn headers(event: &Event) -> Result<Vec<Header>, InvalidEvent> {
    let Event { source, id, time, what } = event;
    let kind = what.kind();
    let (hub, connection_id) = (source.hub.as_str(), source.connection_id.as_str());
    let mut writer = Writer(Vec::with_capacity(HEADERS));
    writer.ascii("ce-specversion", "1.0")?;
    writer.ascii("ce-awpsversion", "1.0")?;
    writer.ascii("ce-type", format!("azure.webpubsub.{}.{}", class(kind), kind.name()))?;
    writer.ascii("ce-source", format!("/hubs/{hub}/client/{connection_id}"))?;
    writer.ascii("ce-id", id.to_string())?;
    writer.ascii("ce-time", timestamp(*time)?)?;
    writer.ascii("ce-connectionid", connection_id)?;
    writer.ascii("ce-hub", hub)?;
    writer.ascii("ce-eventname", kind.name())?;
    if let Some(user_id) = &source.user_id {
        writer.utf8("ce-userid", user_id.as_str())?;
    }
    if let Some(subprotocol) = &source.subprotocol {
        writer.ascii("ce-subprotocol", &**subprotocol)?;
    }
    if let Some(state) = &source.connection_state {
        writer.ascii("ce-connectionstate", &**state)?;
    }
    match what {
        What::User { content, .. } => {
            writer.ascii("content-type", content_type::of(content.payload.data_type()))?;
            content.metadata.iter().try_for_each(|metadata| writer.metadata(metadata))?;
        }
        What::Connect(_) | What::Connected | What::Disconnected { .. } | What::Joined(_) | What::Left(_) => {
            writer.ascii("content-type", "application/json")?;
        }
    }
    Ok(writer.0)
}

/// The body of an event. That of a user event shares the bytes of its payload.
pub fn body(what: &What) -> Bytes {
    match what {
        What::Connect(request) => json(&ConnectBody::of(request)),
        What::Connected => Bytes::from_static(b"{}"),
        What::Disconnected { reason } => json(&Disconnected { reason }),
        What::User { content, .. } => content.payload.bytes().clone(),
        What::Joined(group) | What::Left(group) => json(&Presence { group: group.as_str() }),
    }
}

struct Writer(Vec<Header>);

impl Writer {
    fn ascii(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Result<(), InvalidEvent> {
        let (name, value) = (name.into(), value.into());
        if !value.is_ascii() {
            return Err(InvalidEvent::Header { header: name.into_owned() });
        }
        self.utf8(name, value)
    }

    fn utf8(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
    ) -> Result<(), InvalidEvent> {
        let (name, value) = (name.into(), value.into());
        if value.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()) {
            return Err(InvalidEvent::Header { header: name.into_owned() });
        }
        self.0.push((name, value.into_bytes()));
        Ok(())
    }

    /// Of keys that differ only in case the last one counts, since header names ignore case.
    fn metadata(&mut self, metadata: &Metadata) -> Result<(), InvalidEvent> {
        let mut entries: Vec<(String, &str)> =
            metadata.iter().map(|(key, value)| (key.to_ascii_lowercase(), value)).collect();
        // The sort is stable: of equal keys the last one stays last. A search for each key would be slow for
        // thousands.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (position, (key, value)) in entries.iter().enumerate() {
            let is_last = entries.get(position + 1).is_none_or(|(next, _)| next != key);
            if is_last {
                self.ascii(format!("{METADATA_PREFIX}{key}"), *value)?;
            }
        }
        Ok(())
    }
}

/// The part of an event's type that says who may name such events.
fn class(kind: EventKind<'_>) -> &'static str {
    match kind {
        EventKind::Connect | EventKind::Connected | EventKind::Disconnected => "sys",
        EventKind::User(_) => "user",
        EventKind::Joined(_) | EventKind::Left(_) => "gp",
    }
}

/// A time of the UTC, such as `2026-01-02T03:04:05Z`.
fn timestamp(seconds: u64) -> Result<String, InvalidEvent> {
    let seconds = i64::try_from(seconds).map_err(|_| InvalidEvent::Time)?;
    let time = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| InvalidEvent::Time)?;
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    Ok(format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month)))
}

#[derive(Serialize)]
struct ConnectBody<'a> {
    #[serde(serialize_with = "as_object")]
    claims: &'a [(String, Vec<String>)],
    #[serde(serialize_with = "as_object")]
    query: &'a [(String, Vec<String>)],
    #[serde(serialize_with = "as_object")]
    headers: &'a [(String, Vec<String>)],
    subprotocols: &'a [String],
    /// Applications read it, but clients are not asked for certificates.
    #[serde(rename = "clientCertificates")]
    client_certificates: [(); 0],
}

impl<'a> ConnectBody<'a> {
    fn of(request: &'a ConnectRequest) -> Self {
        let ConnectRequest { claims, query, headers, subprotocols } = request;
        Self { claims, query, headers, subprotocols, client_certificates: [] }
    }
}

#[derive(Serialize)]
struct Disconnected<'a> {
    reason: &'a str,
}

#[derive(Serialize)]
struct Presence<'a> {
    group: &'a str,
}

fn as_object<S: Serializer>(list: &[(String, Vec<String>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(list.iter().map(|(name, values)| (name, values)))
}

fn json(value: &impl Serialize) -> Bytes {
    // Text, lists and maps with text for keys always have a JSON form.
    serde_json::to_vec(value).unwrap_or_default().into()
}
