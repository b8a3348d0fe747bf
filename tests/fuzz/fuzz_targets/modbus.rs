//! libFuzzer's entry to the target `modbus`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::modbus(data));
