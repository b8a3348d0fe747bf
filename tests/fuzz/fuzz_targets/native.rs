//! libFuzzer's entry to the target `native`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::native(data));
