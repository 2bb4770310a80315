//! Arbitrary bytes in arbitrary pieces are cut into the same records.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keytrail_fuzz::splitter::check(bytes));
