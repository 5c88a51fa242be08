//! The configuration of a broker under test. The only file of the suites that knows the names of the broker's fields.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::auth::key::AccessKey;
use broker::auth::pattern::Coverage;
use broker::config::{Config, Given, Kept, Machine, Place, Raw, TlsListener, check, entry};
use broker::edge::tls::Identity;
use broker::settings::handler::{
    EventHandler, GroupPresence, SystemEvents, UpstreamAuth, UrlTemplate, UserEventPattern,
};
use broker::settings::{AnonymousConnectPolicy, HubSettings};
use codec::ids::HubName;

use super::handler::Handler;

/// First access key of every broker under test.
pub const PRIMARY_KEY: &str = "primary-key-of-the-test-suite-0123456789";
/// Second access key of every broker under test.
pub const SECONDARY_KEY: &str = "secondary-key-of-the-test-suite-0123456789";
/// Signs what the broker gives out itself.
pub const INTERNAL_KEY: &str = "internal-key-of-the-test-suite-0123456789";

/// What a test wants to differ from the defaults of the house.
pub struct Setup {
    /// The configuration as it will be used; the methods below change the usual things.
    pub config: Config,
}

impl Setup {
    /// The defaults, on a free port of the loopback interface, with two workers, so that members of one group live on
    /// different workers.
    pub fn new() -> Self {
        let mut raw = Raw::default();
        for (entry, text) in [
            (&entry::ACCESS_KEY, PRIMARY_KEY),
            (&entry::SECONDARY_KEY, SECONDARY_KEY),
            (&entry::TLS_LISTEN, "off"),
            (&entry::OPERATIONS_LISTEN, "off"),
            (&entry::DATA_DIR, "unused"),
        ] {
            raw.give(entry, Given { texts: vec![text.to_owned()], place: Place::Flag(entry) });
        }
        raw.fill(&Machine { processors: NonZeroUsize::MIN, data_dir: None });
        let kept = Kept { internal_key: AccessKey::new(INTERNAL_KEY).unwrap(), identity: None };
        let mut config = check(&raw).unwrap().into_config(kept);
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.workers = NonZeroUsize::new(2).unwrap();
        Self { config }
    }

    /// How many workers hold connections.
    pub fn workers(&mut self, count: usize) -> &mut Self {
        self.config.workers = NonZeroUsize::new(count).unwrap();
        self
    }

    /// Lets clients without a token into a hub.
    pub fn allow_anonymous(&mut self, hub: &str) -> &mut Self {
        self.hub(hub).anonymous_connect_policy = AnonymousConnectPolicy::Allow;
        self
    }

    /// How often the clients of a hub are pinged.
    pub fn keep_alive(&mut self, hub: &str, interval: Duration) -> &mut Self {
        self.hub(hub).keep_alive_interval = interval;
        self
    }

    /// Longest time from accepting a socket until its request is whole.
    pub fn handshake_timeout(&mut self, limit: Duration) -> &mut Self {
        self.config.client.handshake_timeout = limit;
        self
    }

    /// Most connections of the node.
    pub fn max_connections(&mut self, count: usize) -> &mut Self {
        self.config.client.max_connections = count;
        self
    }

    /// Most messages, and most bytes, that wait for one client.
    pub fn outbox(&mut self, messages: usize, bytes: usize) -> &mut Self {
        self.config.client.outbox_messages = messages;
        self.config.client.outbox_bytes = bytes;
        self
    }

    /// How long a reliable connection is kept without a socket.
    pub fn reconnect_window(&mut self, time: Duration) -> &mut Self {
        self.config.client.reconnect_window = time;
        self
    }

    /// Most messages, and most bytes, that a reliable client may leave unacknowledged.
    pub fn window(&mut self, messages: usize, bytes: usize) -> &mut Self {
        self.config.client.window_messages = messages;
        self.config.client.window_bytes = bytes;
        self
    }

    /// Sends all user events of a hub, and the system events `connected` and `disconnected`, to this URL.
    pub fn event_handler(&mut self, hub: &str, url: &str) -> &mut Self {
        self.hub(hub).event_handlers.push(Arc::new(EventHandler {
            url: UrlTemplate::parse(url).unwrap(),
            user_events: UserEventPattern::Every,
            system_events: SystemEvents { connect: true, connected: true, disconnected: true },
            presence: GroupPresence::default(),
            auth: UpstreamAuth::None,
        }));
        self
    }

    /// Also listens with TLS, with this certificate chain and key in PEM.
    pub fn tls(&mut self, chain: &str, key: &str) -> &mut Self {
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        self.config.tls = Some(TlsListener { listen, identity });
        self
    }

    /// Longest time that the node takes to stop.
    pub fn grace(&mut self, limit: Duration) -> &mut Self {
        self.config.drain.grace = limit;
        self
    }

    /// URLs by which callers know the node beside its own, such as that of a proxy.
    pub fn public_endpoints(&mut self, urls: &[&str]) -> &mut Self {
        self.config.origins.public_endpoints = urls.iter().map(|url| url.parse().unwrap()).collect();
        self
    }

    /// Leaves the broker its first access key alone.
    pub fn one_key(&mut self) -> &mut Self {
        self.config.settings.keys.secondary = None;
        self
    }

    /// One more event handler of a hub, after those that it has.
    pub fn handler(
        &mut self,
        hub: &str,
        handler: &Handler,
        change: impl FnOnce(HandlerSpec) -> HandlerSpec,
    ) -> &mut Self {
        self.handler_at(hub, &handler.url("/eventhandler/{hub}/{event}"), change)
    }

    /// One more event handler of a hub, with this URL template.
    pub fn handler_at(
        &mut self,
        hub: &str,
        url: &str,
        change: impl FnOnce(HandlerSpec) -> HandlerSpec,
    ) -> &mut Self {
        let handler = change(HandlerSpec::nothing_at(url)).0;
        self.hub(hub).event_handlers.push(Arc::new(handler));
        self
    }

    /// Speaks HTTP/2 to a handler.
    pub fn http_2(&mut self, handler: &Handler) -> &mut Self {
        self.config.webhooks.h2c.push(handler.url(""));
        self
    }

    /// Longest time for a call of a handler.
    pub fn handler_timeout(&mut self, limit: Duration) -> &mut Self {
        self.config.webhooks.timeout = limit;
        self
    }

    /// Most calls of one handler that are under way, and most that wait.
    pub fn handler_limits(&mut self, calls: usize, waiting: usize) -> &mut Self {
        self.config.webhooks.limits.calls = calls;
        self.config.webhooks.limits.waiting_calls = waiting;
        self
    }

    /// Reads the settings of hubs from a file, and follows it.
    pub fn hubs_file(&mut self, file: &Path) -> &mut Self {
        self.config.hubs.file = Some(file.to_owned());
        self
    }

    fn hub(&mut self, hub: &str) -> &mut HubSettings {
        Arc::make_mut(self.config.settings.hubs.entry(HubName::new(hub).unwrap()).or_default())
    }
}

/// Which events a handler takes: none, without changes.
#[derive(Debug)]
pub struct HandlerSpec(EventHandler);

impl HandlerSpec {
    fn nothing_at(url: &str) -> Self {
        Self(EventHandler {
            url: UrlTemplate::parse(url).unwrap(),
            user_events: UserEventPattern::Nothing,
            system_events: SystemEvents::default(),
            presence: GroupPresence::default(),
            auth: UpstreamAuth::None,
        })
    }

    /// User events: `*`, or names with commas between.
    pub fn user(mut self, pattern: &str) -> Self {
        let names = pattern.split(',').map(|name| name.trim().to_ascii_lowercase());
        self.0.user_events = match pattern {
            "*" => UserEventPattern::Every,
            _ => UserEventPattern::Names(names.collect()),
        };
        self
    }

    /// System events: `connect`, `connected`, `disconnected`.
    pub fn system(mut self, events: &[&str]) -> Self {
        let has = |event| events.contains(&event);
        self.0.system_events = SystemEvents {
            connect: has("connect"),
            connected: has("connected"),
            disconnected: has("disconnected"),
        };
        self
    }

    /// Events of groups: `joined`, `left`.
    pub fn groups(mut self, events: &[&str]) -> Self {
        self.0.presence.joined = events.contains(&"joined");
        self.0.presence.left = events.contains(&"left");
        self
    }

    /// Only of groups that match one of these patterns, each with a wildcard.
    pub fn only_groups(mut self, patterns: &[&str]) -> Self {
        let pattern = |text: &&str| match Coverage::parse(text).unwrap() {
            Coverage::Names(pattern) => pattern,
            other => panic!("{text} is no pattern with a wildcard: {other:?}"),
        };
        self.0.presence.groups = patterns.iter().map(pattern).collect();
        self
    }

    /// The header by which the broker shows who it is.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0.auth = UpstreamAuth::Header { name: name.parse().unwrap(), value: value.parse().unwrap() };
        self
    }

    /// User events and system events, all of them.
    pub fn everything(self) -> Self {
        self.user("*").system(&["connect", "connected", "disconnected"])
    }
}
