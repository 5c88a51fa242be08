//! Any bytes as the frame of a protobuf client: see `codec_fuzz::protobuf_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| codec_fuzz::protobuf_decode::run(bytes));
