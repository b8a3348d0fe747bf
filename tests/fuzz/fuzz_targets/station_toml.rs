//! libFuzzer's entry to the target `station_toml`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::station_toml(data));
