//! What a user sees, to the letter; and the questions that the first users asked.

pub mod addresses;
mod answers;
mod demo;
mod errors;
mod filters;
mod output;
mod times;
mod upkeep;

use std::sync::Arc;

use crate::golden::{corpus, samples};
use crate::support::{Dir, Shared};

/// A lake of the documented sample of each KMS operation, for tests that only ask. Nothing where the corpus is absent.
static SAMPLES: Shared<Option<Dir>> = Shared::new(|| lake_of(samples::FILE));

/// A lake of a real trail, likewise.
static TRAIL: Shared<Option<Dir>> = Shared::new(|| lake_of("invictus"));

fn lake_of(name: &str) -> Option<Dir> {
    let source = corpus::find(name)?;
    let dir = Dir::new();
    dir.ingest(source);
    Some(dir)
}

/// The lake of samples, or a word that the test is skipped.
fn samples() -> Arc<Option<Dir>> {
    told(SAMPLES.get())
}

/// The lake of the trail, or a word that the test is skipped.
fn trail() -> Arc<Option<Dir>> {
    told(TRAIL.get())
}

fn told(dir: Arc<Option<Dir>>) -> Arc<Option<Dir>> {
    if dir.is_none() {
        println!("skipped: the corpus is not there");
    }
    dir
}
