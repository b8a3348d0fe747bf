//! libFuzzer's entry to the target `buildings`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::buildings(data));
