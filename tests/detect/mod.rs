//! Detectors: each against its cases, all of them against what the generator planted, and findings over time.
//!
//! ```text
//! testdata/detectors/<id>/*.json ─► records ─► ingest ─► detect ─► findings as the case lists them
//! generate ─► detect ─► what was planted, and nothing else
//! ```

mod absence;
mod cases;
mod expected;
mod history;
mod nameless;
mod planted;
mod seams;
mod trial;
