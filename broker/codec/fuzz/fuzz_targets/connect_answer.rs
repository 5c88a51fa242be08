//! Any bytes as an application's answer to `connect`: see `codec_fuzz::connect_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| codec_fuzz::connect_answer::run(bytes));
