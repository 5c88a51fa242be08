//! What an operator decides about calls to event handlers. `config` fills it in, and the defaults are there.

use std::fmt;
use std::time::Duration;

use codec::ids::HubName;
use url::Url;

use super::address::{AddressRules, literal};
use super::tls::Authorities;
use crate::settings::handler::EventHandler;

/// See the module.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Longest time for a call, with all its attempts, its waits and the body of the answer.
    pub timeout: Duration,
    /// How much one handler of one hub may take up.
    pub limits: HandlerLimits,
    /// Most bytes of an answer's body.
    pub answer_bytes: usize,
    /// Which addresses may be called.
    pub addresses: AddressRules,
    /// Whose certificates are believed beside those of the machine.
    pub authorities: Authorities,
    /// By which proxy handlers are reached.
    pub proxy: ProxyConfig,
    /// Origins that speak HTTP/2 without TLS, such as `http://127.0.0.1:7070`, without a default port. No proxy is
    /// used for them, because proxies do not pass it on.
    pub h2c: Vec<String>,
    /// Where tokens for handlers come from, if anywhere.
    pub tokens: Option<TokenConfig>,
}

/// How much one handler of one hub may take up on this node.
#[derive(Debug, Clone, Copy)]
pub struct HandlerLimits {
    /// Calls under way.
    pub calls: usize,
    /// Calls that wait to be under way.
    pub waiting_calls: usize,
    /// Bytes of the calls that wait, with an allowance for each.
    pub waiting_bytes: usize,
    /// Bytes of all answers together that are longer than 64 KiB.
    pub answer_room: usize,
}

/// By which proxy handlers are reached. Its `Debug` shows neither user nor password.
#[derive(Clone, PartialEq, Eq)]
pub enum ProxyConfig {
    /// What `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    Environment,
    /// None.
    Direct,
    /// This one.
    Via {
        /// Its URL, `http` or `https`, with user and password if it wants them.
        url: Url,
        /// Hosts, domains and networks that are reached without it.
        except: Vec<String>,
    },
}

/// Where tokens for handlers come from: an OAuth 2.0 token endpoint that gives them for client credentials.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// The token endpoint.
    pub url: Url,
    /// The client that the provider knows the broker by.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// How id and secret are shown.
    pub credentials: Credentials,
    /// The scope that is asked for, with `{resource}` in the place of the handler's resource.
    pub scope: String,
    /// The resource of handlers whose settings name none.
    pub default_resource: Option<String>,
}

/// How id and secret are shown to a token endpoint (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// In the header of HTTP Basic, which every provider must understand.
    Basic,
    /// In the form.
    Body,
}

impl WebhookConfig {
    /// Whether a handler of a hub may be called, as far as that is known without a look at the network: an address in
    /// its URL is permitted.
    pub fn permits(&self, hub: &HubName, handler: &EventHandler) -> bool {
        let address = handler.url.validation(hub).as_ref().and_then(literal);
        address.is_none_or(|address| self.addresses.permit(address))
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one who sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("Environment"),
            Self::Direct => f.write_str("Direct"),
            Self::Via { url, except } => {
                write!(f, "Via({}, except {except:?})", url.origin().ascii_serialization())
            }
        }
    }
}
