//! The routes that events took last, so that a URL is not taken apart for each of them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use codec::ids::HubName;
use lru::LruCache;

use super::webhook::{CallError, Route};
use crate::settings::handler::EventHandler;

/// Routes that are kept. Clients choose names of events and of this service, so the one that was not used for longest
/// leaves.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// See the module.
pub(super) struct Routes(LruCache<Key, Arc<Route>>);

/// What a route depends on. The route keeps the handler, so no other handler gets its address.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    hub: HubName,
    handler: *const EventHandler,
    event: Box<str>,
    origin: Arc<str>,
}

impl Default for Routes {
    fn default() -> Self {
        Self(LruCache::new(KEPT))
    }
}

impl Routes {
    /// The way of events with this name to a handler of a hub, for clients that know this service as `origin`.
    ///
    /// # Errors
    /// Those of [`Route::new`].
    pub(super) fn of(
        &mut self,
        hub: &HubName,
        handler: &Arc<EventHandler>,
        event: &str,
        origin: &Arc<str>,
    ) -> Result<Arc<Route>, CallError> {
        let key = Key {
            hub: hub.clone(),
            handler: Arc::as_ptr(handler),
            event: event.into(),
            origin: Arc::clone(origin),
        };
        let make = || Route::new(hub, handler, event, origin).map(Arc::new);
        self.0.try_get_or_insert(key, make).map(Arc::clone)
    }
}
