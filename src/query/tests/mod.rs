//! What a query file may say, what a user may ask of it, and what the shipped ones answer.

mod calls;
mod files;
mod lake;
mod plans;
mod questions;
mod views;
