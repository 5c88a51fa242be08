//! Where events of a kind go: worked out once, used for many of them.

use std::sync::Arc;

use codec::ids::HubName;
use http::HeaderValue;
use url::Url;

use super::CallError;
use crate::settings::handler::EventHandler;

/// See the module. It depends on nothing that changes from event to event.
#[derive(Debug)]
pub struct Route {
    /// Whose events they are.
    pub hub: HubName,
    /// Who takes them.
    pub handler: Arc<EventHandler>,
    /// Name of the event in the URL.
    pub event: String,
    /// Where they are sent.
    pub url: Url,
    /// Name of this service as the client addressed it: a host without a port.
    pub(super) origin: HeaderValue,
    /// Where the handler is asked whether it wants events.
    pub(super) validation: Url,
    /// Under which its answer to that is remembered.
    pub(super) consent_key: String,
    /// Under which its health is remembered: alike for all that a template leads to within a hub.
    pub(super) handler_key: String,
}

impl Route {
    /// The way of events with this name to a handler of a hub, for clients that know this service as `origin`, a host
    /// without a port.
    ///
    /// # Errors
    /// [`CallError::InvalidRequest`] when no request can be made of it.
    pub fn new(
        hub: &HubName,
        handler: &Arc<EventHandler>,
        event: &str,
        origin: &str,
    ) -> Result<Self, CallError> {
        let unusable = CallError::InvalidRequest("the URL");
        let (url, validation) =
            handler.url.resolve(hub, event).zip(handler.url.validation(hub)).ok_or(unusable)?;
        let header = HeaderValue::from_str(origin).map_err(|_| CallError::InvalidRequest("the origin"))?;
        Ok(Self {
            consent_key: format!("{} {validation}", origin.to_ascii_lowercase()),
            handler_key: format!("{hub} {validation}"),
            hub: hub.clone(),
            handler: Arc::clone(handler),
            event: event.to_owned(),
            url,
            origin: header,
            validation,
        })
    }
}
