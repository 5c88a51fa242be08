//! What a developer may watch of a running node: who connects and leaves, what is raised, how handlers answer.
//!
//! Rooms tell a [`Tap`] what happened; whoever listens, the playground alone, hears it. When nobody listens, telling
//! costs one relaxed load. Unlike metrics and the log a record holds ids, and the beginning of a payload, so it goes to
//! a development tool and nowhere else. A token never gets here: nothing in a [`Record`] has a place for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use url::Url;

/// Records that wait for the slowest listener; what is older is missed by it.
const RING: usize = 1024;
/// Most listeners at a time.
const MAX_LISTENERS: usize = 16;
/// Most characters of a text that others choose.
const EXCERPT: usize = 256;

/// Where rooms tell what happened. All clones tell the same listeners.
#[derive(Debug, Clone)]
pub struct Tap(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    records: Sender<Arc<Numbered>>,
    listeners: AtomicUsize,
    next: AtomicU64,
}

/// Hears every record from its beginning on, or that it has missed some.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    records: Receiver<Arc<Numbered>>,
}

/// What a listener hears.
#[derive(Debug, Clone)]
pub enum Heard {
    /// Something happened.
    Record(Arc<Numbered>),
    /// So many records came faster than they were taken, and are gone.
    Missed(u64),
}

/// A record with its place among the others.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbered {
    /// Counts up by one. Records of different threads may come slightly out of this order.
    pub number: u64,
    /// When it was told, in milliseconds since 1970.
    pub time: u64,
    /// What happened.
    #[serde(flatten)]
    pub record: Record,
}

/// Something that happened.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Record {
    /// A client has connected.
    Connected {
        /// Which connection.
        #[serde(flatten)]
        client: Client,
        /// Name of its subprotocol, if one was agreed.
        protocol: Option<&'static str>,
    },
    /// A connection has ended.
    Ended {
        /// Which connection.
        #[serde(flatten)]
        client: Client,
        /// Category of its end, from the closed set of the metrics.
        category: &'static str,
    },
    /// A client has raised a user event.
    EventRaised {
        /// Which connection.
        #[serde(flatten)]
        client: Client,
        /// Name of the event.
        event: Excerpt,
        /// Form of its payload, such as `text` or `binary`.
        data_type: &'static str,
        /// Length of its payload in bytes.
        bytes: usize,
        /// The payload's beginning, if it is text.
        payload: Option<Excerpt>,
    },
    /// A call of an event handler is finished.
    HandlerCalled {
        /// Which connection it was made for.
        #[serde(flatten)]
        client: Client,
        /// Name of the event.
        event: Excerpt,
        /// The handler that was called.
        url: SafeUrl,
        /// How it ended.
        #[serde(flatten)]
        outcome: Outcome,
        /// How often it was tried.
        attempts: u32,
        /// How long all of it took.
        #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
        took: Duration,
    },
}

/// The connection that a record is about.
#[derive(Debug, Clone, Serialize)]
pub struct Client {
    /// Its hub.
    pub hub: String,
    /// Its id.
    pub connection: String,
    /// Its user, if it has one.
    pub user: Option<Excerpt>,
}

/// How the call of a handler ended.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Outcome {
    /// The handler answered.
    Answered {
        /// Status of its answer.
        status: u16,
        /// Content type of its answer, if it has one.
        content_type: Option<Excerpt>,
        /// Length of its answer's body in bytes.
        bytes: usize,
    },
    /// There was no answer; the text says why, in plain words.
    Failed(Excerpt),
}

/// The first 256 characters of a text that others choose, so that a record is never large.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excerpt(String);

/// A URL without what may be secret in it: values of its query, user, password and fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SafeUrl(String);

impl Default for Tap {
    fn default() -> Self {
        let (records, _) = broadcast::channel(RING);
        Self(Arc::new(Shared { records, listeners: AtomicUsize::new(0), next: AtomicU64::new(1) }))
    }
}

impl Tap {
    /// Tells all listeners. `make` runs only if there is one, so what it allocates is not paid for otherwise. Never
    /// waits.
    pub fn record(&self, make: impl FnOnce() -> Record) {
        if self.0.listeners.load(Ordering::Relaxed) == 0 {
            return;
        }
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        // The last listener may have gone meanwhile.
        let _ = self.0.records.send(Arc::new(Numbered { number, time, record: make() }));
    }

    /// Hears what is recorded from now on; `None` when there are as many listeners as there may be.
    pub fn listen(&self) -> Option<Listener> {
        let one_more = |listeners| (listeners < MAX_LISTENERS).then_some(listeners + 1);
        self.0.listeners.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Listener { shared: Arc::clone(&self.0), records: self.0.records.subscribe() })
    }
}

impl Listener {
    /// The next record, or how many were missed before it. `None` when nobody can tell any more.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.records.recv().await {
            Ok(record) => Some(Heard::Record(record)),
            Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Excerpt {
    /// The beginning of a text, with a sign that there was more.
    pub fn of(text: &str) -> Self {
        match text.char_indices().nth(EXCERPT) {
            None => Self(text.to_owned()),
            Some((end, _)) => Self(format!("{}…", &text[..end])),
        }
    }
}

impl SafeUrl {
    /// What may be shown of a URL; nothing of a text that is none.
    pub fn of(text: &str) -> Self {
        let Ok(mut url) = Url::parse(text) else {
            return Self("(not a URL)".to_owned());
        };
        // Only a URL without a host refuses these, and it has none of them.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        url.set_fragment(None);
        let names: Vec<String> = url.query_pairs().map(|(name, _)| format!("{name}=…")).collect();
        url.set_query(None);
        let query = if names.is_empty() { String::new() } else { format!("?{}", names.join("&")) };
        Self(Excerpt::of(&format!("{url}{query}")).0)
    }
}

fn milliseconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // A tenth of a millisecond is as exact as anyone reads it.
    serializer.serialize_f64((took.as_secs_f64() * 10_000.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::{Value, json};

    use super::*;

    fn client() -> Client {
        Client { hub: "chat".into(), connection: "c1".into(), user: Some(Excerpt::of("ann")) }
    }

    fn ended() -> Record {
        Record::Ended { client: client(), category: "Normal" }
    }

    async fn heard(listener: &mut Listener) -> Value {
        match listener.next().await.unwrap() {
            Heard::Record(record) => serde_json::to_value(&*record).unwrap(),
            Heard::Missed(count) => json!({ "missed": count }),
        }
    }

    #[tokio::test]
    async fn nothing_is_made_while_nobody_listens() {
        let tap = Tap::default();
        let made = Cell::new(0);
        let record = || {
            made.set(made.get() + 1);
            ended()
        };
        tap.record(record);
        assert_eq!(made.get(), 0);
        let mut listener = tap.listen().unwrap();
        tap.clone().record(record);
        assert_eq!(made.get(), 1);
        assert_eq!(heard(&mut listener).await["number"], 1);
        drop(listener);
        tap.record(record);
        assert_eq!(made.get(), 1);
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_how_much_it_missed() {
        let tap = Tap::default();
        let mut listener = tap.listen().unwrap();
        for _ in 0..RING + 7 {
            tap.record(ended);
        }
        assert_eq!(heard(&mut listener).await, json!({ "missed": 7 }));
        assert_eq!(heard(&mut listener).await["number"], 8);
    }

    #[test]
    fn there_is_a_limit_of_listeners_and_places_come_free() {
        let tap = Tap::default();
        let mut listeners: Vec<_> = (0..MAX_LISTENERS).map(|_| tap.listen().unwrap()).collect();
        assert!(tap.listen().is_none());
        drop(listeners.pop());
        assert!(tap.listen().is_some());
    }

    #[test]
    fn records_are_flat_objects() {
        let check = |record: Record, expected: Value| {
            let numbered = Numbered { number: 3, time: 1_000, record };
            assert_eq!(serde_json::to_value(&numbered).unwrap(), expected);
        };
        check(
            Record::Connected { client: client(), protocol: None },
            json!({"number": 3, "time": 1000, "kind": "connected", "hub": "chat", "connection": "c1", "user": "ann",
                   "protocol": null}),
        );
        check(
            Record::EventRaised {
                client: Client { user: None, ..client() },
                event: Excerpt::of("message"),
                data_type: "text",
                bytes: 2,
                payload: Some(Excerpt::of("hi")),
            },
            json!({"number": 3, "time": 1000, "kind": "eventRaised", "hub": "chat", "connection": "c1", "user": null,
                   "event": "message", "dataType": "text", "bytes": 2, "payload": "hi"}),
        );
        let called = |outcome| Record::HandlerCalled {
            client: client(),
            event: Excerpt::of("connect"),
            url: SafeUrl::of("https://app.example.com/events?code=secret"),
            outcome,
            attempts: 2,
            took: Duration::from_micros(12_340),
        };
        let answered =
            Outcome::Answered { status: 200, content_type: Some(Excerpt::of("text/plain")), bytes: 5 };
        check(
            called(answered),
            json!({"number": 3, "time": 1000, "kind": "handlerCalled", "hub": "chat", "connection": "c1",
                   "user": "ann", "event": "connect", "url": "https://app.example.com/events?code=…",
                   "answered": {"status": 200, "contentType": "text/plain", "bytes": 5}, "attempts": 2,
                   "milliseconds": 12.3}),
        );
        let value = serde_json::to_value(called(Outcome::Failed(Excerpt::of("no answer")))).unwrap();
        assert_eq!(value["failed"], "no answer");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(Excerpt::of(&"ä".repeat(256)).0, "ä".repeat(256));
        assert_eq!(Excerpt::of(&"ä".repeat(257)).0, format!("{}…", "ä".repeat(256)));
    }

    #[test]
    fn a_url_shows_no_value_that_may_be_secret() {
        let check = |text, expected| assert_eq!(SafeUrl::of(text).0, expected);
        check("https://app.example.com/a/b", "https://app.example.com/a/b");
        check("https://ann:pw@app.example.com/?code=s3cret&x#y", "https://app.example.com/?code=…&x=…");
        check("code=s3cret", "(not a URL)");
    }
}
