//! What each fuzz target does with the fuzzer's bytes.
//!
//! The targets themselves, which need a nightly compiler, are a line each; `broker/codec/tests/kept.rs` runs the same over
//! what earlier runs have found, with any compiler. So nothing of the fuzzer's is named here.

pub mod connect_answer;
pub mod encode;
pub mod event_reply;
pub mod filter_parse;
pub mod json_decode;
pub mod protobuf_decode;
pub mod websocket_decode;

mod rules;
