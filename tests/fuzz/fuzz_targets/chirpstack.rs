//! libFuzzer's entry to the target `chirpstack`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::chirpstack(data));
