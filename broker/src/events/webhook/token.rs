//! Tokens that show handlers who the broker is: OAuth 2.0 client credentials (RFC 6749, 4.4), fetched once for all
//! workers and kept for as long as they last.
//!
//! Source: `event-handlers.md` 15. The counterpart of the service's managed identity.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::{Serializer, byte_serialize};
use http::{HeaderMap, HeaderValue, Method, header};
use lru::LruCache;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::CallError;
use super::config::{Credentials, TokenConfig};
use super::handlers::locked;
use super::transport::{Outgoing, Transport};

/// Resources whose tokens are kept. There are as many as settings name.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);
/// A token is replaced this long before its end, or at half of a short life.
const BEFORE_END: Duration = Duration::from_secs(300);
/// Life of a token whose provider does not say.
const UNKNOWN_LIFE: Duration = Duration::from_secs(600);
/// Longest time for a token.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a failure is everybody's.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// Longest answer of a provider.
const ANSWER: usize = 256 * 1024;
/// What stands for the resource in a scope.
const RESOURCE: &str = "{resource}";

/// See the module.
pub(super) struct Tokens {
    config: Option<TokenConfig>,
    known: Mutex<LruCache<String, Slot>>,
}

/// Held by the one who fetches; the others wait for it.
type Slot = Arc<tokio::sync::Mutex<Kept>>;

#[derive(Default)]
struct Kept {
    token: Option<Token>,
    failed: Option<(Instant, CallError)>,
}

struct Token {
    authorization: HeaderValue,
    renew: Instant,
    end: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<Seconds>,
}

/// Some providers write the number as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

impl Tokens {
    pub(super) fn new(config: Option<TokenConfig>) -> Self {
        Self { config, known: Mutex::new(LruCache::new(REMEMBERED)) }
    }

    /// What stands in `Authorization` for a handler of this resource.
    pub(super) async fn get(
        &self,
        resource: Option<&str>,
        transport: &Transport,
    ) -> Result<HeaderValue, CallError> {
        let config = self.config.as_ref().ok_or_else(|| no_token("no identity provider is configured"))?;
        let resource = resource
            .or(config.default_resource.as_deref())
            .ok_or_else(|| no_token("the handler names no resource, and there is no default"))?;
        let asked = Instant::now();
        let slot = Arc::clone(locked(&self.known).get_or_insert(resource.to_owned(), Slot::default));
        let mut kept = slot.lock().await;
        if let Some(answer) = kept.answer(asked) {
            return answer;
        }
        let fetched = timeout(PATIENCE, fetch(config, resource, transport)).await;
        match fetched.unwrap_or_else(|_| Err(no_token("the identity provider did not answer in time"))) {
            Ok(token) => {
                let authorization = token.authorization.clone();
                *kept = Kept { token: Some(token), failed: None };
                Ok(authorization)
            }
            Err(error) => {
                tracing::debug!(%error);
                kept.failed = Some((Instant::now(), error.clone()));
                kept.usable().ok_or(error)
            }
        }
    }
}

impl Kept {
    /// What is known without asking for a token.
    fn answer(&self, asked: Instant) -> Option<Result<HeaderValue, CallError>> {
        let now = Instant::now();
        if let Some(token) = self.token.as_ref().filter(|token| now < token.renew) {
            return Some(Ok(token.authorization.clone()));
        }
        let (at, error) = self.failed.as_ref()?;
        let shared = asked <= *at || now < *at + AFTER_FAILURE;
        shared.then(|| self.usable().ok_or_else(|| error.clone()))
    }

    /// A token that is due to be replaced and has not ended.
    fn usable(&self) -> Option<HeaderValue> {
        let token = self.token.as_ref().filter(|token| Instant::now() < token.end)?;
        Some(token.authorization.clone())
    }
}

fn no_token(why: &str) -> CallError {
    CallError::NoToken(why.into())
}

async fn fetch(config: &TokenConfig, resource: &str, transport: &Transport) -> Result<Token, CallError> {
    let reply = transport.send(&request(config, resource)?).await.map_err(|error| match error {
        CallError::Unreachable(why) => no_token(&format!("the identity provider cannot be reached: {why}")),
        CallError::AddressRefused => no_token("the identity provider's address must not be called"),
        _ => no_token("the identity provider's answer cannot be used"),
    })?;
    if !reply.status.is_success() {
        return Err(no_token(&format!("the identity provider answered {}", reply.status)));
    }
    let granted: Granted = serde_json::from_slice(&reply.body)
        .map_err(|_| no_token("the identity provider's answer has no access_token"))?;
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", granted.access_token))
        .map_err(|_| no_token("the identity provider's token cannot be a header"))?;
    authorization.set_sensitive(true);
    let life = granted.expires_in.and_then(Seconds::read).unwrap_or(UNKNOWN_LIFE);
    let now = Instant::now();
    Ok(Token { authorization, renew: now + used_for(life), end: now + life })
}

/// How long a token of this life is used.
fn used_for(life: Duration) -> Duration {
    life.saturating_sub(BEFORE_END).max((life / 2).min(BEFORE_END))
}

impl Seconds {
    fn read(self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(seconds) => seconds,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        // A year is for ever, and what is longer must not overflow the clock.
        (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(31_536_000.0)))
    }
}

fn request(config: &TokenConfig, resource: &str) -> Result<Outgoing, CallError> {
    let scope = config.scope.replace(RESOURCE, resource.strip_suffix('/').unwrap_or(resource));
    let (id, secret) = (&config.client_id, config.client_secret.expose());
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials").append_pair("scope", &scope);
    let mut headers = HeaderMap::new();
    match config.credentials {
        Credentials::Body => {
            form.append_pair("client_id", id).append_pair("client_secret", secret);
        }
        Credentials::Basic => {
            let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            headers.insert(header::AUTHORIZATION, basic(&escaped(id), &escaped(secret))?);
        }
    }
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(header::CONTENT_TYPE, form_type);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let body = form.finish().into();
    let url = config.url.clone();
    Ok(Outgoing { method: Method::POST, url, headers, body, answer_bytes: ANSWER, room: None })
}

/// What stands in `Authorization` for a user and a password (RFC 7617).
pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue, CallError> {
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let mut value = HeaderValue::from_str(&text).map_err(|_| CallError::InvalidRequest("Authorization"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::super::config::Secret;
    use super::*;

    #[test]
    fn a_token_is_replaced_five_minutes_before_its_end_or_at_half_of_a_short_life() {
        let check = |life, expected| {
            assert_eq!(used_for(Duration::from_secs(life)), Duration::from_secs(expected), "{life}");
        };
        check(3600, 3300);
        check(900, 600);
        check(600, 300);
        check(400, 200);
        check(10, 5);
        check(0, 0);
    }

    #[test]
    fn lives_are_numbers_or_texts() {
        let check = |json: &str, expected: Option<u64>| {
            let granted: Granted = serde_json::from_str(json).unwrap();
            let life = granted.expires_in.and_then(Seconds::read);
            assert_eq!(life, expected.map(Duration::from_secs), "{json}");
        };
        check(r#"{"access_token":"t","expires_in":3599,"token_type":"Bearer"}"#, Some(3599));
        check(r#"{"access_token":"t","expires_in":"3599"}"#, Some(3599));
        check(r#"{"access_token":"t"}"#, None);
        check(r#"{"access_token":"t","expires_in":null}"#, None);
        check(r#"{"access_token":"t","expires_in":-1}"#, None);
        check(r#"{"access_token":"t","expires_in":1e300}"#, Some(31_536_000));
        check(r#"{"access_token":"t","expires_in":"soon"}"#, None);
    }

    #[test]
    fn the_request_asks_for_the_resource_and_shows_who_asks() {
        let config = |credentials| TokenConfig {
            url: "https://login.example.com/token".parse().unwrap(),
            client_id: "id:1".to_owned(),
            client_secret: Secret::new("a b&c"),
            credentials,
            scope: "{resource}/.default".to_owned(),
            default_resource: None,
        };
        let check = |credentials, resource: &str, body: &str, authorization: Option<&str>| {
            let request = request(&config(credentials), resource).unwrap();
            assert_eq!(String::from_utf8_lossy(&request.body), body);
            let shown = request.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
            assert_eq!(shown, authorization);
        };
        let grant = "grant_type=client_credentials&scope=api%3A%2F%2Fapp%2F.default";
        let with_client = format!("{grant}&client_id=id%3A1&client_secret=a+b%26c");
        check(Credentials::Body, "api://app", &with_client, None);
        let shown = format!("Basic {}", STANDARD.encode("id%3A1:a+b%26c"));
        check(Credentials::Basic, "api://app/", grant, Some(&shown));
        assert!(!format!("{:?}", config(Credentials::Body)).contains("a b"));
    }
}
