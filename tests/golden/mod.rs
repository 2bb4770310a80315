//! Golden rows: what real records mean, worked out by a person and not by a program.
//!
//! The records themselves stay outside the repository. [`corpus`] finds them where they are; [`samples`] holds what
//! each of them must turn into. [`cases`] adds what no real record at hand shows, over records made up for it. A test that needs them passes, saying so, where they are absent.

pub mod cases;
pub mod corpus;
pub mod samples;
