//! libFuzzer's entry to the target `absences`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::absences(data));
