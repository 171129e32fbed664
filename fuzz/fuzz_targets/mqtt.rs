//! Feeds the check of this name.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| focus_checks::mqtt(bytes));
