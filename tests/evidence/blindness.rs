//! Blindness.
