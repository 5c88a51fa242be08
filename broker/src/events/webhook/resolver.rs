//! Names to addresses that may be called. A connection is made to what is answered here and to nothing else, so a
//! name that changes its address between two looks gains nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::AddressRules;

/// Asks for the addresses of a name.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Answers with those addresses of a name that may be called.
pub(super) struct Guarded {
    pub(super) rules: Arc<AddressRules>,
    pub(super) lookup: Lookup,
}

/// A name has addresses, and none of them may be called.
#[derive(Debug, thiserror::Error)]
#[error("none of its addresses may be called")]
pub(super) struct NonePermitted;

/// Asks the system.
pub(super) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            // Whoever connects puts the port in.
            let addresses = tokio::net::lookup_host((name, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    })
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.rules);
        let found = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let found = found.await?;
            let permitted: Vec<_> = found.iter().copied().filter(|address| rules.permit(*address)).collect();
            if permitted.is_empty() && !found.is_empty() {
                return Err(NonePermitted.into());
            }
            Ok(Box::new(permitted.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
