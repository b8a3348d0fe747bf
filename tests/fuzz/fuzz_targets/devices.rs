//! libFuzzer's entry to the target `devices`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::devices(data));
