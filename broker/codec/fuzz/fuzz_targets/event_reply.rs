//! Any bytes as an application's answer to a user event: see `codec_fuzz::event_reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| codec_fuzz::event_reply::run(bytes));
