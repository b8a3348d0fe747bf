//! libFuzzer's entry to the target `topics`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::topics(data));
