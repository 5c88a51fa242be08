//! Any bytes as a filter: see `codec_fuzz::filter_parse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| codec_fuzz::filter_parse::run(bytes));
