//! The backplane of a node that is alone: keeps nothing, hands everything straight back.

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::{Bus, BusError, BusFull, Envelope, Receiver};
use crate::model::command::Topic;

/// See the module.
pub struct LocalBus {
    receive: Receiver,
}

impl LocalBus {
    /// Everything that is published goes to `receive`.
    pub fn new(receive: Receiver) -> Self {
        Self { receive }
    }
}

impl Bus for LocalBus {
    fn publish(&self, _topic: &Topic, envelope: Envelope) -> Result<(), BusFull> {
        (self.receive)(envelope);
        Ok(())
    }

    fn watch(&self, _topic: &Topic) -> BoxFuture<'static, Result<(), BusError>> {
        ready(Ok(())).boxed()
    }

    fn unwatch(&self, _topic: &Topic) {}
}
