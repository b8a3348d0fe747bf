//! libFuzzer's entry to the target `line`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::line(data));
