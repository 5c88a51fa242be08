//! Any bytes as the frame of a JSON client: see `codec_fuzz::json_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| codec_fuzz::json_decode::run(bytes));
