//! What AWS wrote, turned into Arrow: no I/O of its own, no async.
//!
//! ```text
//! object bytes ─► inflate ─► split ─► (prefilter) ─► wire ─► decode ─► columns
//!                                                     └ key, principal, asset, via, operation
//! ```

pub mod arn;
pub mod asset;
mod blocks;
pub mod columns;
pub mod decode;
pub mod digest;
mod filter;
pub mod inflate;
mod json;
pub mod key;
pub mod object;
pub mod only;
pub mod operation;
pub mod principal;
pub mod raw;
pub mod redact;
mod resync;
mod scan;
pub mod selectors;
pub mod split;
mod surrogates;
mod symbols;
pub mod via;
pub mod wire;
