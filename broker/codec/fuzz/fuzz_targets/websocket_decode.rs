//! Any bytes as what a client sends, in pieces: see `codec_fuzz::websocket_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| codec_fuzz::websocket_decode::run(bytes));
