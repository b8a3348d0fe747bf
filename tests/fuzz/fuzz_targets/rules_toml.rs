//! libFuzzer's entry to the target `rules_toml`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::rules_toml(data));
