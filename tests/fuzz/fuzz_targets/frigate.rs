//! libFuzzer's entry to the target `frigate`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::frigate(data));
