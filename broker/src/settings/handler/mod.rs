//! An event handler as a hub's settings name it: where events go, which ones, and how the broker shows who it is.
//!
//! Sources: `resource-model.md` 2.2 and `event-handlers.md` 3. `events` asks; `file` and the command line write.

pub(crate) mod auth;
mod selection;
mod template;
pub(crate) mod words;

use std::fmt;

use codec::event::EventKind;

pub use auth::{HandlerTokens, InvalidAuth};
pub use selection::InvalidEventPattern;
pub use template::{InvalidTemplate, UrlTemplate};

use crate::auth::pattern::Pattern;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHandler {
    /// Where events are sent.
    pub url: UrlTemplate,
    /// Which user events are sent there.
    pub user_events: UserEventPattern,
    /// Which system events are sent there.
    pub system_events: SystemEvents,
    /// Which joined and left events are sent there.
    pub presence: GroupPresence,
    /// How the broker shows who it is.
    pub auth: UpstreamAuth,
}

/// Names of user events that a handler takes. They ignore case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UserEventPattern {
    /// None.
    #[default]
    Nothing,
    /// All.
    Every,
    /// These, in lower case.
    Names(Vec<String>),
}

/// System events that a handler takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SystemEvents {
    /// `connect`
    pub connect: bool,
    /// `connected`
    pub connected: bool,
    /// `disconnected`
    pub disconnected: bool,
}

/// Group events that a handler takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupPresence {
    /// Whether it takes `joined`.
    pub joined: bool,
    /// Whether it takes `left`.
    pub left: bool,
    /// Of which groups; none means of all.
    pub groups: Vec<Pattern>,
}

/// How the broker shows a handler who it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum UpstreamAuth {
    /// Not at all, but for the signature that every event has.
    #[default]
    None,
    /// By a header that the settings name.
    Header {
        /// The header's name.
        name: http::HeaderName,
        /// Its value, which is a secret.
        value: http::HeaderValue,
    },
    /// By a token of the configured identity provider, the counterpart of a managed identity.
    Token {
        /// Whom the token is for; nothing means the configured default.
        resource: Option<String>,
    },
}

impl EventHandler {
    /// Whether the event is for this handler.
    pub fn takes(&self, event: EventKind<'_>) -> bool {
        match event {
            EventKind::Connect => self.system_events.connect,
            EventKind::Connected => self.system_events.connected,
            EventKind::Disconnected => self.system_events.disconnected,
            EventKind::User(name) => self.user_events.matches(name.as_str()),
            EventKind::Joined(group) => self.presence.joined && self.presence.covers(group.as_str()),
            EventKind::Left(group) => self.presence.left && self.presence.covers(group.as_str()),
        }
    }

    /// Whether it takes no event at all, which is allowed and of no use.
    pub fn takes_nothing(&self) -> bool {
        self.user_events == UserEventPattern::Nothing
            && self.system_events == SystemEvents::default()
            && !self.presence.joined
            && !self.presence.left
    }
}

impl UserEventPattern {
    /// Whether an event of this name is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Every => true,
            Self::Names(names) => names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)),
        }
    }
}

impl GroupPresence {
    fn covers(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|pattern| pattern.matches(group))
    }
}

impl fmt::Debug for UpstreamAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Header { name, .. } => write!(f, "Header({name})"),
            Self::Token { resource } => write!(f, "Token({resource:?})"),
        }
    }
}
