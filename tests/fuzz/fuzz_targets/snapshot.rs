//! libFuzzer's entry to the target `snapshot`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::snapshot(data));
