//! Calls to real servers on this machine. Client and server share a runtime whose clock stands still and jumps when
//! both wait, so that retries and time-outs take no time.

mod auth;
mod health;
mod limits;
mod protocol;
mod reach;
mod server;
mod validation;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use codec::ids::HubName;
use http::HeaderValue;

use super::*;
use crate::settings::handler::{EventHandler, GroupPresence, SystemEvents, UrlTemplate, UserEventPattern};

use server::Server;

fn config() -> WebhookConfig {
    WebhookConfig {
        timeout: Duration::from_secs(100),
        limits: HandlerLimits {
            calls: 1000,
            waiting_calls: 10_000,
            waiting_bytes: 16 * 1024 * 1024,
            answer_room: 64 * 1024 * 1024,
        },
        answer_bytes: 1000,
        addresses: AddressRules::default(),
        authorities: Authorities::default(),
        proxy: ProxyConfig::Direct,
        h2c: Vec::new(),
        tokens: None,
    }
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(["chat"]))
}

fn client(config: WebhookConfig) -> WebhookClient {
    Webhooks::new(config, metrics()).unwrap().client().unwrap()
}

/// Knows these names and no others.
fn client_that_knows(config: WebhookConfig, names: &[(&str, &[&str])]) -> WebhookClient {
    let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let known: HashMap<String, Vec<IpAddr>> =
        names.iter().map(|(name, texts)| ((*name).to_owned(), addresses(texts))).collect();
    let lookup: Lookup = Arc::new(move |name| {
        let found = known.get(&name).cloned().ok_or_else(|| io::Error::other("no such name"));
        Box::pin(std::future::ready(found))
    });
    Webhooks::with_lookup(config, metrics(), lookup).unwrap().client().unwrap()
}

fn hub(name: &str) -> HubName {
    HubName::new(name).unwrap()
}

fn handler(template: &str, auth: UpstreamAuth) -> Arc<EventHandler> {
    Arc::new(EventHandler {
        url: UrlTemplate::parse(template).unwrap(),
        user_events: UserEventPattern::Every,
        system_events: SystemEvents::default(),
        presence: GroupPresence::default(),
        auth,
    })
}

/// An event of hub `chat` for the handler at this URL.
fn call_to(template: &str) -> Call {
    call_for("chat", "rt.example.com", &handler(template, UpstreamAuth::None))
}

fn call_for(name: &str, origin: &str, handler: &Arc<EventHandler>) -> Call {
    Call {
        route: Arc::new(Route::new(&hub(name), handler, "room.new", origin).unwrap()),
        headers: HeaderMap::from_iter([(HeaderName::from_static("ce-id"), HeaderValue::from_static("17"))]),
        body: Bytes::from_static(b"hello"),
        attempts: Cell::new(0),
    }
}

fn call(server: &Server) -> Call {
    call_to(&server.url("/api/{hub}/{event}?code=k3y"))
}

fn status(code: u16) -> CallError {
    CallError::Status(StatusCode::from_u16(code).unwrap())
}
