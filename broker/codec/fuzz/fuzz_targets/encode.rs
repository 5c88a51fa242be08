//! Any bytes as a message to a client: see `codec_fuzz::encode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| codec_fuzz::encode::run(bytes));
