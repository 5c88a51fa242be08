//! Schemas of what goes over the wire in protobuf, and the types that are generated from them.
//!
//! No logic and no conversions live here: those who speak a schema map it to their own messages. `client/` has the
//! public schema of the subprotocols, which `codec` and the tests' clients use; `cluster/` has what nodes tell each other,
//! which the broker's backplane uses. What is in `src/gen` is made by the test `bootstrap`, so that building needs neither
//! a generator nor `protoc`.

/// Messages between clients and the broker, from `client/webpubsub.proto`, which describes them.
#[allow(missing_docs, clippy::all, reason = "generated; the schema has the words")]
pub mod client {
    include!("gen/azure.webpubsub.rs");
}

/// Messages between the nodes of an installation, from `cluster/envelope.proto`, which describes them.
#[allow(missing_docs, clippy::all, reason = "generated; the schema has the words")]
pub mod cluster {
    include!("gen/hubbub.cluster.rs");
}

/// Reliable connections on their way from node to node, from `cluster/session.proto`, which describes them.
#[allow(missing_docs, clippy::all, reason = "generated; the schema has the words")]
pub mod session {
    include!("gen/hubbub.cluster.session.rs");
}
