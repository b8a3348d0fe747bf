//! libFuzzer's entry to the target `meokon`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::meokon(data));
