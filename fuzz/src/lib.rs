//! What the fuzz targets hold the decoder to.
//!
//! ```text
//! bytes from libFuzzer ─► input ─┬─► splitter: the same steps, however the bytes arrive
//!                                └─► decoder:  the same account whole and streamed; the same rows as the reference
//! ```
//!
//! The checks are functions of bytes that panic on a finding, so that a finding is run again by a test of one line.

#[path = "../../src/cloudtrail/mod.rs"]
pub mod cloudtrail;
pub mod decoder;
pub mod input;
#[path = "../../tests/reference/mod.rs"]
pub mod reference;
pub mod rows;
pub mod splitter;
