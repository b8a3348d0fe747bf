//! libFuzzer's entry to the target `teams`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::teams(data));
