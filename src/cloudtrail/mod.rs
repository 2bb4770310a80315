//! What AWS wrote, turned into Arrow: no I/O, no async.

pub mod columns;
