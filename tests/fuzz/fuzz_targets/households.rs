//! libFuzzer's entry to the target `households`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::households(data));
