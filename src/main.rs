//! The `keytrail` command.

mod cli;

use std::process::ExitCode;

/// A question takes much memory and little by turns, in several threads, which the systems' own allocators are slow at.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::main()
}
