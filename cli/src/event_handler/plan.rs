//! What is to be checked, and as whom: the command line and its files, understood. Every fault is found in one go.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use broker::auth::key::{AccessKey, Keys};
use broker::config::entry::{ACCESS_KEY, PUBLIC_DEVELOPMENT_KEY, Program};
use broker::config::{self, Config, Kept};
use broker::events::webhook::{WebhookConfig, tls};
use broker::settings::Settings;
use broker::settings::handler::{UpstreamAuth, UrlTemplate};
use clap::ArgMatches;
use clap::parser::ValueSource;
use codec::event::EventKind;
use codec::ids::{EventName, HubName};
use tokio_rustls::rustls;

use super::args::{COUNT, EVENT, HUB, NO_EVENT, ORIGIN, TIMEOUT, URL, entries};
use crate::args;
use crate::node::machine;

const NOTHING: &str = "there is nothing to check: give --url with the URL of an event handler, or --hubs with a file that has \
     eventHandlers";

/// Everything that the steps need.
pub(super) struct Plan {
    pub(super) targets: Vec<Target>,
    /// Host name of the node.
    pub(super) origin: String,
    /// Name of the test event; nothing when there must not be one.
    pub(super) event: Option<EventName>,
    /// How many test events.
    pub(super) count: u32,
    /// Longest time for a step.
    pub(super) timeout: Duration,
    pub(super) keys: Keys,
    /// Where the primary key comes from, in words.
    pub(super) key_source: &'static str,
    pub(super) webhooks: WebhookConfig,
    pub(super) tls: Arc<rustls::ClientConfig>,
}

/// An event handler, or a hub that has none.
pub(super) struct Target {
    pub(super) hub: HubName,
    /// Its place among the handlers of the hub, counted from 1.
    pub(super) number: usize,
    pub(super) handler: Option<Handler>,
}

/// What is known of an event handler.
pub(super) struct Handler {
    pub(super) url: UrlTemplate,
    pub(super) auth: UpstreamAuth,
    pub(super) delivery: Delivery,
}

/// Whether the settings would bring the test event to a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// There are no settings, or they do.
    Wanted,
    /// Another handler, which stands before it, takes the event.
    TakenBefore,
    /// The handler does not take this event.
    NotWanted,
}

/// Reads the command line, and the files that it names.
///
/// # Errors
/// All faults, each fit to be printed.
pub(super) fn read(matches: &ArgMatches) -> Result<Plan, Vec<String>> {
    let mut faults = Vec::new();
    let config = config(matches).map_err(|found| faults.extend(found)).ok();
    let url = keep(&mut faults, URL, text(matches, URL).map(UrlTemplate::parse).transpose());
    let hub = keep(&mut faults, HUB, text(matches, HUB).map(HubName::new).transpose());
    let event = keep(&mut faults, EVENT, EventName::new(text(matches, EVENT).unwrap_or_default()));
    let origin = text(matches, ORIGIN).unwrap_or_default();
    if origin.is_empty()
        || !origin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-[]:_".contains(&byte))
    {
        faults.push(format!("--{ORIGIN}: write a host name such as rt.example.com"));
    }

    let (Some(Config { settings, webhooks, .. }), Some(url), Some(hub), Some(event)) =
        (config, url, hub, event)
    else {
        return Err(faults);
    };
    let tls =
        tls::client(&webhooks.authorities).map_err(|error| vec![format!("TLS cannot be set up: {error}")])?;
    let targets = match url {
        Some(url) => of_url(url, hub).map_err(|fault| faults.push(fault)).unwrap_or_default(),
        None => of_settings(&settings, hub.as_ref(), &event),
    };
    if targets.is_empty() && faults.is_empty() {
        faults.push(NOTHING.to_owned());
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Plan {
        targets,
        origin: origin.to_owned(),
        event: Some(event).filter(|_| !matches.get_flag(NO_EVENT)),
        count: matches.get_one(COUNT).copied().unwrap_or(1),
        timeout: Duration::from_secs(matches.get_one(TIMEOUT).copied().unwrap_or(1)),
        key_source: key_source(matches, &settings.keys.primary),
        keys: settings.keys,
        webhooks,
        tls: Arc::new(tls),
    })
}

/// Keys, hubs and how event handlers are called, understood as the node understands them.
fn config(matches: &ArgMatches) -> Result<Config, Vec<String>> {
    let mut machine = machine();
    // Nothing is kept, so that a home is not needed.
    machine.data_dir = machine.data_dir.or_else(|| Some(PathBuf::from("/")));
    let raw = args::raw(matches, Program::Check, &entries(), &machine);
    let checked = config::check(&raw)
        .map_err(|faults| faults.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
    let kept = Kept { internal_key: AccessKey::generate(rand::random()), identity: None };
    Ok(checked.into_config(kept))
}

fn of_url(url: UrlTemplate, hub: Option<HubName>) -> Result<Vec<Target>, String> {
    let hub = match hub {
        Some(hub) => hub,
        None => HubName::new("chat").map_err(|error| error.to_string())?,
    };
    let handler = Handler { url, auth: UpstreamAuth::None, delivery: Delivery::Wanted };
    Ok(vec![Target { hub, number: 1, handler: Some(handler) }])
}

fn of_settings(settings: &Settings, hub: Option<&HubName>, event: &EventName) -> Vec<Target> {
    // Hubs may do without event handlers, but one that is named here is meant to have some.
    let with_handlers = || settings.hubs.iter().filter(|(_, settings)| !settings.event_handlers.is_empty());
    let hubs: Vec<HubName> = match hub {
        Some(hub) => vec![hub.clone()],
        None => with_handlers().map(|(hub, _)| hub.clone()).collect(),
    };
    hubs.into_iter().flat_map(|hub| of_hub(settings, &hub, event)).collect()
}

fn of_hub(settings: &Settings, hub: &HubName, event: &EventName) -> Vec<Target> {
    let handlers = &settings.hub(hub).event_handlers;
    if handlers.is_empty() {
        return vec![Target { hub: hub.clone(), number: 1, handler: None }];
    }
    let kind = EventKind::User(event);
    let first = handlers.iter().position(|handler| handler.takes(kind));
    let targets = handlers.iter().enumerate().map(|(index, handler)| {
        let delivery = match first {
            _ if !handler.takes(kind) => Delivery::NotWanted,
            Some(first) if first < index => Delivery::TakenBefore,
            _ => Delivery::Wanted,
        };
        let handler = Handler { url: handler.url.clone(), auth: handler.auth.clone(), delivery };
        Target { hub: hub.clone(), number: index + 1, handler: Some(handler) }
    });
    targets.collect()
}

/// Nothing of the key is said, only where it was.
fn key_source(matches: &ArgMatches, primary: &AccessKey) -> &'static str {
    match matches.value_source(ACCESS_KEY.flag) {
        Some(ValueSource::CommandLine) => "the key of --access-key",
        _ if primary.expose() == PUBLIC_DEVELOPMENT_KEY => "the public development key",
        Some(ValueSource::EnvVariable) => "the key of HUBBUB_ACCESS_KEY",
        _ => "the key of the configuration file",
    }
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

fn keep<T, E: ToString>(faults: &mut Vec<String>, name: &str, result: Result<T, E>) -> Option<T> {
    result.map_err(|error| faults.push(format!("--{name}: {}", error.to_string()))).ok()
}
