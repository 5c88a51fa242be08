//! The options for calls to event handlers, as `check` understands the others.
//!
//! The file with certificate authorities is read here, so that its faults are told with all else.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use codec::ids::HubName;

use super::check::{Checker, path};
use super::entry::{self, Entry};
use super::parse::{self, Parsed};
use crate::events::webhook::{
    AddressRules, Authorities, Credentials, HandlerLimits, ProxyConfig, Secret, TokenConfig, WebhookConfig,
};
use crate::settings::HubSettings;

/// Most calls to a handler that wait.
const WAITING_CALLS: usize = 10_000;
/// Most bytes of calls to a handler that wait.
const WAITING_BYTES: usize = 16 * 1024 * 1024;
/// Most bytes of all long answers of a handler together.
const ANSWER_ROOM: usize = 64 * 1024 * 1024;
/// Longest answer of a handler.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);
const CALLS: RangeInclusive<usize> = 1..=100_000;
const CREDENTIALS: [(&str, Credentials); 2] = [("basic", Credentials::Basic), ("body", Credentials::Body)];

impl Checker<'_> {
    pub(super) fn webhooks(&mut self) -> Option<WebhookConfig> {
        let timeout = self.one(&entry::HANDLER_TIMEOUT, |text| parse::duration(text, TIMEOUT));
        let calls = self.one(&entry::HANDLER_CONCURRENCY, |text| parse::count(text, CALLS));
        let authorities = self.maybe(&entry::HANDLER_CA_FILE, authorities);
        let proxy = self.proxy();
        let refuse_private = self.one(&entry::REFUSE_PRIVATE_HANDLERS, parse::switch);
        let allowed = self.many(&entry::ALLOW_HANDLER_NETWORK, parse::network);
        let h2c = self.many(&entry::HANDLER_H2C, plain_origin);
        let tokens = self.tokens();
        Some(WebhookConfig {
            timeout: timeout?,
            limits: HandlerLimits {
                calls: calls?,
                waiting_calls: WAITING_CALLS,
                waiting_bytes: WAITING_BYTES,
                answer_room: ANSWER_ROOM,
            },
            answer_bytes: ANSWER_BYTES,
            addresses: AddressRules { refuse_private: refuse_private?, allowed: allowed? },
            authorities: authorities?.unwrap_or_default(),
            proxy: proxy?,
            h2c: h2c?,
            tokens: tokens?,
        })
    }

    /// Looks for handlers that could never be called.
    pub(super) fn handlers(
        &mut self,
        webhooks: Option<&WebhookConfig>,
        hubs: Option<&BTreeMap<HubName, Arc<HubSettings>>>,
    ) {
        let Some((webhooks, hubs)) = webhooks.zip(hubs) else {
            return;
        };
        for (hub, settings) in hubs {
            for (number, handler) in settings.event_handlers.iter().enumerate() {
                if !webhooks.permits(hub, handler) {
                    let reason = format!(
                        "the address of event handler {} of hub \"{hub}\" must not be called; use another, or allow \
                         its network with --{}",
                        number + 1,
                        entry::ALLOW_HANDLER_NETWORK.flag
                    );
                    self.refuse::<()>(&entry::HUBS, reason);
                }
            }
        }
    }

    fn proxy(&mut self) -> Option<ProxyConfig> {
        let url = self.maybe(&entry::HANDLER_PROXY, |text| match text {
            "off" | "false" => Ok(None),
            _ => parse::service_url(text).map(Some),
        });
        let except = self.many(&entry::HANDLER_NO_PROXY, parse::text);
        match (url?, except?) {
            (Some(Some(url)), except) => Some(ProxyConfig::Via { url, except }),
            (Some(None), _) => Some(ProxyConfig::Direct),
            (None, except) if except.is_empty() => Some(ProxyConfig::Environment),
            (None, _) => {
                let reason = "it needs --handler-proxy; beside HTTPS_PROXY and HTTP_PROXY use NO_PROXY";
                self.refuse(&entry::HANDLER_NO_PROXY, reason.to_owned())
            }
        }
    }

    fn tokens(&mut self) -> Option<Option<TokenConfig>> {
        let url = self.maybe(&entry::HANDLER_TOKEN_URL, parse::service_url);
        let client_id = self.maybe(&entry::HANDLER_CLIENT_ID, parse::text);
        let client_secret = self.maybe(&entry::HANDLER_CLIENT_SECRET, parse::text);
        let credentials = self.one(&entry::HANDLER_CLIENT_AUTH, |text| parse::word(text, &CREDENTIALS));
        let scope = self.one(&entry::HANDLER_TOKEN_SCOPE, parse::text);
        let default_resource = self.maybe(&entry::HANDLER_DEFAULT_RESOURCE, parse::text);
        let client: [&'static Entry; 2] = [&entry::HANDLER_CLIENT_ID, &entry::HANDLER_CLIENT_SECRET];
        if !self.has(&entry::HANDLER_TOKEN_URL) {
            for entry in client.into_iter().chain([&entry::HANDLER_DEFAULT_RESOURCE]) {
                self.needed_by(entry, &entry::HANDLER_TOKEN_URL);
            }
            return Some(None);
        }
        for needed in client {
            self.needed_by(&entry::HANDLER_TOKEN_URL, needed);
        }
        Some(Some(TokenConfig {
            url: url??,
            client_id: client_id??,
            client_secret: Secret::new(client_secret??),
            credentials: credentials?,
            scope: scope?,
            default_resource: default_resource?,
        }))
    }

    /// Refuses `entry` if it stands there without `needed`.
    pub(super) fn needed_by(&mut self, entry: &'static Entry, needed: &'static Entry) {
        if self.has(entry) && !self.has(needed) {
            self.refuse::<()>(entry, format!("it needs --{} beside it", needed.flag));
        }
    }
}

fn authorities(text: &str) -> Parsed<Authorities> {
    let file = path(text)?;
    let pem = fs::read(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Authorities::from_pem(&pem).map_err(|invalid| format!("cannot use {}: {invalid}", file.display()))
}

/// The origin of a handler without TLS, without a default port.
fn plain_origin(text: &str) -> Parsed<String> {
    let origin = parse::web_origin(text).ok().filter(|origin| origin.starts_with("http://"));
    origin.ok_or_else(|| {
        format!("\"{text}\" is not an origin without TLS; write it such as http://127.0.0.1:7070")
    })
}
