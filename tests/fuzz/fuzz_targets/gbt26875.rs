//! libFuzzer's entry to the target `gbt26875`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::gbt26875(data));
