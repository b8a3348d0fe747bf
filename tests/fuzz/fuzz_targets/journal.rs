//! libFuzzer's entry to the target `journal`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::journal(data));
