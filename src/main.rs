//! The `keytrail` command.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A question allocates much and little at a time, which the systems' own allocators are slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
