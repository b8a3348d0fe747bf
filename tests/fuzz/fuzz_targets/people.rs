//! libFuzzer's entry to the target `people`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::people(data));
