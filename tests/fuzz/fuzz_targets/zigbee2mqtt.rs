//! libFuzzer's entry to the target `zigbee2mqtt`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gridwarden_fuzz::zigbee2mqtt(data));
