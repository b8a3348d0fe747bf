//! libFuzzer's entry to the target `cells`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::cells(data));
