//! What the events of one connection have in common: their numbers, and what the application's answers attached to the
//! connection. The connection owns it, from the first event to the last.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use codec::cloud_event;
use codec::event::{Event, Source, What};
use http::HeaderValue;
use http::header::SET_COOKIE;
use url::Url;

use super::Delivery;
use super::cookies::Jar;
use super::webhook::Answer;
use crate::model::portable::Letters;

/// See the module. Small as long as the application attaches nothing.
#[derive(Debug)]
pub struct Correspondence {
    /// Host by which the client knows us, for the application to tell its services apart.
    origin: Arc<str>,
    subprotocol: Option<Cow<'static, str>>,
    last_id: u64,
    attached: Option<Box<Attached>>,
}

/// What answers of the application attached.
#[derive(Debug, Default)]
struct Attached {
    state: Option<Box<str>>,
    jar: Jar,
}

impl Correspondence {
    /// That of a connection whose client reached us as `origin`, a host without a port. The number 0 is `connect`'s.
    pub fn new(origin: Arc<str>) -> Self {
        Self { origin, subprotocol: None, last_id: 0, attached: None }
    }

    /// Notes what has been agreed on; events name it from now on.
    pub fn agreed(&mut self, subprotocol: Option<Cow<'static, str>>) {
        self.subprotocol = subprotocol;
    }

    /// The event that opens the correspondence.
    pub fn first(&self, source: Source, what: What) -> Event {
        self.event(source, what, 0)
    }

    /// The next event. It takes a number, whether or not anybody is told of it.
    pub fn next(&mut self, source: Source, what: What) -> Event {
        self.skip();
        self.event(source, what, self.last_id)
    }

    /// Takes a number for an event that nobody is told of.
    pub fn skip(&mut self) {
        self.last_id += 1;
    }

    /// All that goes with the connection to another node.
    pub fn export(&self) -> Letters {
        let attached = self.attached.as_deref();
        Letters {
            origin: self.origin.to_string(),
            subprotocol: self.subprotocol.as_deref().map(str::to_owned),
            last_id: self.last_id,
            state: attached.and_then(|attached| attached.state.as_deref()).map(str::to_owned),
            cookies: attached.map(|attached| attached.jar.export()).unwrap_or_default(),
        }
    }

    /// Goes on with that of another node.
    pub fn import(letters: Letters) -> Self {
        let Letters { origin, subprotocol, last_id, state, cookies } = letters;
        let attached = (state.is_some() || !cookies.is_empty()).then(|| {
            let mut attached = Attached { state: state.map(Into::into), jar: Jar::default() };
            cookies.iter().for_each(|cookie| attached.jar.import(cookie));
            Box::new(attached)
        });
        Self { origin: origin.into(), subprotocol: subprotocol.map(Cow::Owned), last_id, attached }
    }

    pub(super) fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    pub(super) fn cookie(&self, url: &Url) -> Option<HeaderValue> {
        self.attached.as_ref()?.jar.header(url)
    }

    /// Keeps what a successful answer attaches: cookies always, the state if the event was one that blocks.
    pub fn learn(&mut self, delivery: &Delivery, answer: &Answer, attaching: Attaching) {
        let mut cookies = answer.headers.get_all(SET_COOKIE).iter().map(HeaderValue::as_bytes).peekable();
        if let Some(url) = delivery.url()
            && cookies.peek().is_some()
        {
            self.attached.get_or_insert_default().jar.store(url, cookies);
        }
        if attaching == Attaching::Cookies {
            return;
        }
        if let Some(state) = cloud_event::connection_state(super::lines(&answer.headers)) {
            self.attached.get_or_insert_default().state = Some(state.into());
        }
    }

    fn event(&self, source: Source, what: What, id: u64) -> Event {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        let source = Source {
            subprotocol: self.subprotocol.as_deref().map(Box::from),
            connection_state: self.attached.as_ref().and_then(|attached| attached.state.clone()),
            ..source
        };
        Event { source, id, time, what }
    }
}

/// What an answer may attach to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attaching {
    /// Cookies alone.
    Cookies,
    /// Cookies, and the connection's state.
    CookiesAndState,
}
