//! Arbitrary bytes as a log object give one account, and its rows are the reference's.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| keytrail_fuzz::decoder::check(bytes));
